"""Functions of a number that are several columns: polynomials and splines as R makes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_COLUMNS = 100
"""Of one polynomial or spline; more is a slip of the finger, and takes memory before it fails."""


def orthogonal_polynomials(x: np.ndarray, degree: int) -> np.ndarray:
    """Columns of R's ``poly(x, degree)``, (n, degree): orthogonal, of length 1.

    They come from a QR of the powers (Kennedy and Gentle 1980, p. 343), as R's do.

    Raises
    ------
    ValueError
        Where `x` has too few values for the degree, or the degree is above `MOST_COLUMNS`.
    """
    _refuse_many("degree", degree)
    if degree < 1 or degree >= len(np.unique(x)):
        raise ValueError(f"degree {degree} needs more than {degree} different values")
    powers = np.vander(x - x.mean(), degree + 1, increasing=True)
    q, r = np.linalg.qr(powers)
    columns = (q * np.sign(np.diag(r)))[:, 1:]
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    """Columns of ``poly(x, degree, raw = TRUE)``: x, x^2, ..."""
    _refuse_many("degree", degree)
    return np.column_stack([x ** (k + 1) for k in range(degree)])


def b_splines(
    x: np.ndarray,
    knots: Sequence[float] | None,
    df: int | None,
    degree: int,
    intercept: bool,
    boundary: tuple[float, float] | None,
) -> np.ndarray:
    """Columns of ``splines::bs``, which are also those of patsy's ``bs``.

    Raises
    ------
    ValueError
        For degrees of freedom, knots or boundaries that make no basis.
    """
    ends = _ends(x, boundary)
    inner = _inner_knots(x, knots, df, degree + intercept, ends)
    basis = _basis(x, inner, ends, degree)
    return basis if intercept else basis[:, 1:]


def natural_splines(
    x: np.ndarray,
    knots: Sequence[float] | None,
    df: int | None,
    intercept: bool,
    boundary: tuple[float, float] | None,
) -> np.ndarray:
    """Columns of ``splines::ns``: cubic splines, linear beyond the ends.

    Those of the B-splines on which the second derivative at both ends is 0: the last columns of the
    basis times the Q of the QR of these two conditions, as R's `ns` has it.

    Raises
    ------
    ValueError
        As `b_splines`.
    """
    ends = _ends(x, boundary)
    inner = _inner_knots(x, knots, df, 1 + intercept, ends)
    first = 0 if intercept else 1
    basis = _basis(x, inner, ends, 3)[:, first:]
    from scipy.interpolate import BSpline  # noqa: PLC0415 - dear, and few formulas have one

    conditions = BSpline(_all_knots(inner, ends, 3), np.eye(len(inner) + 4), 3).derivative(2)(ends)
    q, _ = np.linalg.qr(conditions[:, first:].T, mode="complete")
    natural: np.ndarray = (basis @ q)[:, 2:]
    return natural


def _refuse_many(name: str, number: int) -> None:
    if number > MOST_COLUMNS:
        raise ValueError(f"{name} = {number} is above {MOST_COLUMNS}, the most that is made here")


def _ends(x: np.ndarray, boundary: tuple[float, float] | None) -> tuple[float, float]:
    low, high = boundary or (float(x.min()), float(x.max()))
    if not (low <= x.min() and x.max() <= high and low < high):
        raise ValueError(f"the boundary knots {low:g}, {high:g} must hold all values between them")
    return low, high


def _inner_knots(
    x: np.ndarray,
    knots: Sequence[float] | None,
    df: int | None,
    taken: int,
    ends: tuple[float, float],
) -> np.ndarray:
    """The knots that are given, or as many quantiles as the degrees of freedom leave."""
    _refuse_many("df", max(df or 0, taken, len(knots or ())))
    if knots is not None:
        inner = np.sort(np.asarray(knots, dtype=float))
    else:
        number = (taken if df is None else df) - taken
        if number < 0:
            raise ValueError(f"df = {df} is too small; the least here is {taken}")
        inner = np.quantile(x, np.linspace(0, 1, number + 2)[1:-1])
    if len(inner) and not (ends[0] < inner[0] and inner[-1] < ends[1]):
        raise ValueError("an inner knot lies on or beyond the ends; ask for fewer or name them")
    return inner


def _all_knots(inner: np.ndarray, ends: tuple[float, float], degree: int) -> np.ndarray:
    return np.concatenate([[ends[0]] * (degree + 1), inner, [ends[1]] * (degree + 1)])


def _basis(x: np.ndarray, inner: np.ndarray, ends: tuple[float, float], degree: int) -> np.ndarray:
    knots = _all_knots(inner, ends, degree)
    from scipy.interpolate import BSpline  # noqa: PLC0415 - dear, and few formulas have one

    return np.asarray(BSpline.design_matrix(x, knots, degree).toarray())
