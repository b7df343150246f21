"""Prove the values of the generalised mixed models: python verify_glmm.py [FOLDER]

Needs what verify.py beside it needs, which reads the data; the theorems are in README.md,
"Generalised models". eta = o + X b + Z T u, u ~ N(0, 1) independent; y is binomial of n with
logit(mean / n) = eta, or Poisson with log(mean) = eta; kappa(eta) = log(1 + e^eta) or e^eta. With
h(u) = sum (y eta - n kappa) - u'u/2 the likelihood is c * integral of exp(h) / (2 pi)^(m/2), exact,
or by Laplace c * exp(h(u*)) / det(-h''(u*))^(1/2) at the mode u*. It is highest in b and T here.
"""
import math
import sys
from collections import Counter, defaultdict
from itertools import count, product
from pathlib import Path
from types import SimpleNamespace

from flint import arb, arb_mat, ctx
from verify import Model, main, part, pivots, prove, rational, require


class Data:
    """Rows (y, n, o, x, z), exact; z has ((term, level), column, value) for what is not 0."""
    def __init__(self, model, text):
        parts, p = [model["trials"], model["offset"]], len(model["fixed"])
        fixed = model["fixed"] + [{"label": "", "parts": c} for c in parts if c is not None]
        read = Model({**model, "criterion": "lmm-ml", "reading": "doubles", "fixed": fixed}, text)
        self.binomial = {"binomial": True, "poisson": False}[model["family"]]
        self.exact = {"glmm-exact": True, "glmm-laplace": False}[model["criterion"]]
        self.p, self.labels, self.terms, self.sizes = p, read.labels[:p], read.terms, read.sizes
        place = {k: ((t, rows[0]), i) for t, levels in enumerate(read.levels)
                 for rows in levels.values() for i, k in enumerate(rows)}
        self.rows, self.constant, self.mode = [], arb(0), {}
        for (*x, got), effects in zip(read.X, read.Z, strict=True):
            y, n, o = int(got.p), int(x[p].p), x[p + 1] if len(x) > p + 1 else 0
            require(got == y >= 0 and x[p] == n and (y <= n or not self.binomial), "no counts")
            self.rows.append((y, n, o, x[:p], [(*place[k], v) for k, v in effects]))
            self.constant += arb(math.comb(n, y)).log() if self.binomial else -arb(y + 1).lgamma()
        self.theta = [(t, i, j) for t, q in enumerate(self.sizes) for j in range(q)
                      for i in range(j, q)]  # as lme4 orders the entries of T

class Jet:
    """A number with its first and second derivatives in the parameters, all balls."""
    def __init__(self, value, slope, bend):
        self.value, self.slope, self.bend = value, slope, bend

    def __add__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.slope, self.bend)
        return Jet(self.value + other.value, self.slope + other.slope, self.bend + other.bend)

    def __mul__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.value * other, self.slope * other, self.bend * other)
        a, b, mixed = self.value, other.value, self.slope * other.slope.transpose()
        bend = other.bend * a + self.bend * b + mixed + mixed.transpose()
        return Jet(a * b, other.slope * a + self.slope * b, bend)

    def through(self, f, f1, f2):
        bend = self.bend * f1 + self.slope * self.slope.transpose() * f2
        return Jet(f, self.slope * f1, bend)

    def exp(self):
        return self.through(*[self.value.exp()] * 3)

    def log(self):
        return self.through(self.value.log(), 1 / self.value, -1 / self.value**2)

    __radd__, __rmul__ = __add__, __mul__

def solve(A, r):
    """x of A x = r, and log det A: A by rows, symmetric; the row with fewest others goes first."""
    A, r, done, x, log_det = {k: dict(row) for k, row in A.items()}, dict(r), [], {}, arb(0)
    while A:
        k = min(A, key=lambda j: len(A[j]))
        row = A.pop(k)
        log = row.pop(k).log()
        log_det, inverse = log + log_det, (log * -1).exp()
        done.append((k, inverse, row))
        for i in row:
            ratio = A[i].pop(k) * inverse * -1
            r[i] = r[i] + ratio * r[k]
            A[i].update({j: ratio * b + A[i].get(j, 0) for j, b in row.items()})
    for k, inverse, row in reversed(done):
        x[k] = (r[k] + sum((a * x[i] * -1 for i, a in row.items()), arb(0))) * inverse
    return x, log_det

class Laplace:
    """h, h' and -h'' at u, for parameters that are numbers or jets."""
    def __init__(self, data, at, u):
        self.h = sum((v * v * arb(-0.5) for v in u.values()), arb(0))
        self.slope, self.A = {j: v * -1 for j, v in u.items()}, {j: {j: arb(1)} for j in u}
        T = dict(zip(data.theta, at[data.p :], strict=True))
        for y, n, o, x, z in data.rows:
            M = defaultdict(lambda: arb(0))
            for (t, level), i, value in z:
                for j in range(i + 1):
                    M[t, level, j] = T[t, i, j] * arb(value) + M[t, level, j]
            eta = sum((m * u[j] for j, m in M.items()), linear(o, x, at[: data.p]))
            kappa = mean = spread = e = eta.exp()
            if data.binomial:
                kappa = (e + 1).log()
                mean, spread = (eta + kappa * -1).exp(), (eta + kappa * -2).exp()
            self.h = eta * y + kappa * -n + self.h
            for j, m in M.items():
                self.slope[j] = m * (mean * -n + y) + self.slope[j]
                for k, other in M.items():
                    self.A[j][k] = m * spread * n * other + self.A[j].get(k, 0)

def linear(o, x, beta):
    return sum((b * arb(v) for b, v in zip(beta, x, strict=True) if v), arb(o))

def norm(vector):
    return sum((v * v for v in vector.values()), arb(0)).abs_upper().sqrt().abs_upper()

def mode(data, at):
    """About where h is highest: Newton's method with halved steps, nothing of it is relied on."""
    zero = {(*place, j): arb(0) for *_, z in data.rows for place, i, _ in z for j in range(i + 1)}
    u, share = data.mode or zero, 1.0
    here = Laplace(data, at, u)
    while norm(here.slope) > arb(2) ** (24 - ctx.prec) and share > 1e-9:
        step, _ = solve(here.A, here.slope)
        new = {j: (v + step[j] * share).mid() for j, v in u.items()}
        there = Laplace(data, at, new)
        nearer = norm(there.slope) < norm(here.slope)
        u, here, share = (new, there, 1.0) if nearer else (u, here, share / 2)
    data.mode = u
    return u

def laplace(data, box):
    """Value and derivatives. -h'' is at least 1, so u* is within |h'(u)| of any u.

    Where the derivatives of u up to order k are right, a step of Newton's method makes those up to
    2 k + 1 right; the value is, so two steps do.
    """
    t, u = range(box.nrows()), mode(data, box.mid().entries())
    radius = norm(Laplace(data, box.entries(), u).slope)
    zero = arb_mat(len(t), 1), arb_mat(len(t), len(t))
    u = {j: Jet(arb(v, radius), *zero) for j, v in u.items()}
    units = [arb_mat(len(t), 1, [int(i == k) for i in t]) for k in t]
    at = [Jet(v, unit, zero[1]) for v, unit in zip(box.entries(), units, strict=True)]
    for _ in range(2):
        here = Laplace(data, at, u)  # and h'(u*) = 0
        step, _ = solve(here.A, {j: Jet(arb(0), s.slope, s.bend) for j, s in here.slope.items()})
        u = {j: v + step[j] for j, v in u.items()}
    here = Laplace(data, at, u)
    total = here.h + solve(here.A, here.slope)[1] * arb(-0.5)
    return total.value + data.constant, total.slope, total.bend

class Nodes:
    """The trapezoidal rule for clusters of the same rows (o, x, n) and the same S = sum of y.

    F(b) = exp(S sigma b - b^2/2 - sum n kappa(o + x b + sigma b)). Sums over the nodes h k of
    F (S + mean + 1)^i |b|^j, i, j <= 2, are off by no more than error[i, j].
    """
    def __init__(self, data, rows, S, beta, sigma):
        self.binomial, self.S, self.sigma = data.binomial, S, sigma
        self.n, self.F, self.means, self.spreads = [n for *_, n in rows], [], [], []
        self.levels = [linear(o, x, beta).exp() for o, x, _ in rows]
        self.b = [self.h * k for k in self.plan()]
        for b in self.b:
            odds = [level * (sigma * b).exp() for level in self.levels]
            q = [1 / (1 + v) if self.binomial else arb(1) for v in odds]
            mean = [n * v * w for n, v, w in zip(self.n, odds, q, strict=True)]
            kappa = -sum((n * w.log() for n, w in zip(self.n, q, strict=True)), arb(0))
            kappa += 0 if self.binomial else sum(mean)
            self.F.append((S * sigma * b - b * b / 2 - kappa).exp())
            self.means.append(mean)
            self.spreads.append([m * w for m, w in zip(mean, q, strict=True)])
        self.bound()

    def plan(self):
        """Step, strip and ends in doubles: whatever they are, the error is bounded afterwards."""
        S, N, sigma = self.S, sum(self.n), max(float(self.sigma.mid()), 1e-9)
        pairs = [(n, float(level.mid())) for n, level in zip(self.n, self.levels, strict=True)]
        def log_f(b):
            e = [(n, level * math.exp(min(sigma * b, 600))) for n, level in pairs]
            kappa = sum(n * (math.log1p(v) if self.binomial else v) for n, v in e)
            return S * sigma * b - b * b / 2 - kappa
        total = sum(map(math.prod, pairs))
        low, high = -sigma * (N if self.binomial else total), sigma * S
        for _ in range(80):
            a, b = (2 * low + high) / 3, (low + 2 * high) / 3
            low, high = (a, high) if log_f(a) < log_f(b) else (low, b)
        nats = (ctx.prec - 30) * math.log(2) + 3 * math.log(2 * S + N + 10)
        nats += 0 if self.binomial else S * math.log(max(S, 1) / total) - S - log_f(low)
        power, share = (N, 2) if self.binomial else (S, 1)
        most = min(math.sqrt(2 * nats), 0.49 * share * math.pi / sigma)
        strips = [most * k / 64 for k in range(1, 65)]
        folds = [power * math.log(math.cos(sigma * a / share)) for a in strips]
        steps = [a / (nats + a * a / 2 - f) for a, f in zip(strips, folds, strict=True)]
        h, floor = 2 * math.pi * max(steps), log_f(low) - nats
        self.h, self.a = arb(h), arb(strips[steps.index(max(steps))])
        ends = [next(k for k in count(1) if log_f(low + s * k * h) < floor) for s in (-1, 1)]
        return range(round(low / h) - ends[0] - 1, round(low / h) + ends[1] + 2)

    def bound(self):
        a, S, N, v = self.a, self.S, sum(self.n), self.sigma * self.a
        require(v < arb.pi() / (1 if self.binomial else 2), "the strip is too wide")
        c, error = (v / 2 if self.binomial else v).cos(), {}
        common = 2 * (a * a / 2).exp() / ((2 * arb.pi() * a / self.h).exp() - 1)
        for i, j in product(range(3), repeat=2):  # beyond the ends log F falls at least as there
            error[i, j] = arb(0)
            for k, out in ((0, -1), (-1, 1)):
                b, mean = self.b[k], sum(self.means[k])
                fall = out * (b - self.sigma * (S - mean))
                fall -= 0 if self.binomial or out < 0 else 2 * self.sigma  # of mean^2
                require(fall > 2, "the nodes end too early")
                level = S + 1 + (N if self.binomial else mean)
                error[i, j] += 3 * self.F[k] * level**i * (abs(b) + 1) ** j / (self.h * fall)
            if self.binomial:
                share = common / c**N
                require(2 * share < 1, "the step is too long")
                mass, level = (sum(self.F) + error[0, 0]) / (1 - share), S + (N + 1) / c
                error[i, j] += share * mass * level**i * (1 + self.sigma * N + a) ** j
            else:
                total = sum(map(math.prod, zip(self.n, self.levels, strict=True)))
                tops = (s and s * (s / (c * total)).log() - s for s in range(S, S + i + 1))
                ways = (math.comb(i, k) * (S + 1) ** (i - k) * total**k for k in range(i + 1))
                tops = sum(w * arb(top).exp() for w, top in zip(ways, tops, strict=True))
                error[i, j] += common * (2 * arb.pi()).sqrt() / self.h * (1 + a) ** j * tops
        self.error = {ij: arb(0, e.abs_upper()) for ij, e in error.items()}

def exact(data, box):
    """Value, E[g] and cov(g) - E[sum v z z'] by F / integral, z = (x, b), g = sum (y - mean) z."""
    *beta, sigma = box.entries()
    t, clusters = data.p + 1, {}
    require(data.sizes == [1] and all(z[0][2] == 1 for *_, z in data.rows), "not one intercept")
    value, slope, bend = data.constant, arb_mat(t, 1), arb_mat(t, t)
    for y, n, o, x, [(name, _, _)] in data.rows:
        value += y * linear(o, x, beta)
        slope += y * arb_mat(t, 1, [*map(arb, x), 0])
        rows, S = clusters.get(name, ({}, 0))
        clusters[name] = {**rows, (o, *x): rows.get((o, *x), 0) + n}, S + y
    kinds = Counter((tuple(sorted(rows.items())), S) for rows, S in clusters.values())
    for (rows, S), times in kinds.items():
        nodes = Nodes(data, [(o, x, n) for (o, *x), n in rows], S, beta, sigma)
        z, inner = arb_mat([[*map(arb, x), 1] for (_, *x), _ in rows]).tolist(), range(1, t + 1)
        sums = (arb_mat(nodes.means) * arb_mat(z)).tolist()
        pairs = zip(sums, nodes.b, strict=True)
        G = [[1, *(-v for v in s[:-1]), b * (S - s[-1])] for s, b in pairs]
        E = arb_mat([[f * v for v in g] for f, g in zip(nodes.F, G, strict=True)])
        E = arb_mat(G).transpose() * E
        spread = [[f * b**k for f, b in zip(nodes.F, nodes.b, strict=True)] for k in range(3)]
        spread = (arb_mat(spread) * arb_mat(nodes.spreads)).tolist()
        reach = [arb(1), *(max(map(abs, column)) for column in zip(*z, strict=True))]
        for i, j in product(range(t + 1), repeat=2):
            k = (i == t) + (j == t)
            if i and j:
                E[i, j] -= sum(v * w[i - 1] * w[j - 1] for v, w in zip(spread[k], z, strict=True))
            E[i, j] += nodes.error[(i > 0) + (j > 0), k] * reach[i] * reach[j]
        mean = part(E, inner, [0]) / E[0, 0]
        value += times * (E[0, 0] * nodes.h / (2 * arb.pi()).sqrt()).log()
        slope += times * mean
        bend += times * (part(E, inner, inner) / E[0, 0] - mean * mean.transpose())
    return value, slope, bend

def prove_maximum(data, proof):
    """Krawczyk's box, as for a local claim of verify.py, about the maximum."""
    f, zero = exact if data.exact else laplace, proof["zero"]
    size = data.p + len(data.theta)
    free = [k for k in range(size) if k not in zero]
    def whole(values):
        values = dict(zip(free, values, strict=True))
        return arb_mat(size, 1, [arb(values.get(k, 0)) for k in range(size)])
    x, radius = (list(map(rational, proof[name])) for name in ("point", "radius"))
    box = [arb(v, arb(r)) for v, r in zip(x, radius, strict=True)]
    Y = arb_mat([[arb(rational(v)) for v in row] for row in proof["preconditioner"]])
    bend, slope = -part(f(data, whole(box))[2], free, free), part(f(data, whole(x))[1], free, [0])
    x, box = arb_mat(len(x), 1, x), arb_mat(len(box), 1, box)
    move = (1 - Y * bend) * (box - x) + Y * slope
    inside = all(abs(m) < r for m, r in zip(move.entries(), radius, strict=True))
    require(inside and all(v > 0 for v in pivots(bend)), "not one maximum in the box")
    at = whole((x + move).entries())
    level, _, curved = f(data, at)
    for k, (t, i, j) in enumerate(data.theta, data.p):  # even in a deviation of one effect
        down = k in free or (data.sizes[t] == 1 and curved[k, k] < 0)
        require(down and (i != j or k in zero or at[k, 0] > 0), "not a maximum in the deviations")
    require(free[: data.p] == list(range(data.p)), "a fixed effect is held")
    cov, at = (-part(curved, free, free)).inv(), at.entries()
    yield SimpleNamespace(level=level, cov=cov, position=at, singular=bool(zero),
                          deviance=lambda _: -2 * level)

def truths(data, state, _):
    level, cov, at = state.level, state.cov, state.position
    yield from (((name, "", ""), level * k) for name, k in (("deviance", -2), ("loglik", 1)))
    for k, a in enumerate(data.labels):
        yield from ((("beta_cov", a, b), cov[k, m]) for m, b in enumerate(data.labels))
        yield from ((("beta", a, ""), at[k]), (("beta_se", a, ""), cov[k, k].sqrt()))
    for t, (term, q) in enumerate(zip(data.terms, data.sizes, strict=True)):
        T = arb_mat(q, q)
        for (u, i, j), value in zip(data.theta, at[data.p :], strict=True):
            T[i, j] += value * (u == t)
        labels = enumerate(c["label"] for c in term["columns"])
        for (i, a), (j, b) in product(labels, repeat=2):
            yield (f"random_cov[{term['group']}]", a, b), (T * T.transpose())[i, j]

def prove_glmm(folder):
    return prove(folder, Data, prove_maximum, truths)

if __name__ == "__main__":
    sys.exit(main(Path(*sys.argv[1:] or ["reference"]) / "glmm", prove_glmm))
