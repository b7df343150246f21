"""A linear mixed model at given relative covariances, and its criterion, in ball arithmetic.

With V = I + Z G Z' the marginal covariance over sigma^2 and P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1,
the profiled deviance is (Bates et al. 2015, J. Stat. Softw. 67(1), eqs 34 and 41)

    ML    log|V|                 + n     (1 + log(2 pi y'Py / n))
    REML  log|V| + log|X'V^-1 X| + (n-p) (1 + log(2 pi y'Py / (n-p)))

Everything follows from M = Z'V^-1 Z = (I + Z'Z G)^-1 Z'Z, C = Z'V^-1 X and w = Z'P y, which need no
inverse of G: a singular covariance is a point like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flint import arb, arb_mat

from pp_compare.certified.general.crossproducts import Component, CrossProducts, Stratum


@dataclass(frozen=True)
class Piece:
    """One component at a given G: I + Z'Z G (r, r), M (r, r) and C (r, p)."""

    stratum: int
    component: Component
    system: arb_mat
    M: arb_mat
    C: arb_mat


@dataclass(frozen=True)
class Solution:
    """The mixed model at given relative covariances, in the coordinates of CrossProducts.

    Attributes
    ----------
    G : tuple of (q, q) arb_mat
        Relative covariance of each random term.
    joint : tuple of (r, r) arb_mat
        G of a whole component, one for each stratum.
    precision, H : (p, p) arb_mat
        X'V^-1 X and its inverse.
    beta : (p, 1) arb_mat
    q : arb
        y'Py.
    w : tuple of (r, 1) arb_mat
        Z'P y of each component.
    """

    products: CrossProducts
    G: tuple[arb_mat, ...]
    joint: tuple[arb_mat, ...]
    pieces: tuple[Piece, ...]
    precision: arb_mat
    H: arb_mat
    beta: arb_mat
    q: arb
    w: tuple[arb_mat, ...]

    def df(self, reml: bool) -> int:
        """The divisor of y'Py: n - p under REML, n under ML."""
        return self.products.n - (self.products.p if reml else 0)

    def log_determinants(self, reml: bool) -> arb:
        """log|V|, under REML plus log|X'V^-1 X| in the model's own columns of X.

        With prior weights W the unit matrix in V is W^-1, and ``log_weights`` is the difference.
        """
        value = sum((piece.system.det().log() for piece in self.pieces), arb(0))
        value -= self.products.log_weights
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
        result = [arb_mat(m, q) for m, q in zip(cp.levels, cp.sizes, strict=True)]
        for piece, w in zip(self.pieces, self.w, strict=True):
            effects = self.joint[piece.stratum] * w
            offsets = cp.offsets(cp.strata[piece.stratum])
            for (block, level), start in zip(piece.component.levels, offsets, strict=True):
                for j in range(cp.sizes[block]):
                    result[block][level, j] = effects[start + j, 0]
        return result


def solve(products: CrossProducts, G: Sequence[arb_mat]) -> Solution:
    """Solve the mixed-model equations at relative covariances ``G``, one (q, q) a random term.

    Where the balls in ``G`` are too wide for a rigorous solution the result holds NaN, about
    which no comparison is ever certain. For wide balls ``perturb`` encloses more tightly.
    """
    joint = _joint(products, G)
    precision, xy, yy = products.xx, products.xy, products.yy
    pieces, raw = [], []
    for k, component in _components(products):
        system = _shifted(component.zz * joint[k])
        inverse = system.inv(nonstop=True)
        C, v = inverse * component.zx, inverse * component.zy
        left = joint[k] * component.zy
        precision = precision - component.zx.transpose() * (joint[k] * C)
        xy = xy - C.transpose() * left
        yy = yy - dot(left, v)
        pieces.append(Piece(k, component, system, inverse * component.zz, C))
        raw.append(v)
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
        q=yy - dot(xy, beta),
        w=tuple(v - piece.C * beta for piece, v in zip(pieces, raw, strict=True)),
    )


def perturb(centre: Solution, G: Sequence[arb_mat]) -> Solution:
    """Solve at ``G`` by the change E from the solution at a point inside it.

    With N = (I + M0 E)^-1, Z'V^-1 = N Z'V0^-1 and P = P0 - P0 Z E Z'P, so that every quantity is
    its value at the centre plus terms of the order of E. Plain evaluation subtracts balls of the
    width of G from each other instead, and its enclosures are wider by orders of magnitude.
    """
    products = centre.products
    joint = _joint(products, G)
    moves = [new - old for new, old in zip(joint, centre.joint, strict=True)]
    p = products.p
    pieces, spread = [], []
    bend, pull = arb_mat(p, p), arb_mat(p, 1)
    for old, w in zip(centre.pieces, centre.w, strict=True):
        move = moves[old.stratum]
        N = _near_inverse(old.M * move)
        system = _shifted(old.component.zz * joint[old.stratum])
        piece = Piece(old.stratum, old.component, system, N * old.M, N * old.C)
        bend += old.C.transpose() * (move * piece.C)
        pull += old.C.transpose() * (move * (N * w))
        pieces.append(piece)
        spread.append(N * w)
    swell = _near_inverse(-(bend * centre.H))
    shift = centre.H * (swell * pull)
    new_w = tuple(v + piece.C * shift for piece, v in zip(pieces, spread, strict=True))
    q = centre.q
    for piece, old_w, w in zip(pieces, centre.w, new_w, strict=True):
        q -= dot(old_w, moves[piece.stratum] * w)
    return Solution(
        products=products,
        G=tuple(G),
        joint=joint,
        pieces=tuple(pieces),
        precision=centre.precision - bend,
        H=centre.H * swell,
        beta=centre.beta - shift,
        q=q,
        w=new_w,
    )


def _near_inverse(a: arb_mat) -> arb_mat:
    """(I + a)^-1 for small a, as I - a + a^2 (I + a)^-1: the first order without overestimation."""
    rough = _shifted(a).inv(nonstop=True)
    return _shifted(a * (a * rough) - a)


def _joint(products: CrossProducts, G: Sequence[arb_mat]) -> tuple[arb_mat, ...]:
    by_term = dict(enumerate(G))
    return tuple(block_diagonal(products, stratum, by_term) for stratum in products.strata)


def _components(products: CrossProducts) -> Iterator[tuple[int, Component]]:
    """Components with the index of their stratum, in the order of ``Solution.pieces``."""
    for k, stratum in enumerate(products.strata):
        for component in stratum.components:
            yield k, component


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
