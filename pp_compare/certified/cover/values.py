"""Log determinants and y'Py at many relative covariances, enclosed in double precision.

The random terms are added to V one level at a time. With N = Z_l'V^-1 Z_l of a level and V before
it, adding Z_l G Z_l' multiplies |V| by D = |I + N G| and subtracts B'K B from whatever products
B = Z_l'V^-1 [..] there are, K = G (I + N G)^-1. For one or two coefficients a level D and K are

    1 + N g,  g / D;        1 + tr(N G) + |N| |G|,  (G + |G| adj N) / D

in which a positive semidefinite G makes no term cancel another. Levels of the largest term come
first: they do not see each other, so that what they subtract is one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.components.component import Component
from pp_compare.certified.cover.enclosures import Enclosures, log_below
from pp_compare.certified.equations.crossproducts import CrossProducts

Floats = NDArray[np.float64]

BITS = 128


@dataclass(frozen=True)
class Covariances:
    """Relative covariances of one term at N points: entries (N, q, q) and determinants (N,)."""

    G: Enclosures
    determinant: Enclosures


@dataclass(frozen=True)
class Values:
    """Lower bounds at N points; minus infinity where V is not certainly positive definite.

    Attributes
    ----------
    random : (N,) array
        log|V|.
    fixed : (N,) array
        log|X'V^-1 X| in the coordinates of the cross-products.
    q : (N,) array
        y'Py.
    """

    random: Floats
    fixed: Floats
    q: Floats


class PointValues:
    """The criterion's parts at points, rigorously, for terms with one or two coefficients."""

    def __init__(self, products: CrossProducts) -> None:
        self.products = products
        with ctx.workprec(BITS):
            self._strata = [
                _Levels.of(s.components) if len(s.blocks) == 1 else _Tied.of(s.components)
                for s in products.strata
            ]
            self._total = Enclosures.of_balls(bordered(products))

    def at(self, points: Sequence[Covariances]) -> Values:
        """Bound the parts at N points, one `Covariances` a random term."""
        with np.errstate(all="ignore"):
            random = np.zeros(len(points[0].G.mid))
            left = self._total[None]
            for stratum in self._strata:
                gained, explained = stratum.add(points)
                random = random + gained
                left = left - explained
            fixed = np.zeros(len(random))
            for _ in range(self.products.p):
                pivot, row = left[:, 0, 0], left[:, 0, 1:]
                fixed = fixed + log_below(pivot.lower)
                ratio = row * pivot.reciprocal()[:, None]
                left = left[:, 1:, 1:] - ratio[:, :, None] * row[:, None, :]
            q = np.where(np.isfinite(random), left[:, 0, 0].lower, np.nan)
        return Values(np.where(np.isnan(random), -np.inf, random), fixed, q)

    def any_direction(self, t: Floats, b: Floats) -> Floats:
        """Lower bounds of log|V| at b I + t v v', whatever v, for one term of two coefficients."""
        total: Floats = np.zeros(len(t))
        for stratum in self._strata:
            total = total + stratum.any_direction(Enclosures.exact(t), Enclosures.exact(b))
        return total


@dataclass(frozen=True)
class _Added:
    """Levels added to V: lower bounds of log D (N, ..), K's upper triangle as (.., entries)."""

    log: Floats
    K: list[Enclosures]


def _added(N: Sequence[Enclosures], flat: Enclosures, at: Covariances) -> _Added:
    """Add levels with N = (n,) or (n11, n12, n22) and determinant ``flat``, (.., levels)."""
    lift = (slice(None), *(None,) * (N[0].mid.ndim - 1))
    if len(N) == 1:
        g = at.G[:, 0, 0][lift]
        D = N[0].not_below(0.0) * g + 1.0
        return _Added(log_below(D.lower), [g * D.reciprocal()])
    a, b, c = N
    g, h, k = (at.G[:, i, j][lift] for i, j in ((0, 0), (0, 1), (1, 1)))
    both = at.determinant[lift]
    trace = a * g + 2.0 * (b * h) + c * k
    D = trace + flat * both + 1.0
    # I + N^1/2 G N^1/2 is positive definite if its determinant and its trace are positive.
    log = np.where((trace + 2.0).lower > 0, log_below(D.lower), -np.inf)
    over = D.reciprocal()
    K = [(g + both * c) * over, (h - both * b) * over, (k + both * a) * over]
    return _Added(log, K)


@dataclass(frozen=True)
class _Levels:
    """Components of one level each: those with equal Z'Z stand together, ``times`` over.

    ``grams`` (entries, cells) holds what each entry of K is multiplied by, summed over levels.
    """

    term: int
    N: list[Enclosures]
    flat: Enclosures
    times: Floats
    grams: Enclosures
    width: int

    @staticmethod
    def of(components: Sequence[Component]) -> _Levels:
        """Sort the components by Z'Z."""
        together: dict[str, list[Component]] = {}
        for c in components:
            together.setdefault(c.zz.str(40), []).append(c)
        first = [parts[0] for parts in together.values()]
        N, flat = _products_within([c.zz for c in first])
        by_entry = [
            [_summed([_pair(c.zf, i, j) for c in parts]) for parts in together.values()]
            for i, j in _triangle(first[0].zz.nrows())
        ]
        f = first[0].zf.ncols()
        rows = [gram.entries() for grams in by_entry for gram in grams]
        return _Levels(
            term=components[0].levels[0][0],
            N=[n[None] for n in N],
            flat=flat[None],
            times=np.array([len(parts) for parts in together.values()], dtype=np.float64),
            grams=Enclosures.of_balls(arb_mat(rows)),
            width=f,
        )

    def add(self, points: Sequence[Covariances]) -> tuple[Floats, Enclosures]:
        """Lower bound of the log determinant, and what [X y]'[X y] loses, (N, f, f)."""
        added = _added(self.N, self.flat, points[self.term])
        K = _joined(added.K)
        lost = K @ self.grams
        shape = (len(K.mid), self.width, self.width)
        log = (added.log * self.times).sum(axis=1)
        log = log - 4 * len(self.times) * 2.0**-52 * np.abs(added.log * self.times).sum(axis=1)
        return log, Enclosures(lost.mid.reshape(shape), lost.rad.reshape(shape))

    def any_direction(self, t: Enclosures, b: Enclosures) -> Floats:
        """Lower bounds of the log determinant at b I + t v v'.

        |I + N G| = 1 + b tr N + t v'N v + |N| b (b + t), and |N| / tr N is below v'N v.
        """
        trace = self.N[0] + self.N[2]
        least = (self.flat * trace.reciprocal()).lower
        rest = Enclosures.exact(np.where(np.isfinite(least), np.maximum(least, 0.0), 0.0))
        one, other = t[:, None], b[:, None]
        D = other * trace + one * rest + self.flat * (other * (other + one)) + 1.0
        return _safe_sum(log_below(D.lower) * self.times * (1 - 1e-15))


@dataclass(frozen=True)
class _Tied:
    """Components of several levels, k of one shape; the leading levels of each are alike in kind.

    ``grams`` (k, entries of all leading levels, cells) as in `_Levels`, with the columns of the
    other levels before those of [X y]; ``base`` (k, c, c) what those products are at V = I.
    """

    lead: int
    N: list[Enclosures]
    flat: Enclosures
    grams: Enclosures
    base: Enclosures
    rest: list[tuple[int, int, int]]

    @staticmethod
    def of(components: Sequence[Component]) -> _Tied:
        """Put the largest term first."""
        splits = [c.split for c in components]
        within = [_products_within(s.own) for s in splits]
        grams = [
            [_pair(side, i, j).entries() for i, j in _triangle(s.unit.nrows()) for side in s.levels]
            for s in splits
        ]
        return _Tied(
            lead=splits[0].term,
            N=[_stack([w[0][e] for w in within])[None] for e in range(len(within[0][0]))],
            flat=_stack([w[1] for w in within])[None],
            grams=_stack([Enclosures.of_balls(arb_mat(g)) for g in grams]),
            base=_stack([Enclosures.of_balls(_base(s.rest, s.rest_f)) for s in splits]),
            rest=splits[0].rest_spans,
        )

    def any_direction(self, t: Enclosures, b: Enclosures) -> Floats:
        """Components of several levels have several terms: nothing is known but log|V| >= 0."""
        del b
        return np.zeros(len(t.mid))

    def add(self, points: Sequence[Covariances]) -> tuple[Floats, Enclosures]:
        """Lower bound of the log determinant, and what [X y]'[X y] loses, (N, f, f)."""
        added = _added(self.N, self.flat, points[self.lead])
        K = _joined(added.K)
        lost = K[:, :, None] @ self.grams
        c = self.base.mid.shape[-1]
        shape = (*K.mid.shape[:2], c, c)
        left = self.base[None] - Enclosures(lost.mid.reshape(shape), lost.rad.reshape(shape))
        log = _safe_sum(added.log)
        for at, term, q in self.rest:
            del at  # the level is always the first of those that are left
            N = [left[:, :, i, j] for i, j in _triangle(q)]
            flat = N[0] if q == 1 else (N[0] * N[2] - N[1] * N[1]).not_below(0.0)
            step = _added(N, flat, points[term])
            log = log + _safe_sum(step.log)
            rows = [left[:, :, i, q:] for i in range(q)]
            left = left[:, :, q:, q:]
            for (i, j), k in zip(_triangle(q), step.K, strict=True):
                turned = k[..., None, None] * rows[i][..., :, None] * rows[j][..., None, :]
                left = left - turned
                if i != j:
                    left = left - Enclosures(turned.mid.swapaxes(2, 3), turned.rad.swapaxes(2, 3))
        return log, -left.sum(axis=1)


def _safe_sum(log: Floats) -> Floats:
    """A lower bound of the sum of lower bounds over all axes but the first."""
    flat = log.reshape(len(log), -1)
    slack = 4 * flat.shape[1] * 2.0**-52 * np.abs(flat).sum(axis=1)
    return np.asarray(flat.sum(axis=1) - np.where(np.isfinite(slack), slack, 0.0))


def _triangle(q: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(q) for j in range(i, q)]


def _products_within(blocks: Sequence[arb_mat]) -> tuple[list[Enclosures], Enclosures]:
    """Entries of the upper triangle of each block, and its determinant, at least 0."""
    q = blocks[0].nrows()
    entries = [
        Enclosures.of_balls(arb_mat(1, len(blocks), [b[i, j] for b in blocks]))[0]
        for i, j in _triangle(q)
    ]
    flat = arb_mat(1, len(blocks), [b.det() for b in blocks])
    return entries, Enclosures.of_balls(flat)[0].not_below(0.0)


def _pair(rows: arb_mat, i: int, j: int) -> arb_mat:
    """Outer product of two rows, made symmetric; what entry (i, j) of K stands before."""
    table = rows.table()
    one, other = arb_mat([table[i]]), arb_mat([table[j]])
    product = one.transpose() * other
    return product if i == j else product + product.transpose()


def _summed(parts: Sequence[arb_mat]) -> arb_mat:
    return sum(parts[1:], parts[0])


def _base(rest: arb_mat, rest_f: arb_mat) -> arb_mat:
    """[[Z_B'Z_B, Z_B'[X y]], [.., 0]]."""
    top = [a + b for a, b in zip(rest.table(), rest_f.table(), strict=True)]
    zeros = [arb(0)] * rest_f.ncols()
    return arb_mat(top + [row + zeros for row in rest_f.transpose().table()])


def bordered(products: CrossProducts) -> arb_mat:
    """[X y]'[X y], (p + 1, p + 1)."""
    xy = products.xy.entries()
    rows = [[*row, b] for row, b in zip(products.xx.table(), xy, strict=True)]
    return arb_mat([*rows, [*xy, products.yy]])


def _joined(K: Sequence[Enclosures]) -> Enclosures:
    """Entries of K side by side: all levels of the first, then of the next."""
    return Enclosures(
        np.concatenate([k.mid for k in K], axis=-1), np.concatenate([k.rad for k in K], axis=-1)
    )


def _stack(parts: Sequence[Enclosures]) -> Enclosures:
    return Enclosures(np.stack([p.mid for p in parts]), np.stack([p.rad for p in parts]))
