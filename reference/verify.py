"""Prove every value of the reference set from the data alone: python verify.py [FOLDER]

Needs Python 3.11 and python-flint, nothing else; the theorems are in README.md, "The proofs".
y = X b + Z u + e, u ~ N(0, s2 G), e ~ N(0, s2 I); V = I + Z G Z', S = [X y]' V^-1 [X y],
P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, s = y'P y, df = n (ML) or n - p (REML); the deviance
(-2 log likelihood at the best b and s2 = s / df) is log|V| + df (1 + log(2 pi s / df)), under REML
+ log|X'V^-1 X|. Doubles and sums over rows are exact; then numbers are balls, compared as wholes.
"""
import csv
import sys
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from itertools import chain, product
from json import loads
from pathlib import Path

from flint import arb, arb_mat, ctx, fmpq, fmpq_mat


def require(holds, what):
    if not holds:
        raise ValueError(what)

def rational(number):
    return fmpq(*Fraction(number).as_integer_ratio())

def generated(recipe):
    """Rows y, g, x of the Lehmer generator state -> 48271 state mod (2^31 - 1), in integers."""
    state, lines = recipe["seed"], ["y,g,x"]
    def draw(bits):
        nonlocal state
        state = 48271 * state % 2147483647
        return state // 65536 % 2**bits
    for g in range(recipe["clusters"]):
        level = recipe["between"] * (sum(draw(15) for _ in range(4)) - 65534) // 64
        for _ in range(recipe["sizes"][g % len(recipe["sizes"])]):
            x, noise = draw(4), sum(draw(15) for _ in range(4)) - 65534
            lines.append(f"{level + recipe['slope'] * x + noise},{g + 1},{x}")
    return "\n".join(lines) + "\n"

class Model:
    """A = Z'Z by row, B = Z'[X y], C = [X y]'[X y] of the numbers that `reading` says, exact."""
    def __init__(self, model, text):
        header, *rows = csv.reader(text.splitlines())
        data = dict(zip(header, zip(*rows, strict=True), strict=True))
        number = {"doubles": float, "decimals": Fraction}[model["reading"]]
        def column(parts):
            values = [number(1)] * len(rows)
            for part in parts:
                cells = data[part["column"]]
                factors = [c == part["level"] for c in cells] if "level" in part else cells
                values = [v * number(f) for v, f in zip(values, factors, strict=True)]
            return [rational(v) for v in values]
        self.n, self.p, self.terms = len(rows), len(model["fixed"]), model["random"]
        self.reml = {"lmm-reml": True, "lmm-ml": False}[model["criterion"]]
        self.df, self.labels = self.n - self.p * self.reml, [c["label"] for c in model["fixed"]]
        require(self.n == model["rows"], "the number of rows is another one")
        fixed = [column(c["parts"]) for c in model["fixed"]]
        self.X = list(zip(*fixed, column([{"column": model["response"]}]), strict=True))
        self.sizes, self.levels, self.Z, total = [], [], [[] for _ in rows], 0
        for term in self.terms:  # the levels of a term, each with its rows of A and B
            names = list(map(":".join, zip(*(data[name] for name in term["by"]), strict=True)))
            columns = [column(c["parts"]) for c in term["columns"]]
            starts, q = enumerate(dict.fromkeys(names)), len(columns)
            levels = {name: range(total + k * q, total + k * q + q) for k, name in starts}
            require(len(levels) == term["levels"], f"{term['group']} has {len(levels)} levels")
            for row, name, *z in zip(self.Z, names, *columns, strict=True):
                row.extend((k, v) for k, v in zip(levels[name], z, strict=True) if v)
            self.sizes, self.levels = [*self.sizes, q], [*self.levels, levels]
            total += len(levels) * q
        self.A, self.B = [{} for _ in range(total)], [[fmpq(0)] * (self.p + 1)] * total
        self.C = [[fmpq(0)] * (self.p + 1)] * (self.p + 1)
        for x, z in zip(self.X, self.Z, strict=True):
            for M, k, v in [(self.C, *c) for c in enumerate(x)] + [(self.B, *c) for c in z]:
                M[k] = [old + v * new for old, new in zip(M[k], x, strict=True)]
            for (k, v), (m, u) in product(z, z):
                self.A[k][m] = self.A[k].get(m, 0) + v * u

def part(M, rows, columns):
    return type(M)([[M[i, j] for j in columns] for i in rows])

def pivots(M):
    a = M.tolist()
    for k, row in enumerate(a):
        for other in a[k + 1 :] if row[k] != 0 else ():
            other[:] = [v - other[k] / row[k] * u for u, v in zip(row, other, strict=True)]
    return [row[k] for k, row in enumerate(a)]

class Solved:
    """Fixed effects and s from S; whoever solves adds G, log|V| and effects = G Z'P y."""
    def __init__(self, S, p):
        x = range(p)
        self.S, self.H = part(S, x, x), part(S, x, x).inv()
        self.beta = self.H * part(S, x, [p])
        self.contrast = type(S)([[-v] for v in self.beta.entries()] + [[self.beta[0, 0] * 0 + 1]])
        self.s = (part(S, [p], range(p + 1)) * self.contrast)[0, 0]

    def deviance(self, model):
        log_dets = self.log_det + (self.S.det().log() if model.reml else 0)
        return log_dets + model.df * (1 + (2 * arb.pi() * self.s / model.df).log())

class Score(Solved):
    """The deviance's slope is (F - E) / s; both, and their own, at r: a fraction or a ball."""
    def __init__(self, model, r):
        kind, x = (fmpq_mat if isinstance(r, fmpq) else arb_mat), range(model.p)
        S, a, a1, self.r, self.log_det = kind(model.within), r * 0, r * 0, r, arb(0)
        S1, S2 = S * 0, S * 0  # the derivatives of S in r, as a and a1 are of log|V|
        for n, (count, sums) in model.classes.items():
            v, D = 1 / (1 + n * r), kind(sums)
            S, S1, S2 = S + D * (v / n), S1 - D * (v * v), S2 + D * (2 * n * v * v * v)
            a, a1 = a + count * n * v, a1 - count * n * n * v * v
            self.log_det -= count * arb(v).log()
        super().__init__(S, model.p)
        c, s = self.contrast, self.s
        push = part(S1 * c, x, [0])
        b = -(c.transpose() * S1 * c)[0, 0]  # b = -s', b1 = -s''
        b1 = (2 * push.transpose() * self.H * push - c.transpose() * S2 * c)[0, 0]
        if model.reml:
            M, M2 = self.H * part(S1, x, x), self.H * part(S2, x, x)
            a, a1 = a + sum(M[i, i] for i in x), a1 + sum((M2 - M * M)[i, i] for i in x)
        self.E, self.E1, self.F, self.F1 = model.df * b, model.df * b1, a * s, a1 * s - a * b
        self.rising = int(self.F > self.E) - int(self.F < self.E)
        self.G, self.position, self.singular = [arb_mat([[arb(r)]])], [r], r == 0

def require_apart(model, low, high):
    """E and F do not meet between two fractions: neither of them ever rises."""
    todo, tried = [(Score(model, arb(low)), Score(model, arb(high)))], 0
    while todo:
        a, b = todo.pop()
        if not (b.F > a.E or b.E > a.F):
            middle = Score(model, ((a.r * b.r).sqrt() if a.r > 0 else b.r / 8).mid())
            todo, tried = [*todo, (a, middle), (middle, b)], tried + 1
        require(tried < 2000, f"a stationary point near {a.r} may be missing")

def prove_global(model, proof):
    """The certificate knows every stationary point on [0, infinity); the states at the minima."""
    require(all(len(z) == 1 and z[0][1] == 1 for z in model.Z), "not one random intercept")
    model.classes, model.within = {}, fmpq_mat(model.C)
    for k, sums in enumerate(model.B):  # by cluster size: how many, and the sum of their s s'
        n, square = int(model.A[k][k].p), fmpq_mat([sums]).transpose() * fmpq_mat([sums])
        count, total = model.classes.get(n, (0, square * 0))
        model.classes[n] = count + 1, total + square
        model.within = model.within - square * fmpq(1, n)
    origin, left, minima = Score(model, fmpq(0)), fmpq(0), []
    for point in proof["points"]:
        low, high, first, last = map(rational, point["isolated"] + point["enclosed"])
        require(left <= low <= first <= last <= high, "intervals are not in order")
        a, b, c, d = (Score(model, arb(r)) for r in (low, high, first, last))
        if left < low:
            require_apart(model, left, low)
        flat = low == 0 and origin.E == origin.F
        once = b.rising and (flat or a.rising == -b.rising) and (b.F1 < a.E1 or b.E1 < a.F1)
        require(once or (high == 0 and origin.F > origin.E), "not one point in an interval")
        exact = first == last and (high == 0 or Score(model, first).E == Score(model, first).F)
        require(exact or c.rising * d.rising < 0, "a point is not where it is said to be")
        kind = "maximum" if high > 0 > b.rising else "minimum"
        require(point["kind"] == kind, f"a {kind} is called a {point['kind']}")
        left, minima = high, minima + [arb(first).union(arb(last))] * (kind == "minimum")
    end = Score(model, arb(rational(proof["beyond"])))
    if origin.E != 0:  # a sum of squares over (1 + d r)^2, so 0 everywhere or nowhere
        require_apart(model, left, rational(proof["beyond"]))
        require(end.r * end.F > model.df * (end.s - pivots(model.within)[-1]), "open at infinity")
    for r in minima:
        state = Score(model, r)
        sums = enumerate((arb_mat(fmpq_mat(model.B)) * state.contrast).entries())
        state.effects = [w * r / (1 + r * model.A[k][k]) for k, w in sums]
        yield state

def spread(model, blocks):  # the same block for every level of a term
    M = arb_mat(len(model.A), len(model.A))
    for block, levels in zip(blocks, model.levels, strict=True):
        for rows, i, j in product(levels.values(), *[range(block.nrows())] * 2):
            M[rows[i], rows[j]] = block[i, j]
    return M

class Dense(Solved):
    """Everything at T, G = T T': gradient and Hessian in its free entries, slopes in each G."""
    def __init__(self, model, T, free):
        (A, B, C), n, self.T, self.free = model.balls, len(model.A), T, free
        self.G, zero = [t * t.transpose() for t in T], [arb_mat(q, q) for q in model.sizes]
        G = spread(model, self.G)
        W = (G * A + 1).solve(G)
        N, K = B - A * (W * B), A - A * W * A  # Z'V^-1 [X y] and Z'V^-1 Z
        super().__init__(C - B.transpose() * (W * B), model.p)
        NX, w = part(N, range(n), range(model.p)), N * self.contrast
        P, ww = K - NX * self.H * NX.transpose(), w * w.transpose()  # Z'P Z; w = Z'P y
        self.log_det, self.effects = (G * A + 1).det().log(), (G * w).entries()
        K, moves = P if model.reml else K, []
        D, terms = K - ww * (model.df / self.s), zip(model.levels, zero, strict=True)
        self.slopes = [sum((part(D, r, r) for r in rows.values()), z) for rows, z in terms]
        for t, i, j in free:  # d = the derivative of G
            rows, one = range(model.sizes[t]), arb_mat(model.sizes[t], model.sizes[t], 1)
            row = part(one, rows, [i]) * part(T[t], rows, [j]).transpose()
            d = spread(model, [*zero[:t], row + row.transpose(), *zero[t + 1 :]])
            moves.append((t, i, j, K * d, d * w))
        self.gradient = arb_mat([[2 * (self.slopes[t] * T[t])[i, j]] for t, i, j in free])
        self.hessian = arb_mat(len(free), len(free))
        for (a, (t, i, j, Kd, dw)), (b, (u, k, m, Ke, ew)) in product(enumerate(moves), repeat=2):
            bend = dw.transpose() * (2 * P - ww / self.s) * ew * (model.df / self.s)
            bend -= arb_mat(1, n * n, Kd.transpose().entries()) * arb_mat(n * n, 1, Ke.entries())
            self.hessian[a, b] = bend[0, 0] + ((t, j) == (u, m) and 2 * self.slopes[t][i, k])

def prove_local(model, proof):
    """Each point of the certificate is a strict local minimum; the state there."""
    rows = [[a.get(k, 0) for k in range(len(model.A))] for a in model.A]
    model.balls = [arb_mat(fmpq_mat(M)) for M in (rows, model.B, model.C)]
    for point in proof["points"]:
        shape = list(zip(range(len(model.sizes)), model.sizes, point["pivots"], strict=True))
        columns = [(t, q, K, j, k) for t, q, K in shape for j, k in enumerate(K)]
        free = [(t, i, j) for t, q, K, j, k in columns for i in range(q) if i >= k or i not in K]
        def solved(x, free=free):
            T = [arb_mat(q, q) for q in model.sizes]
            for (t, i, j), value in zip(free, x.entries(), strict=True):
                T[t][i, j] = value
            return Dense(model, T, free), T
        x, radius = (list(map(rational, point[name])) for name in ("theta", "radius"))
        box = arb_mat([[arb(v, arb(r))] for v, r in zip(x, radius, strict=True)])
        Y = arb_mat([[arb(rational(v)) for v in row] for row in point["preconditioner"]])
        x, hessian = arb_mat(len(x), 1, x), solved(box)[0].hessian
        move = (1 - Y * hessian) * (box - x) - Y * solved(x)[0].gradient
        inside = all(abs(m) < r for m, r in zip(move.entries(), radius, strict=True))
        require(inside and all(v > 0 for v in pivots(hessian)), "not one minimum in the box")
        state, T = solved(x + move)
        require(all(T[t][k, j] > 0 for t, _, _, j, k in columns), "a pivot may be zero")
        for t, q, K in shape:
            rest = [k for k in range(q) if k not in K]
            rises = pivots(part(state.slopes[t], rest, rest))
            require(all(v > 0 for v in rises), "the deviance may not rise off the boundary")
        state.singular = any(len(K) < q for _, q, K in shape)
        state.position = [t[i, j] for t in T for j in range(t.ncols()) for i in range(j, t.nrows())]
        yield state

def truths(model, state, fitted):  # every quantity, by name and labels of row and column
    s2, level, labels = state.s / model.df, state.deviance(model), list(enumerate(model.labels))
    for name, value in (("deviance", level), ("loglik", -level / 2), ("sigma", s2.sqrt())):
        yield (name, "", ""), value
    for k, a in labels:
        yield from ((("beta_cov", a, b), s2 * state.H[k, m]) for m, b in labels)
        yield ("beta", a, ""), state.beta[k, 0]
        yield ("beta_se", a, ""), (s2 * state.H[k, k]).sqrt()
    for term, G, levels in zip(model.terms, state.G, model.levels, strict=True):
        labels = list(enumerate(c["label"] for c in term["columns"]))
        for (i, a), (j, b) in product(labels, labels):
            yield (f"random_cov[{term['group']}]", a, b), s2 * G[i, j]
        for (i, a), (name, rows) in product(labels, levels.items()):
            yield (f"blup[{term['group']}]", name, a), state.effects[rows[i]]
    beta, rows = arb_mat([*state.beta.tolist(), [0]]), zip(model.X, model.Z, strict=True)
    for i, (x, z) in enumerate(rows if fitted else ()):
        value = (arb_mat([x]) * beta)[0, 0] + sum(state.effects[k] * v for k, v in z)
        yield ("fitted", str(i + 1), ""), value

def check(said):  # the radius is half a unit of the last place, or 0 for an exact number
    for (value, radius), ball in said:
        half = Fraction(10) ** Decimal(value).as_tuple().exponent / 2
        require(Fraction(radius) in (half, 0), f"the radius of {value} is {radius}")
        require(abs(ball - rational(value)) <= rational(radius), f"{value} is not {ball.str(25)}")

def prove(folder, Model=Model, prove_local=prove_local, truths=truths):  # whatever CHECKSUMS says
    read = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    item = loads(read["item.json"])
    recipe, tables, proof = item["data"]["generator"], item["values"], item["certificate"]
    ctx.prec, text = proof["bits"], generated(recipe) if recipe else read["data.csv"]
    require(item["data"]["sha256"] == sha256(text.encode()).hexdigest(), "data.csv is another")
    cells = (chain(*csv.reader(t.splitlines())) for t in (text, read.get("doubles.csv", text)))
    same = all(a == b or float(a) == float.fromhex(b) for a, b in zip(*cells, strict=True))
    require(same, "doubles.csv has other numbers than data.csv")
    model = Model(item["model"], text)
    found = {"global": prove_global, "local": prove_local}[item["claim"]["kind"]](model, proof)
    states = sorted(found, key=lambda state: float(state.deviance(model)))
    best, *others = (state.deviance(model) for state in states)
    require(all(best < other for other in others), "the lowest optimum is not certain")
    require(item["claim"]["singular"] == states[0].singular, "singular or not")
    truth = dict(truths(model, states[0], "fitted" in tables))
    rows = [[name, *row] for name, t in tables.items() for row in zip(*t.values(), strict=True)]
    said = [(row[3:], truth.pop(tuple(row[:3]))) for row in rows]
    for optimum, state in zip(item["optima"], states, strict=True):
        balls = [*state.position, state.deviance(model)]
        said += zip([*optimum["position"], optimum["deviance"]], balls, strict=True)
    check(said)
    require(all(k[0][:4] == "blup" and k[0] not in tables for k in truth), f"no {list(truth)}")
    require(list(csv.reader(read["values.csv"].splitlines()))[1:] == rows, "values.csv differs")
    return item, model, states[0]

def main(folder="reference", prove=prove):
    root, refused = Path(folder), []
    sums = {root / x[66:]: x[:64] for x in (root / "CHECKSUMS").read_text("utf-8").splitlines()}
    require(set(root.glob("items*/*/*")) == set(sums), "the files are not those of CHECKSUMS")
    for item in (items := [path.parent for path in sums if path.name == "item.json"]):
        try:
            for path in item.iterdir():
                require(sha256(path.read_bytes()).hexdigest() == sums[path], f"{path.name} changed")
            prove(item)
        except Exception as why:
            refused.append(f"{item.name}: {why!r}")
    print(*refused, f"{len(items)} items, {len(refused)} refused", sep="\n")
    return bool(refused)

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
