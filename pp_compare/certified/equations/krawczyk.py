"""Proof that a smooth function has exactly one stationary point in a box, and that it is a minimum.

Existence and uniqueness follow from Krawczyk's operator (Krawczyk 1969; Neumaier 1990, Interval
Methods for Systems of Equations, theorem 5.1.8): with x the midpoint of a box X, Y any matrix,

    K(X) = x - Y g(x) + (I - Y H(X)) (X - x)

and K(X) inside the interior of X, the gradient g has one and only one zero in X and it lies in
K(X). That the zero is a minimum follows from a Hessian H(X) which is positive definite for every
symmetric matrix it encloses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flint import arb, arb_mat, ctx

from pp_compare.errors import PPCompareError

Derivatives = Callable[[arb_mat], tuple[arb_mat, arb_mat]]
"""Maps a (t, 1) argument, exact or a box, to enclosures of gradient (t, 1) and Hessian (t, t)."""

Gradient = Callable[[arb_mat], arb_mat]

NEWTON_STEPS = 15
"""From eight digits Newton needs four or five steps; fifteen means that it is going nowhere."""

CONDITIONING = 32
"""Bits that ill-conditioned equations may cost where half the precision is wanted."""

BOX_PRECISION = 128
"""Bits for the Hessian over a wide box, whose width exceeds any rounding at 128 bits."""

BOX_RADII = (3, 5, 7, 10, 14, 20, 30)
"""The uniqueness box is tried with radii 2^-k times the curvature scale, the widest first."""


class NotProvedError(PPCompareError):
    """A certificate was sought and not reached; the message says which step failed."""


class UndecidedError(NotProvedError):
    """The balls are too wide to tell; more precision may."""


@dataclass(frozen=True)
class Minimum:
    """A proved local minimum.

    Attributes
    ----------
    point : (t, 1) arb_mat
        Encloses the minimiser.
    box : (t, 1) arb_mat
        A box around it that holds no other stationary point, and on which the function is
        strictly convex.
    scale : tuple of float
        Square roots of the diagonal of the inverse Hessian: the length of a coordinate that
        raises the function by one half.
    """

    point: arb_mat
    box: arb_mat
    scale: tuple[float, ...]


def cholesky(a: arb_mat, name: str = "the matrix") -> arb_mat:
    """Return the lower Cholesky factor of a ball matrix, which proves it positive definite.

    The lower triangle is read, so what is proved holds for every symmetric matrix that ``a``
    encloses. Raises NotProvedError, with ``name`` in the message, unless every pivot is certainly
    positive.
    """
    n = a.nrows()
    factor = arb_mat(n, n)
    for j in range(n):
        pivot = a[j, j] - sum((factor[j, k] * factor[j, k] for k in range(j)), arb(0))
        if not pivot > 0:
            kind = NotProvedError if pivot < 0 else UndecidedError
            raise kind(
                f"{name} is not certainly positive definite: pivot {j + 1} of {n} is {pivot.str(6)}"
            )
        factor[j, j] = pivot.sqrt()
        for i in range(j + 1, n):
            dot = sum((factor[i, k] * factor[j, k] for k in range(j)), arb(0))
            factor[i, j] = (a[i, j] - dot) / factor[j, j]
    return factor


def certified_minimum(
    derivatives: Derivatives,
    start: arb_mat,
    *,
    digits: int,
    gradient: Gradient | None = None,
    curvature: arb_mat | None = None,
    wide: bool = True,
) -> Minimum:
    """Enclose the minimum near ``start`` and prove that it is one.

    Parameters
    ----------
    derivatives : callable
        Enclosures of gradient and Hessian; evaluated at ``ctx.prec`` bits.
    start : (t, 1) arb_mat
        Some eight digits of the minimiser.
    digits : int
        The enclosure's radius is at most 10^-digits times the curvature scale.
    gradient : callable, optional
        The gradient alone, where it takes less time.
    curvature : (t, t) arb_mat, optional
        About the Hessian at ``start``; with it Newton's method needs gradients only.
    wide : bool
        Whether to look for a box of uniqueness wider than the enclosure.

    Raises
    ------
    NotProvedError
        If Newton's method does not converge, the Hessian is not positive definite, the operator
        does not map a box into itself, or the precision is too low for ``digits``.
    """
    slope = gradient or (lambda x: derivatives(x)[0])
    x, limit = start.mid(), arb(10) ** -digits
    # A box of half the digits gives them all, unless the Hessian varies much within it.
    for steps, last in ((digits / 2 + 4, False), (digits + 2, False), (3 * digits, True)):
        x, at, whitener = _newton(derivatives, slope, x, curvature, 10.0**-steps)
        try:
            point, whitener, step, scale = _tight(derivatives, x, at, whitener, limit)
            break
        except UndecidedError:
            if last:
                raise
    box = _uniqueness_box(derivatives, x, step, whitener, scale) if wide else None
    return Minimum(
        point=point,
        box=point if box is None else box,
        scale=tuple(float(s) for s in scale),
    )


def _newton(
    derivatives: Derivatives,
    slope: Gradient,
    x: arb_mat,
    curvature: arb_mat | None,
    limit: float,
) -> tuple[arb_mat, arb_mat, arb_mat]:
    """Iterate until the next step, in units of the curvature scale, is below ``limit``.

    Nothing here has to be rigorous. Returns the point, its gradient, and C with C C' near the
    inverse of the Hessian.
    """
    fixed = None if curvature is None else _if_positive(curvature)
    before, came_from = arb("inf"), x
    full = ctx.prec
    first = full if fixed is None else _half(full)
    for bits in (first, *[full] * NEWTON_STEPS):
        with ctx.workprec(bits):
            if fixed is None:
                at, hessian = derivatives(x)
                whitener = _whitener(hessian, "the Hessian")
            else:
                at, whitener = slope(x), fixed
        blurred = whitener.transpose() * at
        white = blurred.mid()
        size = _norm(white.entries())
        if size < limit and bits == full:
            return x, at, whitener
        if fixed is not None and not size < before / 1000:
            fixed = None  # the approximate Hessian does not do: Newton's own from here on
            if not size < before:  # and has led away
                x = came_from
                continue
        before, came_from = size, x
        x = (x - whitener * white).mid()
    if any(entry.rad() > limit for entry in blurred.entries()):
        raise UndecidedError(f"{ctx.prec} bits are too few for a step of Newton's method")
    raise NotProvedError(f"Newton's method has not converged in {NEWTON_STEPS} steps")


def _half(bits: int) -> int:
    """Precision at which half the digits of a result are right, conditioning included.

    The first step from a float64 start gives no more, nor is more needed of a Hessian over a box
    whose radius is half the digits: what it is multiplied by has the others.
    """
    return min(bits, bits // 2 + CONDITIONING)


def _if_positive(curvature: arb_mat) -> arb_mat | None:
    try:
        return _whitener(curvature, "the approximate Hessian")
    except NotProvedError:
        return None


def _whitener(hessian: arb_mat, name: str) -> arb_mat:
    """C with C' H C near I, so that C C' is near the inverse of H."""
    return cholesky(hessian, name).inv().transpose().mid()


def _is_narrow(point: arb_mat, scale: list[arb], limit: arb) -> bool:
    return all(point[i, 0].rad() < limit * s for i, s in enumerate(scale))


def _tight(
    derivatives: Derivatives, x: arb_mat, at: arb_mat, whitener: arb_mat, limit: arb
) -> tuple[arb_mat, arb_mat, arb_mat, list[arb]]:
    """Enclose the zero, the box inflated until the operator maps it into itself."""
    floor = arb(2) ** -(ctx.prec * 3 // 4)
    step = whitener * (whitener.transpose() * at)
    scale = [_norm(row) for row in whitener.tolist()]
    for inflation, bits in ((4, _half(ctx.prec)), *((k, ctx.prec) for k in (4, 1 << 12, 1 << 24))):
        radii = [inflation * step[i, 0].abs_upper() + floor * s for i, s in enumerate(scale)]
        box = _box(x, radii)
        with ctx.workprec(bits):
            _, hessian = derivatives(box)
        try:
            whitener = _whitener(hessian, "the Hessian")
        except UndecidedError:
            if bits == ctx.prec:
                raise
            continue
        step = whitener * (whitener.transpose() * at)
        image = _image(hessian, box, x, step, whitener)
        if image is None:
            continue
        scale = [_norm(row) for row in whitener.tolist()]
        if _is_narrow(image, scale, limit):
            return image, whitener, step, scale
        if bits == ctx.prec:
            raise UndecidedError(f"{ctx.prec} bits are too few for the digits")
    raise UndecidedError(f"the Krawczyk operator maps no small box into itself at {ctx.prec} bits")


def _uniqueness_box(
    derivatives: Derivatives, x: arb_mat, step: arb_mat, whitener: arb_mat, scale: list[arb]
) -> arb_mat | None:
    with ctx.workprec(BOX_PRECISION):
        for k in BOX_RADII:
            box = _box(x, [s * arb(2) ** -k for s in scale])
            if _krawczyk(derivatives, box, x, step, whitener) is not None:
                return box
    return None


def _krawczyk(
    derivatives: Derivatives, box: arb_mat, x: arb_mat, step: arb_mat, whitener: arb_mat
) -> arb_mat | None:
    """Return the operator's image, or None where it proves nothing."""
    return _image(derivatives(box)[1], box, x, step, whitener)


def _image(
    hessian: arb_mat, box: arb_mat, x: arb_mat, step: arb_mat, whitener: arb_mat
) -> arb_mat | None:
    """The same with the Hessian's enclosure over the box."""
    white = whitener.transpose() * hessian * whitener
    try:
        cholesky(white)
    except NotProvedError:
        return None
    move = (_identity(box.nrows()) - whitener * (whitener.transpose() * hessian)) * (box - x) - step
    inside = all(move[i, 0].abs_upper() < box[i, 0].rad() for i in range(box.nrows()))
    return x + move if inside else None


def _box(x: arb_mat, radii: list[arb]) -> arb_mat:
    return arb_mat([[arb(x[i, 0], r)] for i, r in enumerate(radii)])


def _identity(n: int) -> arb_mat:
    return arb_mat([[int(i == j) for j in range(n)] for i in range(n)])


def _norm(entries: list[arb]) -> arb:
    return sum((e * e for e in entries), arb(0)).mid().sqrt().mid()
