"""Kenward-Roger and Satterthwaite from V written out, in mpmath at 50 digits.

It shares no code with what is tested: V and its derivatives are matrices of rows by rows, in
sigma^2 and the elements of the covariances; Satterthwaite's information is that of second
differences of the deviance along sigma^2 and the entries of the factors that are not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import mpmath as mp
import numpy as np
import pandas as pd

from pp_compare.model.design import Design
from tests.examples import design as make_design

DPS = 50
STEP = mp.mpf(10) ** -12
"""Of second differences: truncation 1e-24, rounding 1e-50 / 1e-24."""

RANDOM = (
    "(1|g)",
    "(x|g)",
    "(x||g)",
    "(0 + x|g)",
    "(1|g) + (1|h)",
    "(1|g/k)",
    "(x|g) + (1|h)",
    "(1|g:k) + (1|h)",
)
FIXED = ("1", "x", "x + w", "f", "f * x", "0 + f", "w + f")


def random_design(seed: int) -> Design:
    """A small model of each kind of the grammar in turn, unbalanced."""
    rng = np.random.default_rng([seed, 19])
    n = int(rng.integers(14, 24))
    g = np.sort(rng.integers(0, 5, n))
    g[:5] = range(5)
    k, h = rng.integers(0, 2, n), rng.integers(0, 3, n)
    x, w = rng.normal(size=n).round(3), rng.normal(size=5).round(3)[g]
    f = rng.integers(0, 3, n)
    f[:3] = range(3)
    size = 10.0 ** rng.uniform(-1, 1, 4)
    y = 1 + x + size[0] * rng.normal(size=5)[g] + size[1] * rng.normal(size=5)[g] * x
    y = y + size[2] * rng.normal(size=3)[h] + size[3] * rng.normal(size=10)[2 * g + k]
    y = y + rng.normal(size=n)
    columns = {"y": y, "x": x, "w": w}
    columns |= {name: [f"{name}{i}" for i in v] for name, v in (("g", g), ("h", h), ("f", f))}
    columns["k"] = [f"k{i}" for i in k]
    formula = f"y ~ {FIXED[seed // len(RANDOM) % len(FIXED)]} + {RANDOM[seed % len(RANDOM)]}"
    return make_design(pd.DataFrame(columns), formula, "ML" if seed % 5 == 4 else "REML")


@dataclass(frozen=True, eq=False)
class Dense:
    """A model at given variances: sigma2, and the factor T of each random term's covariance.

    `T` are lists of lists of decimal strings; an entry that is exactly "0" does not vary.
    """

    design: Design
    sigma2: str
    T: list[list[list[str]]]

    def __post_init__(self) -> None:
        mp.mp.dps = DPS
        y, X = mp.matrix(self.design.y.tolist()), mp.matrix(self.design.X.tolist())
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "factors", [mp.matrix(t) for t in self.T])
        object.__setattr__(self, "s2", mp.mpf(self.sigma2))

    def of_covariance(self, block: int, S: mp.matrix) -> mp.matrix:
        """Z (I x S) Z' of one term."""
        part = self.design.blocks[block]
        Z, codes = mp.matrix(part.Z.tolist()), part.codes
        ZS = Z * S
        n, q = Z.rows, Z.cols
        return mp.matrix(
            [
                [
                    sum((ZS[i, a] * Z[j, a] for a in range(q)), mp.mpf(0))
                    if codes[i] == codes[j]
                    else mp.mpf(0)
                    for j in range(n)
                ]
                for i in range(n)
            ]
        )

    def marginal(self, s2: mp.mpf, factors: list[mp.matrix]) -> mp.matrix:
        total = s2 * mp.eye(len(self.y))
        for block, t in enumerate(factors):
            total += self.of_covariance(block, t * t.T)
        return total

    def slopes(self, *, interior_only: bool = False) -> list[mp.matrix]:
        """dV in sigma2 and in every element of the covariances."""
        found = [mp.eye(len(self.y))]
        for block, t in enumerate(self.factors):
            for j in range(t.rows):
                for k in range(j + 1):
                    if interior_only and (zero_row(t, j) or zero_row(t, k)):
                        continue
                    S = mp.zeros(t.rows)
                    S[j, k] = S[k, j] = mp.mpf(1)
                    found.append(self.of_covariance(block, S))
        return found

    def deviance(self, s2: mp.mpf, factors: list[mp.matrix]) -> mp.mpf:
        """-2 log-likelihood but for a constant."""
        V = self.marginal(s2, factors)
        inverse = V**-1
        XV = self.X.T * inverse
        XVX = XV * self.X
        residual = self.y - self.X * mp.lu_solve(XVX, XV * self.y)
        value = mp.log(mp.det(V)) + (residual.T * inverse * residual)[0]
        return value + (mp.log(mp.det(XVX)) if self.design.spec.method == "REML" else 0)

    def parts(self) -> tuple[mp.matrix, mp.matrix, mp.matrix]:
        """V^-1, (X'V^-1X)^-1 and P."""
        inverse = self.marginal(self.s2, self.factors) ** -1
        cov = (self.X.T * inverse * self.X) ** -1
        VX = inverse * self.X
        return inverse, cov, inverse - VX * cov * VX.T


def zero_row(t: mp.matrix, row: int) -> bool:
    return all(t[row, c] == 0 for c in range(t.cols))


def kenward_roger(
    m: Dense, L: np.ndarray, *, held: bool = False
) -> tuple[mp.matrix, mp.mpf, mp.mpf]:
    """Adjusted covariance of the fixed effects, and A1 and A2 of contrasts L (l, p)."""
    inverse, cov, P_matrix = m.parts()
    G = m.slopes(interior_only=held)
    PG = [P_matrix * g for g in G]
    W = 2 * mp.matrix([[trace(a, b) for b in PG] for a in PG]) ** -1
    VX = inverse * m.X
    GVX = [g * VX for g in G]
    P = [-VX.T * g for g in GVX]
    total = mp.zeros(cov.rows)
    for i, k in product(range(len(G)), repeat=2):
        total += W[i, k] * (GVX[i].T * inverse * GVX[k] - P[i] * cov * P[k])
    adjusted = cov + 2 * cov * total * cov
    rows = mp.matrix(L.tolist())
    theta = rows.T * (rows * cov * rows.T) ** -1 * rows
    bent = [theta * cov * p * cov for p in P]
    A1 = A2 = mp.mpf(0)
    for i, k in product(range(len(G)), repeat=2):
        A1 += W[i, k] * whole_trace(bent[i]) * whole_trace(bent[k])
        A2 += W[i, k] * trace(bent[i], bent[k])
    return adjusted, A1, A2


def published_f(A1: mp.mpf, A2: mp.mpf, above: int) -> tuple[mp.mpf, mp.mpf]:
    """m and lambda as printed in Kenward and Roger (1997), section 3.2."""
    B = (A1 + 6 * A2) / (2 * above)
    g = ((above + 1) * A1 - (above + 4) * A2) / ((above + 2) * A2)
    c1 = g / (3 * above + 2 * (1 - g))
    c2 = (above - g) / (3 * above + 2 * (1 - g))
    c3 = (above + 2 - g) / (3 * above + 2 * (1 - g))
    E = 1 / (1 - A2 / above)
    V = mp.mpf(2) / above * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = V / (2 * E**2)
    df = 4 + (above + 2) / (above * rho - 1)
    return df, df / (E * (df - 2))


def satterthwaite(m: Dense, row: np.ndarray) -> mp.mpf:
    """2 var^2 / (g'A g), by second differences in sigma2 and the entries of T that are not 0."""
    free = [
        (b, j, k)
        for b, t in enumerate(m.factors)
        for j in range(t.rows)
        for k in range(j + 1)
        if m.T[b][j][k] != "0"
    ]
    L = mp.matrix(row.tolist())

    def at(steps: list[mp.mpf]) -> tuple[mp.mpf, list[mp.matrix]]:
        moved = [t.copy() for t in m.factors]
        for (b, j, k), step in zip(free, steps[1:], strict=True):
            moved[b][j, k] += step
        return m.s2 * (1 + steps[0]), moved

    def variance(steps: list[mp.mpf]) -> mp.mpf:
        s2, factors = at(steps)
        inverse = m.marginal(s2, factors) ** -1
        return (L.T * (m.X.T * inverse * m.X) ** -1 * L)[0]

    size = 1 + len(free)
    zero = [mp.mpf(0)] * size

    def step(*moves: tuple[int, int]) -> list[mp.mpf]:
        found = list(zero)
        for i, sign in moves:
            found[i] += sign * STEP
        return found

    slope = mp.matrix(
        [(variance(step((i, 1))) - variance(step((i, -1)))) / (2 * STEP) for i in range(size)]
    )
    second = mp.zeros(size)
    for i in range(size):
        for k in range(i + 1):
            value = sum(
                a * b * m.deviance(*at(step((i, a), (k, b)))) for a in (1, -1) for b in (1, -1)
            )
            second[i, k] = second[k, i] = value / (4 * STEP**2)
    spread = 2 * second**-1
    return 2 * variance(zero) ** 2 / (slope.T * spread * slope)[0]


def trace(a: mp.matrix, b: mp.matrix) -> mp.mpf:
    return mp.fsum(a[i, j] * b[j, i] for i in range(a.rows) for j in range(a.cols))


def whole_trace(a: mp.matrix) -> mp.mpf:
    return mp.fsum(a[i, i] for i in range(a.rows))
