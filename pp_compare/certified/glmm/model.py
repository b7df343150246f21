"""One face for the criteria of a generalised mixed model: their optima, and their values anywhere.

Definition ids: ``exact`` (one random intercept), ``laplace`` (any random structure), ``agq:k``
(adaptive Gauss-Hermite with k nodes, one random intercept).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.glmm.agq import MOST_NODES, AgqCriterion
from pp_compare.certified.glmm.data import Effects, Floats, GlmmData
from pp_compare.certified.glmm.exact import ExactCriterion
from pp_compare.certified.glmm.laplace import LaplaceCriterion
from pp_compare.certified.glmm.optimum import GlmmOptimum, glmm_optimum
from pp_compare.certified.glmm.search import BITS as SEARCH_BITS
from pp_compare.certified.glmm.search import Criterion
from pp_compare.errors import DataError, InputError
from pp_compare.model import Quantity
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign

BITS = 128
"""Of a value at given numbers: its enclosure then has some thirty digits."""

DIGITS = 30

STEP = 0.1
"""Of second differences of the curvature, in its units: 1/100 of the sixth derivative stays."""


@dataclass(frozen=True)
class Enclosure:
    """A number between two doubles, with as many digits as are certain."""

    digits: str
    lower: float
    upper: float

    @property
    def middle(self) -> float:
        """The double in the middle."""
        return self.lower + (self.upper - self.lower) / 2


@dataclass(frozen=True, eq=False)
class Answer:
    """An optimum in the vocabulary of the project.

    Parameters
    ----------
    definition : str
    claim : {"local", "none"}
    reason : str
        Why no more is claimed.
    quantities : dict of Quantity
        ``beta``, ``beta_cov``, ``beta_se`` (from the second derivatives in all parameters),
        ``random_cov[g]``, ``loglik``; empty where there is no maximum.
    digits : mapping of str to str
        The main numbers to 30 digits.
    direction : tuple of float
        Of the fixed effects, along which the likelihood rises for ever.
    singular : bool
        Whether a standard deviation is 0.
    """

    definition: str
    claim: str
    reason: str
    quantities: dict[str, Quantity]
    digits: Mapping[str, str]
    direction: tuple[float, ...] = ()
    singular: bool = False

    @property
    def found(self) -> bool:
        """Whether there are numbers."""
        return bool(self.quantities)


@dataclass(frozen=True, eq=False)
class Nearness:
    """A criterion at an engine's numbers.

    Parameters
    ----------
    value : Enclosure
        The log-likelihood.
    decrement : float
        What Newton's method expects to gain from there; nan where the criterion is not concave.
    beta_se : ndarray, shape (p,)
        Standard errors of the fixed effects from the second derivatives there; nan likewise.
    known_se : ndarray, shape (p,)
        The same with the covariances of the random effects taken for known.
    """

    value: Enclosure
    decrement: float
    beta_se: np.ndarray
    known_se: np.ndarray


class GlmmModel:
    """The criteria of one design.

    Parameters
    ----------
    design : GlmmDesign
    starts : sequence of (beta, covariances)
        Answers of engines, from which the search for Laplace's optimum starts too where there are
        several random terms: there another optimum is common.
    """

    def __init__(
        self,
        design: GlmmDesign,
        starts: Sequence[tuple[Floats, Mapping[str, Floats]]] = (),
    ) -> None:
        self.design = design
        self.starts = tuple(starts)
        inner = design.design
        self.data = GlmmData(
            design.family,
            design.y,
            design.trials,
            inner.X,
            design.offset,
            tuple(Effects(block.codes.astype(np.int64), block.Z) for block in inner.blocks),
        )
        self._answers: dict[str, Answer] = {}
        self._optima: dict[str, GlmmOptimum] = {}
        self._fourth: dict[str, float] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """The design: balls do not cross to another process."""
        return GlmmModel, (self.design, self.starts)

    @property
    def definitions(self) -> tuple[str, ...]:
        """Those that always exist for the model, the most exact first."""
        return ("exact", "laplace") if self.data.is_random_intercept else ("laplace",)

    def why_not(self, definition: str) -> str:
        """Why a criterion is not worked out for the model; empty where it is."""
        kind, _, nodes = definition.partition(":")
        if kind == "laplace":
            return ""
        if kind not in ("exact", "agq"):
            return f"'{definition}' has no criterion that is worked out here"
        if not self.data.is_random_intercept:
            return f"'{definition}' is worked out for one random intercept and nothing else random"
        if kind == "agq" and not (nodes.isdigit() and 1 <= int(nodes) <= MOST_NODES):
            return f"agq takes a number of nodes from 1 to {MOST_NODES}, as in agq:10"
        return ""

    def criterion(self, definition: str) -> Criterion:
        """The criterion of that definition.

        Raises
        ------
        InputError
            Where it is not worked out for the model (`why_not`).
        """
        why = self.why_not(definition)
        if why:
            raise InputError(why)
        kind, _, nodes = definition.partition(":")
        if kind == "exact":
            return self._exact
        if kind == "agq":
            return AgqCriterion(self.data, int(nodes))
        return self._laplace

    @cached_property
    def _exact(self) -> ExactCriterion:
        return ExactCriterion(self.data)

    @cached_property
    def _laplace(self) -> LaplaceCriterion:
        try:
            return LaplaceCriterion(self.data)
        except NotProvedError as failure:
            raise DataError(str(failure)) from None

    def optimum(self, definition: str) -> Answer:
        """The certified optimum of a criterion; worked out once."""
        if definition not in self._answers:
            self._answers[definition] = self._answer(self.found(definition))
        return self._answers[definition]

    def found(self, definition: str) -> GlmmOptimum:
        """The optimum in balls."""
        if definition not in self._optima:
            starts: list[Floats] = []
            if definition != "laplace":
                # Close to Laplace's, which is the fastest to find.
                near = self.found("laplace")
                starts = [] if near.at is None else [_middles(near.at)]
            also = self._also() if definition == "laplace" and len(self.data.terms) > 1 else []
            criterion = self.criterion(definition)
            self._optima[definition] = glmm_optimum(criterion, starts, also=also, digits=DIGITS)
        return self._optima[definition]

    def curvature(self, definition: str, label: str) -> float:
        """Minus the second derivative at the optimum in a fixed effect; nan where none is known."""
        information, labels = self.found(definition).information, self.design.design.labels
        if information is None or label not in labels:
            return float("nan")
        return float(information[labels.index(label), labels.index(label)])

    def fourth_derivative(self, definition: str) -> float:
        """The largest along a parameter at the optimum, in units of the curvature; nan of none."""
        if definition not in self._fourth:
            self._fourth[definition] = self._fourth_derivative(self.found(definition))
        return self._fourth[definition]

    def _fourth_derivative(self, found: GlmmOptimum) -> float:
        if found.at is None or found.information is None:
            return float("nan")
        definition = found.definition
        at, changes = _middles(found.at), []
        for r, bend in enumerate(np.diag(found.information).tolist()):
            step = STEP / np.sqrt(bend)
            ends = [self._bend(definition, at, r, side * step) for side in (-1, 1)]
            changes.append(abs(sum(ends) - 2 * bend) / step**2 / bend**2)
        return float(np.nanmax(changes))

    def _bend(self, definition: str, at: Floats, place: int, move: float) -> float:
        """The second derivative along a parameter; nan where it cannot be enclosed."""
        moved = at + move * (np.arange(len(at)) == place)
        if self.data.scalar:  # the criterion is even in every standard deviation
            moved[self.data.X.shape[1] :] = np.abs(moved[self.data.X.shape[1] :])
        there = arb_mat([[float(x)] for x in moved])
        with ctx.workprec(SEARCH_BITS):
            try:
                return float(self.criterion(definition).derivatives(there)[1][place, place].mid())
            except NotProvedError:
                return float("nan")

    def _also(self) -> list[Floats]:
        points = [self._numbers(beta, covariances) for beta, covariances in self.starts]
        return [np.array(point) for point in points if np.isfinite(point).all()]

    def value(self, definition: str, beta: Floats, covariances: Mapping[str, Floats]) -> Enclosure:
        """The log-likelihood at given numbers, enclosed.

        Parameters
        ----------
        definition : str
        beta : (p,) array
        covariances : mapping of str to (q, q) array
            Of the random effects, by grouping factor; positive semidefinite.

        Raises
        ------
        InputError
            Where the definition is not worked out, or the numbers are not finite.
        """
        with ctx.workprec(BITS):
            return _enclosure(-self.criterion(definition).value(self._at(beta, covariances)))

    def near(self, definition: str, beta: Floats, covariances: Mapping[str, Floats]) -> Nearness:
        """The log-likelihood at given numbers, and whether they are stationary."""
        with ctx.workprec(BITS):
            at = self._at(beta, covariances)
            value, gradient, hessian = self.criterion(definition).everything(at)
            slope, bend = _middles(gradient), _matrix(hessian)
            value = -value
            enclosure = _enclosure(value)
        free, p = _free(slope, bend), self.data.X.shape[1]
        slope, bend = slope[free], bend[np.ix_(free, free)]
        values = np.linalg.eigvalsh(bend)
        if not (values > 0).all():
            unknown = np.full(p, np.nan)
            return Nearness(enclosure, float("nan"), unknown, unknown)
        inverse = np.linalg.inv(bend)
        se = np.sqrt(np.diag(inverse)[:p])
        known = np.sqrt(np.diag(np.linalg.inv(bend[:p, :p])))
        return Nearness(enclosure, float(slope @ inverse @ slope / 2), se, known)

    def saturated(self) -> float:
        """The log-likelihood of a parameter a row: what a deviance is counted from."""
        y, n = self.design.y.astype(float), self.design.trials.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.design.family == "poisson":
                parts = np.where(y > 0, y * np.log(y), 0) - y
            else:
                parts = np.where(y > 0, y * np.log(y / n), 0)
                parts = parts + np.where(y < n, (n - y) * np.log1p(-y / n), 0)
        return float(parts.sum()) + float(self.data.constant().mid())

    def _at(self, beta: Floats, covariances: Mapping[str, Floats]) -> arb_mat:
        numbers = self._numbers(beta, covariances)
        if not np.isfinite(numbers).all():
            raise InputError("the criterion has a value where all numbers are finite")
        return arb_mat([[float(v)] for v in numbers])

    def _numbers(self, beta: Floats, covariances: Mapping[str, Floats]) -> list[float]:
        """Fixed effects and entries of the covariance factors; nan where there is none."""
        parts = self.design.design.by_block(covariances)
        return [*np.ravel(beta).tolist(), *(v for part in parts for v in _factor_entries(part))]

    def _answer(self, found: GlmmOptimum) -> Answer:
        digits: dict[str, str] = {}
        quantities: dict[str, Quantity] = {}
        if found.at is not None and found.loglik is not None and found.information is not None:
            p = self.data.X.shape[1]
            middles = _middles(found.at)
            free = [i for i in range(len(middles)) if i not in found.fixed_at_zero]
            quantities = labelled(
                self.design.design,
                {
                    "beta": middles[:p],
                    **_standard_errors(found.information, free, p),
                    **self.covariances(middles[p:]),
                    "loglik": np.array(float(found.loglik.mid())),
                },
            )
            names = [*(f"beta[{label}]" for label in self.design.design.labels)]
            names += [f"theta[{i + 1}]" for i in range(len(middles) - p)]
            digits = {"loglik": _digits(found.loglik)} | {
                name: _digits(x) for name, x in zip(names, found.at.entries(), strict=True)
            }
        return Answer(
            found.definition, found.claim, found.reason, quantities, digits, found.direction,
            bool(found.fixed_at_zero),
        )  # fmt: skip

    def covariances(self, theta: Floats) -> dict[str, Floats]:
        """``random_cov[g]`` of covariance factors."""
        inner = self.design.design
        blocks = []
        start = 0
        for term in self.data.terms:
            q = term.size
            factor = np.zeros((q, q))
            for j in range(q):
                for i in range(j, q):
                    factor[i, j] = theta[start]
                    start += 1
            blocks.append(factor @ factor.T)
        found = {}
        for group in inner.group_levels:
            own = [c for c, b in zip(blocks, inner.blocks, strict=True) if b.group == group]
            size = sum(len(c) for c in own)
            matrix, at = np.zeros((size, size)), 0
            for c in own:
                matrix[at : at + len(c), at : at + len(c)] = c
                at += len(c)
            found[f"random_cov[{group}]"] = matrix
        return found


def _standard_errors(information: Floats, free: list[int], p: int) -> dict[str, Floats]:
    """Covariance of the fixed effects from the second derivatives in all that is not fixed at 0."""
    cov = np.linalg.inv(information[np.ix_(free, free)])[:p, :p]
    with np.errstate(invalid="ignore"):
        return {"beta_cov": cov, "beta_se": np.sqrt(np.diag(cov))}


def _factor_entries(cov: Floats) -> list[float]:
    """Lower triangle, column by column, of a factor of a positive semidefinite matrix."""
    q = len(cov)
    if not np.isfinite(cov).all():
        return [float("nan")] * (q * (q + 1) // 2)
    if q == 1:
        return [float(np.sqrt(max(float(cov[0, 0]), 0.0)))]
    # A singular covariance has no Cholesky factor in floating point: QR of a square root has.
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    factor = np.asarray(np.linalg.qr(root.T, mode="r")).T
    factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
    return [float(factor[i, j]) for j in range(q) for i in range(j, q)]


def _free(slope: Floats, bend: Floats) -> list[int]:
    """Coordinates that move: at a standard deviation of 0 the gradient is 0, and so it stays."""
    unmoved = (slope == 0) & (np.diag(bend) > 0)
    return [i for i in range(len(slope)) if not unmoved[i]] or list(range(len(slope)))


def _enclosure(value: arb) -> Enclosure:
    lower, upper = (float(np.nextafter(float(end), way)) for end, way in _ends(value))
    return Enclosure(_digits(value), lower, upper)


def _ends(value: arb) -> list[tuple[arb, float]]:
    return [(value.lower(), -np.inf), (value.upper(), np.inf)]


def _digits(value: arb) -> str:
    return str(value.str(DIGITS + 4, radius=False))


def _middles(a: arb_mat) -> Floats:
    return np.array([float(x.mid()) for x in a.entries()])


def _matrix(a: arb_mat) -> Floats:
    return np.array([[float(x.mid()) for x in row] for row in a.tolist()])
