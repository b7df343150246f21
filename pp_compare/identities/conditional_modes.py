"""The conditional modes of a generalised mixed model at given fixed effects and covariances.

With u the spherical random effects, b = Lambda u and M = Z Lambda, the modes maximise

    h(u) = y'eta - sum n a(eta) - u'u / 2,   eta = o + X beta + M u,   A = -h'' = I + M'W M,

W the variances of the rows at eta. h is strictly concave, so Newton's method with halved steps
finds them from anywhere (Pinheiro & Bates 1995, JCGS 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import block_diag, csc_array, csr_array, eye_array, hstack
from scipy.sparse.linalg import SuperLU, splu

from pp_compare.errors import InputError
from pp_compare.model.glmm import Family, GlmmDesign

CLOSE = 1e-12
"""Newton decrement before the last step: by its quadratic convergence 1e-24 is left after it, and
the modes are within 1e-12 of their spreads, but for rounding."""

STEPS = 100
"""Of Newton's method; a concave function needs some ten."""

COLUMNS = 256
"""Of the pooling matrix that are solved for at once: a few megabytes for a thousand levels."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Conditional modes, term by term; each array is (levels, q).

    Parameters
    ----------
    effects : tuple of ndarray
        The modes b.
    weight : tuple of ndarray
        How far a mode rises when the level's own effect is one larger, the rows weighted as they
        are at the modes: the diagonal of G Z'(W^-1 + Z G Z')^-1 Z. 1 is no pooling.
    predictor : ndarray, shape (n,)
        Linear predictors at the modes.
    information : ndarray, shape (p, p)
        X'(W^-1 + Z G Z')^-1 X, of the fixed effects where the modes follow them and the variances
        are known: lme4's with ``use.hessian = FALSE``.
    """

    effects: tuple[np.ndarray, ...]
    weight: tuple[np.ndarray, ...]
    predictor: np.ndarray
    information: np.ndarray


def conditional_modes(
    design: GlmmDesign, beta: np.ndarray, covariances: Mapping[str, np.ndarray]
) -> Modes:
    """Find the modes, for any random structure.

    Parameters
    ----------
    design : GlmmDesign
    beta : ndarray, shape (p,)
    covariances : mapping of str to ndarray
        Of the random effects, by grouping factor; they may be singular.

    Raises
    ------
    InputError
        Where numbers are not finite, or Newton's method does not arrive in double precision.
    """
    inner = design.design
    fixed = design.offset + inner.X @ beta
    parts = inner.by_block(covariances)
    if not np.isfinite(fixed).all() or not all(np.isfinite(part).all() for part in parts):
        raise InputError("the conditional modes are those of finite estimates")
    Z = csr_array(hstack([_columns(block.codes, block.Z) for block in inner.blocks]))
    counts = [len(block.levels) for block in inner.blocks]
    roots = [_root(part) for part, m in zip(parts, counts, strict=True) for _ in range(m)]
    Lambda = csr_array(block_diag(roots))
    M = csr_array(Z @ Lambda)
    u, predictor, factor = _newton(design, fixed, M)
    b = Lambda @ u
    weight = _pooling(design, predictor, Z, Lambda, M, factor)
    shapes = [(m, len(part)) for m, part in zip(counts, parts, strict=True)]
    information = _information(design, predictor, M, factor)
    return Modes(_split(b, shapes), _split(weight, shapes), predictor, information)


def mean_and_variance(
    family: Family, eta: np.ndarray, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each row, at its linear predictor."""
    with np.errstate(over="ignore"):
        if family == "poisson":
            mean = np.exp(eta)
            return mean, mean
        p = 1 / (1 + np.exp(-eta))
    return trials * p, trials * p * (1 - p)


def cumulant(family: Family, eta: np.ndarray) -> np.ndarray:
    """log(1 + e^eta), or e^eta."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(eta) if family == "poisson" else np.logaddexp(0, eta))


def _columns(codes: np.ndarray, Z: np.ndarray) -> csr_array:
    """A term's design over all its levels, (n, levels * q)."""
    n, q = Z.shape
    at = codes[:, None] * q + np.arange(q)
    rows = np.repeat(np.arange(n), q)
    return csr_array((Z.ravel(), (rows, at.ravel())), shape=(n, (int(codes.max()) + 1) * q))


def _root(cov: np.ndarray) -> np.ndarray:
    """A square root of a covariance, singular or not."""
    values, vectors = np.linalg.eigh(cov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _newton(
    design: GlmmDesign, fixed: np.ndarray, M: csr_array
) -> tuple[np.ndarray, np.ndarray, SuperLU]:
    family, y, n = design.family, design.y, design.trials

    def height(u: np.ndarray) -> float:
        eta = fixed + M @ u
        value = float(y @ eta - n @ cumulant(family, eta) - u @ u / 2)
        return value if np.isfinite(value) else -np.inf

    def state(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, SuperLU]:
        eta = fixed + M @ u
        mean, variance = mean_and_variance(family, eta, n)
        A = csc_array(M.T @ (M * variance[:, None]) + eye_array(len(u)))
        return eta, M.T @ (y - mean) - u, splu(A)

    u = np.zeros(M.shape[1])
    for _ in range(STEPS):
        _, slope, factor = state(u)
        step, share, best = factor.solve(slope), 1.0, height(u)
        # A sum of n terms is known to a few eps of itself: less than that is no descent.
        while height(u + share * step) < best - 1e-13 * abs(best) and share > 1e-10:
            share /= 2
        u = u + share * step
        if float(slope @ step) <= CLOSE:
            eta, _, factor = state(u)
            return u, eta, factor
    raise InputError("the conditional modes are not found in double precision")


def _pooling(
    design: GlmmDesign,
    predictor: np.ndarray,
    Z: csr_array,
    Lambda: csr_array,
    M: csr_array,
    factor: SuperLU,
) -> np.ndarray:
    """Diagonal of Lambda A^-1 M'W Z, which is G Z'(W^-1 + Z G Z')^-1 Z."""
    _, variance = mean_and_variance(design.family, predictor, design.trials)
    pulled = csc_array(M.T @ (Z * variance[:, None]))
    found = np.empty(Z.shape[1])
    for start in range(0, len(found), COLUMNS):
        chosen = np.arange(start, min(start + COLUMNS, len(found)))
        solved = factor.solve(pulled[:, chosen].toarray())
        found[chosen] = np.einsum("ij,ji->i", Lambda[chosen].toarray(), solved)
    return found


def _information(
    design: GlmmDesign, predictor: np.ndarray, M: csr_array, factor: SuperLU
) -> np.ndarray:
    """X'WX - X'W M A^-1 M'W X."""
    _, variance = mean_and_variance(design.family, predictor, design.trials)
    weighted = design.design.X * variance[:, None]
    pulled = np.asarray(M.T @ weighted)
    return np.asarray(design.design.X.T @ weighted - pulled.T @ factor.solve(pulled))


def _split(values: np.ndarray, shapes: list[tuple[int, int]]) -> tuple[np.ndarray, ...]:
    ends = np.cumsum([m * q for m, q in shapes])[:-1]
    parts = np.split(values, ends)
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
