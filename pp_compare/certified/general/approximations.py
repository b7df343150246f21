"""Kenward and Roger's and Satterthwaite's approximations, in balls.

Every function takes contrasts L (l, p) of the fixed effects in the columns of the model, and gives
balls; a caller keeps to the precision of the `Information` with `flint.ctx.workprec`. V is linear
in its parameters, so Kenward and Roger's R, made of its second derivatives, is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb, arb_mat

from pp_compare.certified.equations.krawczyk import NotProvedError, cholesky
from pp_compare.certified.general.information import Information


@dataclass(frozen=True, eq=False)
class FixedEffects:
    """Contrasts of the fixed effects at the optimum, the variances taken as known."""

    info: Information

    def inner(self, L: np.ndarray) -> arb_mat:
        """Contrasts (l, p) as those of the scaled columns."""
        return _exact(L) * self.info.solution.products.coordinates.basis

    def values(self, L: np.ndarray) -> arb_mat:
        """L beta, (l, 1), in the unit of the response."""
        to = self.info.solution.products.coordinates
        beta = to.shift + to.basis * self.info.solution.beta * arb(2) ** to.y_exponent
        return _exact(L) * beta

    def covariance(self, L: np.ndarray) -> arb_mat:
        """L (X'V^-1 X)^-1 L', (l, l)."""
        inner = self.inner(L)
        return inner * self.info.solution.H * inner.transpose() * self.scale

    @property
    def scale(self) -> arb:
        """The residual variance in squared units of the response."""
        return self.info.sigma2 * arb(4) ** self.info.solution.products.coordinates.y_exponent


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """Kenward and Roger (1997), Biometrics 53, 983-997; REML.

    Parameters
    ----------
    effects : FixedEffects
    held : bool
        Leave out the random effects whose variance is 0 at the optimum.

    Raises
    ------
    NotProvedError
        At the first use, where the expected information is not certainly positive definite; and
        where boundary elements are to be left out that are not variances of 0.
    """

    effects: FixedEffects
    held: bool = False

    @cached_property
    def _kept(self) -> list[int]:
        """Elements that count."""
        info = self.effects.info
        if not self.held:
            return list(range(len(info.elements)))
        for block, factor in enumerate(info.factors):
            for row in info.face.dependent(block):
                if any(x != 0 for x in factor.table()[row]):
                    raise NotProvedError(
                        "a random effect is a multiple of others: the covariances of that rank are "
                        "curved, and Kenward and Roger's R is not 0 along them"
                    )
        inside = info.face.pivots
        return [
            i
            for i, e in enumerate(info.elements)
            if e.row in inside[e.block] and e.column in inside[e.block]
        ]

    @cached_property
    def _spread(self) -> arb_mat:
        """Asymptotic covariance of the variance parameters, all of V first."""
        at = [0, *(i + 1 for i in self._kept)]
        expected = self.effects.info.expected
        chosen = arb_mat([[expected[i, k] for k in at] for i in at])
        return 2 * _inverse(chosen, "the expected information of the variances")

    @cached_property
    def _adjusted(self) -> arb_mat:
        """Their adjusted covariance of the scaled fixed effects.

        What all of V adds to their Lambda is 0: Q_0k is P_0 Phi P_k.
        """
        info, W = self.effects.info, self._spread
        H = info.solution.H
        total = arb_mat(H.nrows(), H.ncols())
        for a, i in enumerate(self._kept, start=1):
            for b, k in enumerate(self._kept, start=1):
                total += W[a, b] * (info.second[i][k] - info.fixed[i] * H * info.fixed[k])
        return H + 2 * H * total * H

    def covariance(self, L: np.ndarray) -> arb_mat:
        """Adjusted covariance of the contrasts, (l, l)."""
        inner = self.effects.inner(L)
        return inner * self._adjusted * inner.transpose() * self.effects.scale

    def t_df(self, row: np.ndarray) -> arb:
        """Degrees of freedom of one contrast (p,): 2 / A2, which is what F on 1 and m gives."""
        A1, _ = self.sums(row[None])
        return 2 / A1

    def f(self, L: np.ndarray) -> tuple[arb, arb]:
        """Scaled F statistic of L beta = 0 and its denominator's degrees of freedom.

        Raises
        ------
        NotProvedError
            Where the formula gives no positive degrees of freedom or scale.
        """
        values = self.effects.values(L)
        plain = _form(self.covariance(L), values) / len(L)
        df, scale = scaled_f(*self.sums(L), len(L))
        if not (df > 0 and scale > 0):
            raise NotProvedError(f"the formula gives {df.str(5)} df and the scale {scale.str(5)}")
        return scale * plain, df

    def sums(self, L: np.ndarray) -> tuple[arb, arb]:
        """Their A1 and A2, from L Phi P_i Phi L' in units of L Phi L'."""
        info, W = self.effects.info, self._spread
        inner = self.effects.inner(L)
        v = info.solution.H * inner.transpose()
        unit = _inverse(inner * v, "the covariance of the contrasts")
        parts = [_identity(len(L))]
        parts += [unit * (v.transpose() * info.fixed[i] * v) for i in self._kept]
        traces = [part.trace() for part in parts]
        A1 = A2 = arb(0)
        for i, one in enumerate(parts):
            for k, other in enumerate(parts):
                A1 += W[i, k] * traces[i] * traces[k]
                A2 += W[i, k] * (one * other).trace()
        return A1, A2


def scaled_f(A1: arb, A2: arb, above: int) -> tuple[arb, arb]:
    """Kenward and Roger's degrees of freedom m and scale lambda (their section 3.2).

    With E = 1 - A2 / l their rho is (E / V1)^2 V0 / V2 / l, written here without a division by V2,
    which is 0 where m is 4. E and V1 are both 0 at A2 = l, for the two families that their formula
    is made to be exact for: A1 = l A2 (analysis of variance) and A1 = 2 A2 / (l + 1) (Hotelling's
    T2). E is V1 throughout these, so their ratio is 1 in the limit; at m = 2 the scale is 0 / 0 as
    well, with the limit 1 in the first and m (A2 / l) / (l + 1) in the second.

    Parameters
    ----------
    A1, A2 : arb
    above : int
        l, the number of contrasts.

    Returns
    -------
    m, scale : arb
        NaN where the formula divides by 0.
    """
    if above == 1:  # then A1 = A2, and all of the following is this
        return 2 / A2, arb(1)
    size = arb(above)
    B = (A1 + 6 * A2) / (2 * size)
    g = ((size + 1) * A1 - (size + 4) * A2) / ((size + 2) * A2)
    unit = 3 * size + 2 * (1 - g)
    V0 = 1 + g / unit * B
    V1 = 1 - (size - g) / unit * B
    V2 = 1 - (size + 2 - g) / unit * B
    E = 1 - A2 / size
    both = E.contains(0) and V1.contains(0)
    left, right = (arb(1), arb(1)) if both else (E**2, V1**2)
    m = 4 + (size + 2) * V2 * right / (left * V0 - right * V2)
    if both and (m - 2).contains(0):
        if (A1 - size * A2).contains(0):
            return m, arb(1)
        return m, m * (A2 / size) / (size + 1)
    return m, m * E / (m - 2)


@dataclass(frozen=True, eq=False)
class Satterthwaite:
    """Satterthwaite's degrees of freedom from the observed information of the variances.

    At an optimum they do not depend on how the variances are written: the slope of the deviance
    is 0, so its second derivatives are a tensor. On the boundary that holds along the face of the
    covariances of the same ranks, and it is there that they are taken.

    Raises
    ------
    NotProvedError
        At the first use, where the observed information is not certainly positive definite.
    """

    effects: FixedEffects

    @cached_property
    def _spread(self) -> arb_mat:
        return 2 * _inverse(self.effects.info.observed, "the observed information of the variances")

    def t_df(self, row: np.ndarray) -> arb:
        """Degrees of freedom of one contrast (p,): 2 var^2 / (g' A g)."""
        info = self.effects.info
        inner = self.effects.inner(row[None])
        v = info.solution.H * inner.transpose()
        variance = (inner * v)[0, 0]
        slopes = [variance, *((v.transpose() * fixed * v)[0, 0] for fixed in info.fixed)]
        g = info.tangents * arb_mat([[slope] for slope in slopes])
        return 2 * variance**2 / (g.transpose() * self._spread * g)[0, 0]

    def f(self, L: np.ndarray) -> tuple[arb, arb]:
        """F of L beta = 0, and its denominator's degrees of freedom as lmerTest 3.1 has them.

        The principal contrasts of the covariance of L beta are uncorrelated, and the mean of the
        squares of their t's is F; E of a sum of independent F(1, nu) gives the denominator's (Fai
        and Cornelius 1996). Where two of their variances are equal, which two are taken is
        arbitrary: where their nu then differ, so are the degrees of freedom.
        """
        covariance = self.effects.covariance(L)
        F = _form(covariance, self.effects.values(L)) / len(L)
        rounded = np.array([[float(x) for x in row] for row in covariance.tolist()])
        vectors = np.linalg.eigh(rounded)[1]
        nu = [self.t_df(vector @ L) for vector in vectors.T]
        return F, _denominator(nu)


def _denominator(nu: list[arb]) -> arb:
    """``lmerTest:::get_Fstat_ddf``: of equal ones, their mean; 2 where one has no more than 2."""
    if len(nu) == 1:
        return nu[0]
    values = [float(x) for x in nu]
    if np.ptp(values) < 1e-8:  # lmerTest's own bound
        return sum(nu, arb(0)) / len(nu)
    if min(values) <= 2:
        return arb(2)
    E = sum((x / (x - 2) for x in nu), arb(0))
    return 2 * E / (E - len(nu))


def _form(covariance: arb_mat, values: arb_mat) -> arb:
    """Values' covariance^-1 values."""
    inverse = _inverse(covariance, "the covariance of the contrasts")
    return (values.transpose() * inverse * values)[0, 0]


def _inverse(a: arb_mat, name: str) -> arb_mat:
    """The inverse of a matrix that is certainly positive definite."""
    cholesky(a, name)
    return a.inv()


def _exact(L: np.ndarray) -> arb_mat:
    return arb_mat([[arb(float(x)) for x in row] for row in L])


def _identity(size: int) -> arb_mat:
    return arb_mat([[int(i == k) for k in range(size)] for i in range(size)])
