"""A linear mixed model at given relative covariances, and its criterion, in ball arithmetic.

With V = I + Z G Z' the marginal covariance over sigma^2 and P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1,
the profiled deviance is (Bates et al. 2015, J. Stat. Softw. 67(1), eqs 34 and 41)

    ML    log|V|                 + n     (1 + log(2 pi y'Py / n))
    REML  log|V| + log|X'V^-1 X| + (n-p) (1 + log(2 pi y'Py / (n-p)))

Everything follows from M = Z'V^-1 Z = (I + Z'Z G)^-1 Z'Z, C = Z'V^-1 X and w = Z'P y, which need no
inverse of G: a singular covariance is a point like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from flint import arb, arb_mat

from pp_compare.certified.components.component import Component, Stratum, part
from pp_compare.certified.components.elimination import WIDE, Eliminated
from pp_compare.certified.components.narrow import Narrow, Whole
from pp_compare.certified.equations.crossproducts import CrossProducts


class Piece(NamedTuple):
    """One component at a given G; ``solved`` has M (r, r), F (r, p + 1) and |I + Z'Z G|."""

    stratum: int
    component: Component
    solved: Whole | Eliminated | Moved


@dataclass(frozen=True)
class Moved:
    """M and F of a component at some distance from where it was solved; F in new columns."""

    system: arb_mat
    moment: arb_mat
    F: arb_mat

    @property
    def determinant(self) -> arb:
        """|I + Z'Z G|."""
        return self.system.det()


@dataclass(frozen=True)
class Solution:
    """The mixed model at given relative covariances, in the coordinates of CrossProducts.

    Attributes
    ----------
    G : tuple of (q, q) arb_mat
        Relative covariance of each random term.
    joint : tuple of (r, r) arb_mat
        G of a whole component, one for each stratum.
    pieces : tuple of Piece
        The components. The first p columns of their F are C = Z'V^-1 X, and F ``residual_of`` is
        w = Z'P y.
    precision, H : (p, p) arb_mat
        X'V^-1 X and its inverse.
    beta : (p, 1) arb_mat
    q : arb
        y'Py.
    residual_of : (p + 1, 1) arb_mat
    narrow : dict of int to Narrow
        Strata whose components were solved together, by their number.
    """

    products: CrossProducts
    G: tuple[arb_mat, ...]
    joint: tuple[arb_mat, ...]
    pieces: tuple[Piece, ...]
    precision: arb_mat
    H: arb_mat
    beta: arb_mat
    q: arb
    residual_of: arb_mat
    narrow: Mapping[int, Narrow] = field(default_factory=dict)

    def df(self, reml: bool) -> int:
        """The divisor of y'Py: n - p under REML, n under ML."""
        return self.products.n - (self.products.p if reml else 0)

    def w(self, piece: Piece) -> arb_mat:
        """Z'P y of a component, (r, 1)."""
        return piece.solved.F * self.residual_of

    def log_determinants(self, reml: bool) -> arb:
        """log|V|, under REML plus log|X'V^-1 X| in the model's own columns of X.

        With prior weights W the unit matrix in V is W^-1, and ``log_weights`` is the difference.
        """
        product = arb(1)
        for piece in self.pieces:
            product *= piece.solved.determinant
        value = product.log() - self.products.log_weights
        if reml:
            basis = self.products.coordinates.basis
            value += self.precision.det().log()
            value -= 2 * sum((basis[i, i].log() for i in range(self.products.p)), arb(0))
        return value

    def residual(self) -> arb:
        """Return y'Py in the units of the model's own y."""
        return self.q * arb(4) ** self.products.coordinates.y_exponent

    def profiled_deviance(self, reml: bool) -> arb:
        """-2 log-likelihood with beta and sigma profiled out, all constants included."""
        df = self.df(reml)
        return self.log_determinants(reml) + df * (1 + (2 * arb.pi() * self.residual() / df).log())

    def deviance(self, sigma2: arb, reml: bool) -> arb:
        """-2 log-likelihood at a given residual variance, only beta profiled out."""
        scale = self.df(reml) * (2 * arb.pi() * sigma2).log()
        return self.log_determinants(reml) + scale + self.residual() / sigma2

    def blups(self) -> list[arb_mat]:
        """Conditional means of the random effects, one (m, q) matrix a random term."""
        cp = self.products
        result: list[list[list[arb]]] = [[[]] * m for m in cp.levels]
        for piece in self.pieces:
            w, at = self.w(piece).entries(), 0
            for term, level in piece.component.levels:
                own = arb_mat(cp.sizes[term], 1, w[at : at + cp.sizes[term]])
                result[term][level] = (self.G[term] * own).entries()
                at += cp.sizes[term]
        zero = [[arb(0)] * q for q in cp.sizes]
        return [arb_mat([row or z for row in rows]) for rows, z in zip(result, zero, strict=True)]


def solve(products: CrossProducts, G: Sequence[arb_mat]) -> Solution:
    """Solve the mixed-model equations at relative covariances ``G``, one (q, q) a random term.

    Where the balls in ``G`` are too wide for a rigorous solution the result holds NaN, about
    which no comparison is ever certain. For wide balls ``perturb`` encloses more tightly.
    """
    joint, p = _joint(products, G), products.p
    explained = arb_mat(p + 1, p + 1)
    pieces: list[Piece] = []
    narrow: dict[int, Narrow] = {}
    for k, stratum in enumerate(products.strata):
        solved: Sequence[Whole | Eliminated]
        if len(stratum.blocks) > 1 and _width(products, stratum) > WIDE:
            wide = [Eliminated.of(component, G) for component in stratum.components]
            explained += sum((one.explained for one in wide[1:]), wide[0].explained)
            solved = wide
        else:
            narrow[k] = Narrow.of(stratum, joint[k])
            solved = narrow[k].wholes
            explained += narrow[k].explained(G)
        pieces += map(partial(Piece, k), stratum.components, solved)
    precision = products.xx - part(explained, 0, p, 0, p)
    xy = products.xy - part(explained, 0, p, p, 1)
    H = precision.inv(nonstop=True)
    beta = H * xy
    return Solution(
        products=products,
        G=tuple(G),
        joint=joint,
        pieces=tuple(pieces),
        precision=precision,
        H=H,
        beta=beta,
        q=products.yy - explained[p, p] - dot(xy, beta),
        residual_of=_column_over_one(-beta),
        narrow=narrow,
    )


def perturb(centre: Solution, G: Sequence[arb_mat]) -> Solution:
    """Solve at ``G`` by the change E from the solution at a point inside it.

    With N = (I + M0 E)^-1, Z'V^-1 = N Z'V0^-1 and P = P0 - P0 Z E Z'P, so that every quantity is
    its value at the centre plus terms of the order of E. Plain evaluation subtracts balls of the
    width of G from each other instead, and its enclosures are wider by orders of magnitude.
    """
    products = centre.products
    joint, p = _joint(products, G), products.p
    moves = [new - old for new, old in zip(joint, centre.joint, strict=True)]
    to_residual = _with_last_column(centre.residual_of)
    pieces, changed = [], arb_mat(p + 1, p + 1)
    for old in centre.pieces:
        move, before = moves[old.stratum], old.solved.F * to_residual
        N = _near_inverse(old.solved.moment * move)
        F = N * before
        system = _shifted(old.component.zz * joint[old.stratum])
        pieces.append(Piece(old.stratum, old.component, Moved(system, N * old.solved.moment, F)))
        changed += before.transpose() * (move * F)
    bend, pull = part(changed, 0, p, 0, p), part(changed, 0, p, p, 1)
    swell = _near_inverse(-(bend * centre.H))
    shift = centre.H * (swell * pull)
    return Solution(
        products=products,
        G=tuple(G),
        joint=joint,
        pieces=tuple(pieces),
        precision=centre.precision - bend,
        H=centre.H * swell,
        beta=centre.beta - shift,
        q=centre.q - changed[p, p] - dot(pull, shift),
        residual_of=_column_over_one(shift),
    )


def _column_over_one(a: arb_mat) -> arb_mat:
    """(p + 1, 1): a column with a 1 below it."""
    return arb_mat(a.nrows() + 1, 1, [*a.entries(), arb(1)])


def _with_last_column(a: arb_mat) -> arb_mat:
    """The unit matrix with its last column replaced."""
    n = a.nrows()
    return arb_mat([[a[i, 0] if j == n - 1 else int(i == j) for j in range(n)] for i in range(n)])


def _near_inverse(a: arb_mat) -> arb_mat:
    """(I + a)^-1 for small a, as I - a + a^2 (I + a)^-1: the first order without overestimation."""
    rough = _shifted(a).inv(nonstop=True)
    return _shifted(a * (a * rough) - a)


def _joint(products: CrossProducts, G: Sequence[arb_mat]) -> tuple[arb_mat, ...]:
    by_term = dict(enumerate(G))
    return tuple(block_diagonal(products, stratum, by_term) for stratum in products.strata)


def _width(products: CrossProducts, stratum: Stratum) -> int:
    return sum(products.sizes[block] for block in stratum.blocks)


def _shifted(a: arb_mat) -> arb_mat:
    """I + a."""
    result = +a
    for i in range(a.nrows()):
        result[i, i] += 1
    return result


def block_diagonal(
    products: CrossProducts, stratum: Stratum, matrices: Mapping[int, arb_mat]
) -> arb_mat:
    """The (r, r) matrix of a component, one block a level, zero for terms that are not given."""
    width = sum(products.sizes[block] for block in stratum.blocks)
    result = arb_mat(width, width)
    for block, start in zip(stratum.blocks, products.offsets(stratum), strict=True):
        if block in matrices:
            for j in range(products.sizes[block]):
                for k in range(products.sizes[block]):
                    result[start + j, start + k] = matrices[block][j, k]
    return result


def dot(a: arb_mat, b: arb_mat) -> arb:
    """Sum of the elementwise products of two matrices of the same shape."""
    size = a.nrows() * a.ncols()
    product = arb_mat(1, size, a.entries()) * arb_mat(size, 1, b.entries())
    return product[0, 0]
