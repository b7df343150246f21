"""Small models and an independent dense implementation for the tests of the general core.

The dense one writes V out and inverts it in mpmath at 60 digits; its derivatives are central
differences. It shares no code and no formula with what is tested.
"""

from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np

from pp_compare.certified.components.blocks import RandomBlock

DPS = 60
STEP = mp.mpf(10) ** -15
"""Central differences: truncation STEP^2 = 1e-30; rounding 1e-60 / STEP (first derivatives) and
1e-60 / STEP^2 (second ones), all 1e-30 or below."""


@dataclass(frozen=True, eq=False)
class Model:
    """A data set and its random terms."""

    name: str
    y: np.ndarray
    X: np.ndarray
    blocks: tuple[RandomBlock, ...]

    @property
    def data(self):
        """What the functions under test take first."""
        return self.y, self.X, self.blocks


def slopes(seed, *, correlated=True, clusters=4, rows=4, effect=1.0):
    """One grouping factor with a random intercept and slope, sizes unequal."""
    rng = np.random.default_rng([seed, 1])
    group = np.repeat(np.arange(clusters), rng.integers(rows - 1, rows + 2, clusters))
    n = len(group)
    x = rng.normal(size=n).round(3)
    X = np.column_stack([np.ones(n), x])
    u = effect * rng.normal(size=(clusters, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    y = 2 - x + (X * u[group]).sum(1) + rng.normal(size=n)
    terms = [X] if correlated else [X[:, :1], X[:, 1:]]
    return Model(
        f"slopes-{seed}-{'cor' if correlated else 'unc'}",
        y,
        X,
        tuple(RandomBlock(group, Z) for Z in terms),
    )


def crossed(seed):
    """Two crossed intercepts, some cells empty."""
    rng = np.random.default_rng([seed, 2])
    first, second = (a.ravel() for a in np.meshgrid(range(5), range(3)))
    keep = rng.random(15) < 0.9
    first, second = first[keep], second[keep]
    one = np.ones((len(first), 1))
    y = rng.normal(size=5)[first] + 2 * rng.normal(size=3)[second] + rng.normal(size=len(first))
    return Model(f"crossed-{seed}", y, one, (RandomBlock(first, one), RandomBlock(second, one)))


def nested(seed):
    """Intercepts of groups and of subgroups within them."""
    rng = np.random.default_rng([seed, 3])
    inner = np.repeat(np.arange(8), 2)
    outer = inner // 2
    one = np.ones((16, 1))
    y = 2 * rng.normal(size=4)[outer] + 1.5 * rng.normal(size=8)[inner] + rng.normal(size=16)
    return Model(f"nested-{seed}", y, one, (RandomBlock(inner, one), RandomBlock(outer, one)))


def slope_and_crossed(seed):
    """A correlated intercept and slope, crossed with an intercept of another factor."""
    base = slopes(seed, clusters=4, rows=4, effect=2.0)
    rng = np.random.default_rng([seed, 4])
    other = rng.integers(0, 3, len(base.y))
    y = base.y + 2 * rng.normal(size=3)[other]
    extra = RandomBlock(other, np.ones((len(y), 1)))
    return Model(f"mixture-{seed}", y, base.X, (*base.blocks, extra))


@cache
def dense(model):
    """Response, fixed design, and per random term its Z_l of each level, in mpmath."""
    matrices = []
    for block in model.blocks:
        rows = [np.where((block.group == k)[:, None], block.Z, 0.0) for k in range(block.levels)]
        matrices.append([mp.matrix(z.tolist()) for z in rows])
    return mp.matrix(model.y.tolist()), mp.matrix(model.X.tolist()), matrices


def factor_matrices(model, theta):
    """The relative covariance factors of lme4's theta."""
    values, result = iter(theta), []
    for block in model.blocks:
        T = mp.zeros(block.size, block.size)
        for column in range(block.size):
            for row in range(column, block.size):
                T[row, column] = next(values)
        result.append(T)
    return result


def marginal(model, covariances):
    """I + Z G Z', written out."""
    y, _, _ = dense(model)
    V = mp.eye(len(y))
    for block, G in zip(model.blocks, covariances, strict=True):
        Z = mp.matrix(block.Z.tolist())
        ZG = Z * G
        for i in range(len(y)):
            for j in range(len(y)):
                if block.group[i] == block.group[j]:
                    V[i, j] += mp.fdot((ZG[i, k], Z[j, k]) for k in range(block.size))
    return V


def profiled_deviance(model, covariances, reml):
    """-2 log-likelihood with beta and sigma at their best, at given relative covariances."""
    y, X, _ = dense(model)
    df = X.rows - (X.cols if reml else 0)
    root = mp.cholesky(marginal(model, covariances))
    white = [forward(root, column) for column in (*columns(X), y)]
    *whiteX, whitey = white
    cross = mp.matrix([[mp.fdot(a, b) for b in whiteX] for a in whiteX])
    right = mp.matrix([mp.fdot(a, whitey) for a in whiteX])
    rss = mp.fdot(whitey, whitey) - (right.T * cross**-1 * right)[0]
    logdet = 2 * sum(mp.log(root[i, i]) for i in range(X.rows))
    logdet += mp.log(mp.det(cross)) if reml else 0
    return logdet + df * (1 + mp.log(2 * mp.pi * rss / df))


def forward(root, b):
    """Solve L x = b."""
    x = []
    for i in range(root.rows):
        x.append((b[i] - mp.fdot((root[i, k], x[k]) for k in range(i))) / root[i, i])
    return x


def columns(X):
    """The columns of a matrix."""
    return [[X[i, j] for i in range(X.rows)] for j in range(X.cols)]


def deviance_of_theta(model, reml):
    """The deviance as a function of lme4's theta."""

    def function(*theta):
        T = factor_matrices(model, theta)
        return profiled_deviance(model, [t * t.T for t in T], reml)

    return function


def gradient(function, x):
    """Central differences."""

    def shifted(i, h):
        return function(*[v + h * (i == k) for k, v in enumerate(x)])

    return [(shifted(i, STEP) - shifted(i, -STEP)) / (2 * STEP) for i in range(len(x))]


def hessian(function, x):
    """Central differences, symmetric."""

    def at(i, j, a, b):
        return function(*[v + a * STEP * (i == k) + b * STEP * (j == k) for k, v in enumerate(x)])

    size = len(x)
    result = mp.zeros(size, size)
    for i in range(size):
        for j in range(i + 1):
            corners = at(i, j, 1, 1) - at(i, j, 1, -1) - at(i, j, -1, 1) + at(i, j, -1, -1)
            result[i, j] = result[j, i] = corners / (4 * STEP**2)
    return result


def to_mp(ball):
    """The midpoint of a ball, exactly."""
    mantissa, exponent = ball.mid().man_exp()
    return mp.ldexp(mp.mpf(int(mantissa)), int(exponent))


def entries(balls):
    """The midpoints of a ball matrix, row by row."""
    return [to_mp(ball) for ball in balls.entries()]
