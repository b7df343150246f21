"""Prove that no lower optimum exists where an item says so: python verify_global.py [FOLDER]

Needs what verify.py beside it needs, which proves the optimum first; the theorem is in README.md,
"Everywhere". With L = log|V| (+ log|X'V^-1 X|) and s = y'P y the deviance is L + df log s, but for
a constant. In the covariances G, L is concave and rises, s is convex and falls. So on a polytope
L + df log m is at least its least value at a corner, m a tangent of s that is positive there; and
between G1 <= G2 the deviance is at least L(G1) + df log s(G2). All covariances are cut in cells,
and these are halved until each is above the optimum by one of the two, or so near that the
deviance is convex there.
"""
import math
import sys
from copy import copy
from itertools import combinations_with_replacement, count, product
from json import loads

from flint import arb, arb_mat, ctx, fmpq_mat
from verify import Dense, Solved, main, part, pivots, prove, require, spread

BITS, MOST, FAR = 128, 100_000, 16.0

def factor(G, K):
    """T of G = T T', its rows K lower triangular."""
    T, q = G * 0, range(G.nrows())
    for j, k in enumerate(K):
        column = [G[k, k].sqrt() if i == k else G[i, k] / G[k, k].sqrt() for i in q]
        for i in q:
            T[i, j] = column[i] if i == k or i not in K[:j] else arb(0)
        G = arb_mat(len(q), len(q), [G[i, m] - column[i] * column[m] for i in q for m in q])
    return T

def root(M):
    """U, upper triangular, with U'M U about 1, in doubles."""
    inverse = factor(M.mid(), range(M.nrows())).inv().transpose()
    return arb_mat([[arb(float(v)) for v in row] for row in inverse.tolist()])

def turned(model):
    """The same in columns of Z with which the mean of a level's Z'Z is about 1, and [X y] alike.

    G = U G~ U'; what this adds to L and to log s is the same everywhere.
    """
    (A, B, C), new, means = model.balls, copy(model), []
    for levels in model.levels:
        blocks = [part(A, r, r) for r in levels.values()]
        means.append(sum(blocks[1:], blocks[0]) / len(blocks))
    new.units, R = [root(M) for M in means], root(C)
    U = spread(model, new.units)
    new.balls = U.transpose() * A * U, U.transpose() * B * R, R.transpose() * C * R
    return new

class Values:
    """L, s, and by term the sum over levels of w w', w = Z'P y: s falls by tr(w w' dG)."""
    def __init__(self, model):
        self.model, self.p, self.known, self.classes = model, model.p, {}, {}
        self.A, self.B, self.C = model.balls
        for rows in model.levels[0].values() if len(model.sizes) == 1 else ():  # those with one Z'Z
            key = tuple(model.A[i].get(j, 0) for i in rows for j in rows)
            times, A, sums = self.classes.get(key, (0, part(self.A, rows, rows), {}))
            b = part(self.B, rows, range(model.p + 1)).tolist()
            pairs = ((ij, arb_mat([b[ij[0]]]).transpose() * arb_mat([b[ij[1]]]))
                     for ij in product(range(len(rows)), repeat=2))
            sums = {ij: pair + sums.get(ij, pair * 0) for ij, pair in pairs}
            self.classes[key] = times + 1, A, sums

    def at(self, key, G):
        if key not in self.known:
            try:
                L, solved, slopes = self.by_level(G[0]) if self.classes else self.together(G)
                L += solved.S.det().log() if self.model.reml else 0
                self.known[key] = L, solved.s, slopes
            except ZeroDivisionError:  # V need not be positive there
                self.known[key] = arb("nan"), arb("nan"), []
        return self.known[key]

    def by_level(self, G):
        S, L, slope, q = self.C, arb(0), G * 0, G.nrows()
        classes = self.classes.values()
        turns = [(G * A + 1).inv() for _, A, _ in classes]
        for turn, (times, A, pairs) in zip(turns, classes, strict=True):
            L += times * (G * A + 1).det().log()
            for (i, j), M in pairs.items():
                S = S - M * (turn * G)[i, j]
        solved = Solved(S, self.p)
        c = solved.contrast
        for turn, (*_, pairs) in zip(turns, classes, strict=True):
            squares = arb_mat(q, q, [(c.transpose() * M * c)[0, 0] for M in pairs.values()])
            slope = slope + turn.transpose() * squares * turn
        return L, solved, [slope]

    def in_any_direction(self, t, b):
        """A bound of L at b 1 + t v v' for all v at once.

        There det(1 + A G) is at least (1 + m b) (1 + m (b + t)), m = det A / tr A, which is no more
        than the least eigenvalue of A; and X'V^-1 X is at least that at (b + t) 1.
        """
        size = math.nextafter(t + b, math.inf)
        whole = arb_mat(2, 2, 1) * arb(size)
        L = self.at(((0.0, size, 0.0, 0.0),), [whole])[0]
        for times, A, _ in self.classes.values():
            m = (A.det() / (A[0, 0] + A[1, 1])).max(arb(0))
            L += times * ((1 + m * b) * (1 + m * (arb(b) + t)) / (whole * A + 1).det()).log()
        return L

    def together(self, G):
        G = spread(self.model, G)
        M = G * self.A + 1
        WB = M.solve(G * self.B)
        solved = Solved(self.C - self.B.transpose() * WB, self.p)
        w = ((self.B - self.A * WB) * solved.contrast).entries()
        def squares(q, levels):
            ij = product(range(q), repeat=2)
            return arb_mat(q, q, [sum(w[r[i]] * w[r[j]] for r in levels.values()) for i, j in ij])
        pairs = zip(self.model.sizes, self.model.levels, strict=True)
        return M.det().log(), solved, [squares(q, levels) for q, levels in pairs]

class Near:
    """A box in T, and a size off the face, in which nothing is below the optimum."""
    def __init__(self, model, state, point):
        self.shape = list(zip(range(len(model.sizes)), model.sizes, point["pivots"], strict=True))
        columns = [(t, q, K, j, k) for t, q, K in self.shape for j, k in enumerate(K)]
        free = [(t, i, j) for t, q, K, j, k in columns for i in range(q) if i >= k or i not in K]
        T = [factor(U.inv() * G * U.inv().transpose(), K) for U, G, (_, _, K)
             in zip(model.units, state.G, self.shape, strict=True)]
        most = [max(model.balls[0][r, r].mid() for rows in levels.values() for r in rows)
                for levels in model.levels]
        for power in count(2):
            width = arb(2) ** -power
            self.box = {(t, i, j): arb(T[t][i, j].mid(), width) for t, i, j in free}
            self.off = [float(width / size) for size in most]
            inside = all(box.contains(T[t][i, j]) for (t, i, j), box in self.box.items())
            require(inside, "the deviance is not certainly convex near the optimum")
            try:
                if self.holds(model, free):
                    return
            except ZeroDivisionError:
                continue

    def holds(self, model, free):
        T = [arb_mat(q, q) for q in model.sizes]
        for (t, i, j), value in self.box.items():
            T[t][i, j] = value
        hessian = Dense(model, T, free).hessian
        for t, q, K in self.shape:  # rows that depend on others get what is their own, R = T T'
            for at, row in enumerate(k for k in range(q) if k not in K):
                for column in range(at + 1):
                    T[t][row, len(K) + column] = arb(0, arb(self.off[t]).sqrt())
        slopes = Dense(model, T, []).slopes
        rest = ([k for k in range(q) if k not in K] for _, q, K in self.shape)
        falls = [pivots(part(D, N, N)) for D, N in zip(slopes, rest, strict=True)]
        return all(v > 0 for v in [*pivots(hessian), *(v for some in falls for v in some)])

    def has(self, corners):
        """Whether all of what the corners span is inside: by the ranges of its entries."""
        for t, q, K in self.shape:
            G = corners[0][t]
            for other in corners[1:]:
                ends = zip(G.entries(), other[t].entries(), strict=True)
                G = arb_mat(q, q, [a.union(b) for a, b in ends])
            for j, k in enumerate(K):
                if not G[k, k] > 0:
                    return False
                T = [G[k, k].sqrt() if i == k else G[i, k] / G[k, k].sqrt() for i in range(q)]
                own = ((self.box[t, i, j], T[i]) for i in range(q) if (t, i, j) in self.box)
                if not all(box.contains(value) for box, value in own):
                    return False
                G = arb_mat(q, q, [G[i, m] - T[i] * T[m] for i in range(q) for m in range(q)])
            if not all(G[k, k] < self.off[t] for k in range(q) if k not in K):
                return False
        return True

class Cells:
    """Of each term (t1, t2, b1, b2, f1, f2): G = b 1 + t v v', v from angle pi f1 to pi f2.

    Between v1 and v2 is v = a v1 + c v2, a, c >= 0, so v v' is a mean of v1 v1', v2 v2' and
    (v1 v2' + v2 v1') / (2 v1'v2); at the last V need not be positive, and then nothing follows.
    One coefficient has b = 0.
    """
    def __init__(self, sizes):
        require(sizes == [2] or max(sizes) == 1, "too many coefficients vary together")
        self.sizes = sizes

    def everything(self):
        ends = [(0.0, 1.0), (1.0, math.inf)]
        two = [t + b + (k / 4, k / 4 + 0.25) for t, b, k in product(ends, ends, range(4))]
        one = [t + (0.0,) * 4 for t in ends]
        return list(product(*(one if q == 1 else two for q in self.sizes)))

    def made(self, some):
        """Covariances of (t, b, f, g) a term, f and g the angles of v1 and v2."""
        found = []
        for (t, b, f, g), q in zip(some, self.sizes, strict=True):
            turns = ([-1, 0] if x == 1 else [math.cos(math.pi * x), math.sin(math.pi * x)]
                     for x in (f, g))  # the last is to the bit the first of the other side
            v, w = (arb_mat(q, 1, turn[:q]) for turn in turns)
            P = (v * w.transpose() + w * v.transpose()) / (2 * (v.transpose() * w)[0, 0])
            found.append(P * arb(t) + arb_mat(q, q, 1) * arb(b))
        return found

    def corners(self, cell):
        """What is at each, and whether it has all lower ends; an infinite end is none."""
        choices = []
        for own in cell:
            t, b, f = (sorted({x for x in own[k : k + 2] if x < math.inf}) for k in (0, 2, 4))
            turns = combinations_with_replacement(f, 2)
            choices.append([(x, y, *turn) for x, y, turn in product(t, b, turns)])
        for some in product(*choices):
            yield some, all(s[:2] == own[:4:2] for s, own in zip(some, cell, strict=True))

    def halves(self, cell):
        """Across the side along which V changes most."""
        sides = {}
        for k, (t1, t2, b1, b2, f1, f2) in enumerate(cell):
            for at, low, high in ((0, t1, t2), (2, b1, b2)):
                sides[k, at] = math.log((1 + min(high, FAR**2 * (1 + low))) / (1 + low))
            t = t2 if t2 < math.inf else t1
            sides[k, 4] = 2 * math.pi * (f2 - f1) * t / math.sqrt((1 + b1) * (1 + t + b1))
        k, at = max(sides, key=sides.__getitem__)
        low, high = cell[k][at : at + 2]
        middle = (low + high) / 2 if at == 4 else math.sqrt((1 + low) * (1 + high)) - 1
        if high == math.inf:
            middle = FAR * max(low, 1.0)
        elif not low < middle < high:
            middle = (low + high) / 2
        for side in (0, 1):
            own = list(cell[k])
            own[at + side] = middle
            yield (*cell[:k], tuple(own), *cell[k + 1 :])

def prove_lowest(model, state, point):
    """No covariances have a lower deviance."""
    ctx.prec = BITS
    model = turned(model)
    values, near, cells, df = Values(model), Near(model, state, point), Cells(model.sizes), model.df
    rows = [[model.A[i].get(j, 0) for j in range(len(model.A))] for i in range(len(model.A))]
    whole = [a + b for a, b in zip(rows, model.B, strict=True)]
    last = [[*b, *c] for b, c in zip(zip(*model.B, strict=True), model.C, strict=True)]
    L, s, _ = values.at("optimum", [U.inv() * G * U.inv().transpose()
                                    for U, G in zip(model.units, state.G, strict=True)])
    limit = L + df * s.log()
    free = arb(pivots(fmpq_mat([*whole, *last]))[-1]) * s / state.s  # s, all random effects free
    def above(cell):
        corners = list(cells.corners(cell))
        found = [values.at(some, cells.made(some)) for some, _ in corners]
        lower = [L for (_, low), (L, _, _) in zip(corners, found, strict=True) if low]
        bounded = all(end < math.inf for part in cell for end in part)
        s = free
        if bounded:
            ends = [(own[1], math.nextafter(own[1] + own[3], math.inf)) for own in cell]
            pairs = zip(ends, model.sizes, strict=True)
            top = tuple((t, 0.0, 0.0, 0.0) if q == 1 else (0.0, b, 0.0, 0.0) for (t, b), q in pairs)
            s = values.at(top, cells.made(top))[1].max(free)
        bounds = [lower]
        if model.sizes == [2]:
            bounds.append([values.in_any_direction(cell[0][0], cell[0][2])])
        if s > 0 and any(all(L + df * s.log() > limit for L in some) for some in bounds):
            return True
        if not bounded:
            return False
        def mean(low, high):
            return math.sqrt((1 + low) * (1 + high)) - 1
        midst = tuple((mean(t1, t2), mean(b1, b2), (f1 + f2) / 2, (f1 + f2) / 2)
                      for t1, t2, b1, b2, f1, f2 in cell)
        G0, at = cells.made(midst), [cells.made(some) for some, _ in corners]
        _, s0, slopes = values.at(midst, G0)
        def tangent(G):
            moves = ((D.transpose() * (g - g0)) for D, g, g0 in zip(slopes, G, G0, strict=True))
            return s0 - sum(m[i, i] for m in moves for i in range(m.nrows()))
        below = [(L, tangent(G)) for (L, _, _), G in zip(found, at, strict=True)]
        return all(m > 0 and L + df * m.log() > limit for L, m in below) or near.has(at)
    todo, tried = cells.everything(), 0
    while todo:
        cell, tried = todo.pop(), tried + 1
        require(tried < MOST, "the cells do not come to an end")
        if not above(cell):
            todo.extend(cells.halves(cell))
    return tried

def prove_everywhere(folder):
    claim = loads((folder / "item.json").read_text("utf-8"))["claim"].get("cover")
    if claim is not None:
        item, model, state = prove(folder)
        require(claim["kind"] == "global" and item["claim"]["kind"] == "local", "other claims")
        print(folder.name, prove_lowest(model, state, item["certificate"]["points"][0]), "cells")

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:], prove=prove_everywhere))
