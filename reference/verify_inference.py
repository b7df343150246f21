"""Prove degrees of freedom and adjusted standard errors too: python verify_inference.py [FOLDER]

Needs what verify.py beside it needs, which proves the optimum and hands it over; README.md, "Tests
of fixed effects", has the definitions. As there V = I + Z G Z', H = (X'V^-1 X)^-1,
P = V^-1 - V^-1 X H X'V^-1, s = y'P y, s2 = s / df. The covariance of y, s2 V, is linear in its
parameters. They are counted as s2 V itself (the scale) and, for each element of each G, s2 D: D has
Z Z' with ones where the element stands. Kenward and Roger's sums are the same however one counts.
"""
import csv
import sys
from itertools import combinations_with_replacement, product

from flint import arb, arb_mat
from verify import check, main, part, pivots, prove, require, spread


def trace(M):
    return sum((M[i, i] for i in range(M.nrows())), arb(0))

def column(values):
    return arb_mat(len(values), 1, values)

class Intercept:
    """One element, G = r; of a cluster of n rows Z'V^-1 Z is n v with v = 1 / (1 + n r)."""
    def __init__(self, model, state):
        x, r = range(model.p), arb(state.r)
        C = F = arb_mat(model.p, model.p)  # C = X'V^-1 Z Z'V^-1 X, F = X'V^-1 Z Z'V^-1 Z Z'V^-1 X
        once = twice = arb(0)
        for n, (count, sums) in model.classes.items():
            v, own = 1 / (1 + n * r), arb_mat(part(sums, x, x))
            C, F = C + own * (v * v), F + own * (n * v * v * v)
            once, twice = once + count * n * v, twice + count * n * n * v * v
        HC = state.H * C
        self.slope, self.pull = [C], {(0, 0): F - C * HC}
        self.once = [once - trace(HC)]
        self.twice = {(0, 0): twice - 2 * trace(state.H * F) + trace(HC * HC)}
        inside = not state.singular  # there the deviance's slope is (F - E) / s, and s' = -E / df
        self.moves = [(C, -state.E / model.df)] if inside else []
        self.curvature = arb_mat([[(state.F1 - state.E1) / state.s]])

class General:
    """Every element of every term."""
    def __init__(self, model, state):
        (A, B, _), n, p = model.balls, len(model.A), range(model.p)
        G, zero = spread(model, state.G), [arb_mat(q, q) for q in model.sizes]
        N = B - A * ((G * A + 1).solve(G) * B)  # Z'V^-1 [X y]
        w, N = N * state.contrast, part(N, range(n), p)
        P = A - A * (G * A + 1).solve(G) * A - N * state.H * N.transpose()  # Z'PZ; w = Z'P y
        def one(t, i, j):
            D = arb_mat(model.sizes[t], model.sizes[t])
            D[i, j] = D[j, i] = arb(1)
            return spread(model, [*zero[:t], D, *zero[t + 1 :]])
        rows = [(t, range(q)) for t, q in enumerate(model.sizes)]
        D = [one(t, *ij) for t, q in rows for ij in combinations_with_replacement(q, 2)]
        DN, PD = [d * N for d in D], [P * d for d in D]
        pairs = list(product(range(len(D)), repeat=2))
        self.slope, self.once = [N.transpose() * d for d in DN], [trace(d) for d in PD]
        self.pull = {(i, j): DN[i].transpose() * P * DN[j] for i, j in pairs}
        flat = [arb_mat(1, n * n, d.entries()) for d in PD]
        turned = [column(d.transpose().entries()) for d in PD]
        self.twice = {(i, j): (flat[i] * turned[j])[0, 0] for i, j in pairs}
        self.moves, self.curvature = [], state.hessian
        for t, i, j in state.free:  # T[i, j] moves G = T T'
            e = arb_mat(zero[t])
            for k in range(model.sizes[t]):
                e[i, k] += state.T[t][k, j]
                e[k, i] += state.T[t][k, j]
            d = spread(model, [*zero[:t], e, *zero[t + 1 :]])
            move = N.transpose() * d * N, -(w.transpose() * d * w)[0, 0]
            self.moves.append(move)

def kenward_roger(model, state, at):
    """Kenward and Roger 1997: Phi_A = Phi + 2 Phi (sum W_ij (Q_ij - P_i Phi P_j)) Phi, Phi = s2 H.

    W is the inverse of the expected REML information tr(P D_i P D_j) / 2, P_i = -X'V^-1 D_i V^-1 X
    and Q_ij = X'V^-1 D_i V^-1 D_j V^-1 X, so the sum is one of X'V^-1 D_i P D_j V^-1 X, to which
    the scale adds nothing (P V V^-1 X = 0). For one contrast c their A1 and A2 are both
    sum W_ij (c'Phi P_i Phi c) (c'Phi P_j Phi c) / (c'Phi c)^2; then lambda is 1, and m is 2 / A2.
    """
    H, size = state.H, range(len(at.slope))
    rows = [[at.once[i], *(at.twice[i, j] for j in size)] for i in size]
    known = arb_mat([[arb(model.n - model.p), *at.once], *rows])
    require(all(v > 0 for v in pivots(known)), "not certainly defined")
    W, total = 2 * known.inv(), H * 0
    for i, j in at.pull:
        total += W[i + 1, j + 1] * at.pull[i, j]
    adjusted = (H + 2 * H * total * H) * (state.s / model.df)
    slopes = [H * P * H for P in at.slope]
    for k, label in enumerate(model.labels):
        a = column([arb(1), *(P[k, k] / H[k, k] for P in slopes)])
        yield ("beta_se", label, ""), adjusted[k, k].sqrt()
        yield ("df", label, ""), 2 / (a.transpose() * W * a)[0, 0]

def satterthwaite(model, state, at):
    """2 v^2 / (g'A g): v = var(b_k), g = its derivatives, A = 2 (those of the deviance)^-1.

    At a minimum the coordinates do not matter. In log s2 and those of T, with s2 at its best for T,
    A has 2 / df of the first and 2 K^-1 of the others, K the profiled deviance's second
    derivatives: 1 / df + d'K^-1 d with d the derivative of log(s H_kk). On the boundary T moves
    along the face of covariances of the same ranks.
    """
    for k, label in enumerate(model.labels):
        H, moves, bend = state.H, at.moves, arb(0)
        if moves:
            d = column([(H * C * H)[k, k] / H[k, k] + slope / state.s for C, slope in moves])
            bend = (d.transpose() * at.curvature.inv() * d)[0, 0]
        yield ("df", label, ""), 1 / (arb(1) / model.df + bend)

def truths(model, state):
    at = Intercept(model, state) if hasattr(model, "classes") else General(model, state)
    ways = {"satterthwaite-face" if state.singular else "satterthwaite": satterthwaite}
    if model.reml:
        ways["kenward-roger"] = kenward_roger
    for name, way in ways.items():
        try:
            found = dict(way(model, state, at))
        except (ValueError, ZeroDivisionError):
            continue  # not certainly defined: nothing may be claimed
        if all(ball.is_finite() for ball in found.values()):
            yield name, found

def prove_inference(folder):
    """The item's values, then its tests: all that are certainly defined, and no others."""
    item, model, state = prove(folder)
    said, truth = item["inference"], dict(truths(model, state))
    require(set(said) == set(truth), f"{sorted(said)} are given, {sorted(truth)} are defined")
    rows, pairs = [], []
    for name, tables in said.items():
        found = truth[name]
        for quantity, table in tables.items():
            for row, col, *number in zip(*table.values(), strict=True):
                rows.append([name, quantity, row, col, *number])
                pairs.append((number, found.pop((quantity, row, col))))
        require(not found, f"{name} has no {list(found)}")
    check(pairs)
    text = (folder / "inference.csv").read_text("utf-8")
    require(list(csv.reader(text.splitlines()))[1:] == rows, "inference.csv differs")

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:], prove=prove_inference))
