"""The profiled criterion of a linear mixed model, its gradient and Hessian, in ball arithmetic.

With V = I + Z G Z' the marginal covariance over sigma^2 and P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1,
the profiled deviance is (Bates et al. 2015, J. Stat. Softw. 67(1), eqs 34 and 41)

    ML    log|V|                 + n     (1 + log(2 pi y'Py / n))
    REML  log|V| + log|X'V^-1 X| + (n-p) (1 + log(2 pi y'Py / (n-p)))

Everything follows from M = Z'V^-1 Z = (I + Z'Z G)^-1 Z'Z, C = Z'V^-1 X and w = Z'P y, which need no
inverse of G: a singular covariance is a point like any other. With A, B directions of G and
W = M (ML) or M - C (X'V^-1 X)^-1 C' = Z'P Z (REML), dV = Z A Z' gives (Searle, Casella & McCulloch
1992, Variance Components, section 6.3 and appendix M.7)

    d (log determinants) = tr(W A),        d^2 = -tr(W A W B)
    d (y'Py)             = -w'A w,         d^2 = 2 w'A (Z'PZ) B w
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flint import arb, arb_mat

from pp_compare.engines.certified.crossproducts import Component, CrossProducts, Stratum


@dataclass(frozen=True, order=True)
class Parameter:
    """An entry of the relative covariance factor T of one random term, G = T T'."""

    block: int
    row: int
    column: int


@dataclass(frozen=True)
class Piece:
    """One component at a given G: I + Z'Z G, M (r, r), C (r, p) and v = Z'V^-1 y (r, 1)."""

    stratum: int
    component: Component
    system: arb_mat
    M: arb_mat
    C: arb_mat
    v: arb_mat


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
        """log|V|, under REML plus log|X'V^-1 X| in the model's own columns of X."""
        value = sum((piece.system.det().log() for piece in self.pieces), arb(0))
        if reml:
            basis = self.products.basis
            value += self.precision.det().log()
            value -= 2 * sum((basis[i, i].log() for i in range(self.products.p)), arb(0))
        return value

    def residual(self) -> arb:
        """y'Py in the units of the model's own y."""
        return self.q * arb(4) ** self.products.y_exponent

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
    which no comparison is ever certain.
    """
    by_term = dict(enumerate(G))
    joint = tuple(_block_diagonal(products, stratum, by_term) for stratum in products.strata)
    pieces = tuple(
        _piece(k, component, joint[k])
        for k, stratum in enumerate(products.strata)
        for component in stratum.components
    )
    precision, xy, yy = products.xx, products.xy, products.yy
    for piece in pieces:
        data = piece.component
        left = joint[piece.stratum] * data.zy
        precision = precision - data.zx.transpose() * (joint[piece.stratum] * piece.C)
        xy = xy - piece.C.transpose() * left
        yy = yy - _dot(left, piece.v)
    H = precision.inv(nonstop=True)
    beta = H * xy
    return Solution(
        products=products,
        G=tuple(G),
        joint=joint,
        pieces=pieces,
        precision=precision,
        H=H,
        beta=beta,
        q=yy - _dot(xy, beta),
        w=tuple(piece.v - piece.C * beta for piece in pieces),
    )


def _piece(stratum: int, component: Component, G: arb_mat) -> Piece:
    system = component.zz * G
    for i in range(system.nrows()):
        system[i, i] += 1
    inverse = system.inv(nonstop=True)
    return Piece(
        stratum=stratum,
        component=component,
        system=system,
        M=inverse * component.zz,
        C=inverse * component.zx,
        v=inverse * component.zy,
    )


def slopes(solution: Solution, reml: bool) -> list[arb_mat]:
    """Return D, the gradient of the profiled deviance in G, one symmetric (q, q) a random term.

    A change A of one term's G changes the deviance by tr(D A) to first order.
    """
    cp = solution.products
    weight = solution.df(reml) / solution.q
    result = [arb_mat(q, q) for q in cp.sizes]
    for piece, w in zip(solution.pieces, solution.w, strict=True):
        projected = piece.C * solution.H
        offsets = cp.offsets(cp.strata[piece.stratum])
        for (block, _), start in zip(piece.component.levels, offsets, strict=True):
            rows = range(start, start + cp.sizes[block])
            for j, a in enumerate(rows):
                for k, b in enumerate(rows):
                    value = piece.M[a, b] - weight * w[a, 0] * w[b, 0]
                    if reml:
                        value -= _row_dot(projected, a, piece.C, b)
                    result[block][j, k] += value
    return result


def derivatives(
    solution: Solution, factors: Sequence[arb_mat], parameters: Sequence[Parameter], reml: bool
) -> tuple[arb_mat, arb_mat]:
    """Return gradient (t, 1) and Hessian (t, t) of the profiled deviance in entries of T.

    Parameters
    ----------
    solution : Solution
        At G = T T'.
    factors : sequence of (q, q) arb_mat
        T, one a random term.
    parameters : sequence of Parameter
        The entries that vary; all others are constants.
    """
    D = slopes(solution, reml)
    steep = [d * t for d, t in zip(D, factors, strict=True)]
    gradient = arb_mat([[2 * steep[p.block][p.row, p.column]] for p in parameters])
    hessian = _curvature(solution, [_direction(p, factors) for p in parameters], reml)
    for i, a in enumerate(parameters):
        for j, b in enumerate(parameters):
            if (a.block, a.column) == (b.block, b.column):
                hessian[i, j] += 2 * D[a.block][a.row, b.row]
    return gradient, hessian


def _direction(parameter: Parameter, factors: Sequence[arb_mat]) -> tuple[int, arb_mat]:
    """The derivative E T' + T E' of T T' in one entry of T, with the term it belongs to."""
    factor = factors[parameter.block]
    result = arb_mat(factor.nrows(), factor.nrows())
    for k in range(factor.nrows()):
        result[parameter.row, k] += factor[k, parameter.column]
        result[k, parameter.row] += factor[k, parameter.column]
    return parameter.block, result


@dataclass(frozen=True)
class _Sums:
    """What the second derivatives need, summed over components.

    For directions A and B: ``trace`` tr(M A M B), ``cross`` tr(H C'A M B C), ``bent`` w'A M B w
    (lower triangles), ``fixed`` C'A C, ``pull`` C'A w, ``push`` w'A w.
    """

    trace: arb_mat
    cross: arb_mat
    bent: arb_mat
    fixed: list[arb_mat]
    pull: list[arb_mat]
    push: list[arb]


def _curvature(
    solution: Solution, directions: Sequence[tuple[int, arb_mat]], reml: bool
) -> arb_mat:
    """Second derivatives of the deviance along directions of G, G taken as linear in them."""
    s = _curvature_sums(solution, directions)
    t, df, q, H = len(directions), solution.df(reml), solution.q, solution.H
    result = arb_mat(t, t)
    for i in range(t):
        for j in range(i + 1):
            value = -s.trace[i, j]
            if reml:
                value += 2 * s.cross[i, j] - _dot((H * s.fixed[i]).transpose(), H * s.fixed[j])
            bent = s.bent[i, j] - _dot(s.pull[i], H * s.pull[j])
            value += df * (2 * bent / q - s.push[i] * s.push[j] / q**2)
            result[i, j] = result[j, i] = value
    return result


def _curvature_sums(solution: Solution, directions: Sequence[tuple[int, arb_mat]]) -> _Sums:
    cp, t, p = solution.products, len(directions), solution.products.p
    sums = _Sums(
        trace=arb_mat(t, t),
        cross=arb_mat(t, t),
        bent=arb_mat(t, t),
        fixed=[arb_mat(p, p) for _ in range(t)],
        pull=[arb_mat(p, 1) for _ in range(t)],
        push=[arb(0) for _ in range(t)],
    )
    spread = [
        {
            i: _block_diagonal(cp, stratum, {block: matrix})
            for i, (block, matrix) in enumerate(directions)
            if block in stratum.blocks
        }
        for stratum in cp.strata
    ]
    for piece, w in zip(solution.pieces, solution.w, strict=True):
        _add_curvature(sums, piece, w, spread[piece.stratum], solution.H)
    return sums


def _add_curvature(
    sums: _Sums, piece: Piece, w: arb_mat, spread: Mapping[int, arb_mat], H: arb_mat
) -> None:
    MG = {i: piece.M * g for i, g in spread.items()}
    GC = {i: g * piece.C for i, g in spread.items()}
    Gw = {i: g * w for i, g in spread.items()}
    C = piece.C.transpose()
    for j in spread:
        MGC, MGw, flipped = piece.M * GC[j] * H, piece.M * Gw[j], MG[j].transpose()
        sums.fixed[j] += C * GC[j]
        sums.pull[j] += C * Gw[j]
        sums.push[j] += _dot(w, Gw[j])
        for i in spread:
            if i >= j:
                sums.trace[i, j] += _dot(MG[i], flipped)
                sums.cross[i, j] += _dot(GC[i], MGC)
                sums.bent[i, j] += _dot(Gw[i], MGw)


def _block_diagonal(
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


def _dot(a: arb_mat, b: arb_mat) -> arb:
    """Sum of the elementwise products of two matrices of the same shape."""
    size = a.nrows() * a.ncols()
    product = arb_mat(1, size, a.entries()) * arb_mat(size, 1, b.entries())
    return product[0, 0]


def _row_dot(a: arb_mat, row: int, b: arb_mat, other: int) -> arb:
    return sum((a[row, k] * b[other, k] for k in range(a.ncols())), arb(0))
