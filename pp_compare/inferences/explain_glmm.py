"""Partial pooling of a generalised mixed model, on the scale of the link, with a model's numbers.

What a level's rows say by themselves is the maximum of their own likelihood, the rest of the model
as an offset; it is infinite where all of them are failures, or all successes. Where a level has one
effect in a term the conditional mode lies between that and 0: with v the level's information,
averaged between the two, and s2 the variance of its effect, mode = own * s2 v / (1 + s2 v).

Against the model without random effects there are two differences, which add up exactly: a
generalised linear model speaks of the average over levels, which under the logit is flatter than
any level's own curve; and it weighs rows as if they were independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pp_compare.certified.glmm.data import GlmmData
from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.certified.glmm.search import glm, scored
from pp_compare.certified.glmm.separation import separating_direction
from pp_compare.engines.glmm.registry import fit_glmm
from pp_compare.errors import InputError, quoted
from pp_compare.identities.conditional_modes import (
    Modes,
    conditional_modes,
    cumulant,
    mean_and_variance,
)
from pp_compare.model import Fit
from pp_compare.model.design import Block
from pp_compare.model.glmm import GlmmDesign

CERTIFIED = "certified"

NATS = 40.0
"""Where an integrand has fallen this far below its top, the rest of it is 1e-17 of the whole."""

NODES = 2001
"""Of a trapezoidal sum between such ends, 18 apart in spherical effects at most. The integrand is
analytic in a strip of pi/sd to either side, so the sum is off by some exp(-2 pi^2 / (sd step)),
which is e^-20 for a standard deviation of 100."""

TAIL = 9.0
"""Standard deviations beyond which a normal density has 1e-19 of its mass. With steps of half of
one, or half of 1/sd where that is less, the trapezoidal rule is off by less than e^-39: the
logistic function has its first pole at pi/sd."""


@dataclass(frozen=True, eq=False)
class GlmmEffects:
    """One random effect of one term, level by level; arrays are (levels,).

    Parameters
    ----------
    label : str
        Of the effect, such as ``Intercept``.
    group : str
    levels : tuple of str
    rows, trials, seen : ndarray of int
        Rows, trials (of counts the rows), successes or counts in all.
    own : ndarray
        The level's own estimate of the effect, the rest of the model as an offset; infinite where
        its likelihood rises for ever, nan where its rows do not determine it.
    weight : ndarray
        How far the mode rises when the level's own effect is one larger, to first order: 1 is no
        pooling.
    mode : ndarray
        The conditional mode.
    mean : ndarray or None
        The conditional mean, of one random intercept.
    """

    label: str
    group: str
    levels: tuple[str, ...]
    rows: np.ndarray
    trials: np.ndarray
    seen: np.ndarray
    own: np.ndarray
    weight: np.ndarray
    mode: np.ndarray
    mean: np.ndarray | None


@dataclass(frozen=True, eq=False)
class GlmmExplanation:
    """Partial pooling of a generalised mixed model, step by step.

    Parameters
    ----------
    title : str
        Of the data.
    design : GlmmDesign
    fit : Fit
        Where the estimates come from.
    effects : tuple of GlmmEffects
        Of every term and column.
    lines : mapping of str to ndarray, each (p,)
        Fixed effects of the ``mixed model``; of ``glm`` (complete pooling); and ``averaged``: what
        glm says of the mixed model's own means, averaged over the random effects.
    marginal : ndarray, shape (n,)
        These means, a trial or a count.
    """

    title: str
    design: GlmmDesign
    fit: Fit
    effects: tuple[GlmmEffects, ...]
    lines: Mapping[str, np.ndarray]
    marginal: np.ndarray

    @cached_property
    def averaging(self) -> np.ndarray:
        """Of the difference glm less mixed model: what comes of averaging over levels, (p,)."""
        return np.asarray(self.lines["averaged"] - self.lines["mixed model"])

    @cached_property
    def weighing(self) -> np.ndarray:
        """The rest of it: what comes of how the rows are weighed, (p,)."""
        return np.asarray(self.lines["glm"] - self.lines["averaged"])

    @property
    def random_intercept(self) -> bool:
        """Whether all that is random is one intercept."""
        blocks = self.design.design.blocks
        return len(blocks) == 1 and bool((blocks[0].Z == 1).all()) and blocks[0].Z.shape[1] == 1

    @cached_property
    def deviations(self) -> tuple[float, ...]:
        """Standard deviation of each of `effects`, on the scale of the link."""
        parts = self.design.design.by_block(self.fit.covariances)
        return tuple(float(np.sqrt(v)) for part in parts for v in np.diag(part))


def explain_glmm(design: GlmmDesign, engine: str = CERTIFIED, title: str = "") -> GlmmExplanation:
    """Explain the partial pooling of a generalised mixed model.

    Parameters
    ----------
    design : GlmmDesign
    engine : str
        Whose estimates are explained: an engine of generalised models, or ``certified``, of the
        most exact criterion that is proved for the model; ``certified:laplace`` of another one.
    title : str

    Raises
    ------
    InputError
        Where there is no maximum, or the engine does not answer.
    UnavailableError
        Where the engine does not run here.
    """
    name, _, definition = engine.partition(":")
    fit = _certified(design, definition) if name == CERTIFIED else fit_glmm(engine, design)
    if fit.status != "ok":
        raise InputError(f"{engine} does not answer: {'; '.join(fit.messages)}")
    return glmm_explanation_of(design, fit, title)


def glmm_explanation_of(design: GlmmDesign, fit: Fit, title: str = "") -> GlmmExplanation:
    """The explanation at the estimates of a Fit with status ``"ok"``."""
    inner, beta = design.design, fit["beta"]
    modes = conditional_modes(design, beta, fit.covariances)
    marginal = marginal_means(design, beta, fit.covariances)
    means = marginal * design.trials
    lines = {
        "mixed model": beta,
        "glm": glm(_data(design, inner.X, design.offset, slice(None))),
        "averaged": scored(design.family, inner.X, means, design.trials, design.offset),
    }
    effects = tuple(_effects(design, fit, modes))
    return GlmmExplanation(title or inner.dataset.name, design, fit, effects, lines, marginal)


def _certified(design: GlmmDesign, definition: str) -> Fit:
    model = GlmmModel(design)
    definition = definition or model.definitions[0]
    if why := model.why_not(definition):
        raise InputError(f"no certified optimum of {quoted(definition)}: {why}")
    answer = model.optimum(definition)
    if not answer.found or answer.claim == "none":
        return Fit.failed(CERTIFIED, answer.reason)
    name = f"{CERTIFIED}:{definition}"
    extra = {"claim": answer.claim, "reason": answer.reason}
    return Fit(name, "ok", answer.quantities, definition=definition, extra=extra)


def _data(
    design: GlmmDesign, X: np.ndarray, offset: np.ndarray, rows: np.ndarray | slice
) -> GlmmData:
    """Rows as a model without random effects."""
    return GlmmData(
        design.family, design.y[rows], design.trials[rows], X[rows], offset[rows], terms=()
    )


# ---- level by level -----------------------------------------------------------------------------


def _effects(design: GlmmDesign, fit: Fit, modes: Modes) -> Iterator[GlmmEffects]:
    blocks = design.design.blocks
    alone = len(blocks) == 1 and blocks[0].Z.shape[1] == 1 and bool((blocks[0].Z == 1).all())
    for block, b, weight in zip(blocks, modes.effects, modes.weight, strict=True):
        rest = modes.predictor - np.einsum("ij,ij->i", block.Z, b[block.codes])
        own = _own(design, block, rest)
        mean = None
        if alone:
            sd = float(np.sqrt(fit.covariances[block.group][0, 0]))
            mean = conditional_means(design, rest, sd, b[:, 0])
        for k, label in enumerate(block.labels):
            yield GlmmEffects(
                label=label,
                group=block.group,
                levels=block.levels,
                rows=np.bincount(block.codes),
                trials=_sums(block, design.trials),
                seen=_sums(block, design.y),
                own=own[:, k],
                weight=weight[:, k],
                mode=b[:, k],
                mean=mean,
            )


def _sums(block: Block, values: np.ndarray) -> np.ndarray:
    return np.rint(np.bincount(block.codes, values)).astype(np.int64)


def _own(design: GlmmDesign, block: Block, rest: np.ndarray) -> np.ndarray:
    """Each level's own estimates, (levels, q)."""
    order = np.argsort(block.codes, kind="stable")
    ends = np.cumsum(np.bincount(block.codes))[:-1]
    found = [_of_level(_data(design, block.Z, rest, rows)) for rows in np.split(order, ends)]
    return np.array(found)


def _of_level(data: GlmmData) -> np.ndarray:
    q = data.X.shape[1]
    if np.linalg.matrix_rank(data.X) < q:
        return np.full(q, np.nan)
    direction = separating_direction(data)
    if direction is None:
        return glm(data)
    # Along a direction of several effects which of them grow is no fact of the data.
    alone = float(np.sign(float(direction[0]))) * np.inf if q == 1 else np.nan
    return np.full(q, alone)


def conditional_means(
    design: GlmmDesign, rest: np.ndarray, sd: float, modes: np.ndarray
) -> np.ndarray:
    """Of each level's random intercept its mean given the data, by the trapezoidal rule.

    Parameters
    ----------
    design : GlmmDesign
        With one random intercept.
    rest : ndarray, shape (n,)
        Linear predictors without the random effect.
    sd : float
    modes : ndarray, shape (levels,)
    """
    block = design.design.blocks[0]
    if sd == 0:
        return np.zeros(len(modes))
    order = np.argsort(block.codes, kind="stable")
    levels = np.split(order, np.cumsum(np.bincount(block.codes))[:-1])
    pairs = zip(modes.tolist(), levels, strict=True)
    return np.array([_mean_of_level(design, rows, rest, sd, mode) for mode, rows in pairs])


def _mean_of_level(
    design: GlmmDesign, rows: np.ndarray, rest: np.ndarray, sd: float, mode: float
) -> float:
    total, trials, base = design.y[rows].sum(), design.trials[rows], rest[rows, None]

    def height(u: np.ndarray) -> np.ndarray:
        below = trials @ cumulant(design.family, base + sd * u)
        return np.asarray(total * sd * u - below - u**2 / 2)

    top = mode / sd
    peak = float(height(np.array([top]))[0])
    low, high = (top + side * _reach(lambda t: peak - height(t), top, side) for side in (-1, 1))
    u = np.linspace(low, high, NODES)
    weights = np.exp(height(u) - peak)
    return float(sd * (weights @ u) / weights.sum())


def _reach(fall: Callable[[np.ndarray], np.ndarray], top: float, side: int) -> float:
    """How far from its top a log-concave integrand with curvature 1 or more has fallen `NATS`."""
    low, high = 0.0, float(np.sqrt(2 * NATS))
    for _ in range(30):
        middle = (low + high) / 2
        if float(fall(np.array([top + side * middle]))[0]) < NATS:
            low = middle
        else:
            high = middle
    return high


# ---- averaged over the random effects -----------------------------------------------------------


def marginal_means(
    design: GlmmDesign, beta: np.ndarray, covariances: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Mean of a trial or a count of each row, over its random effects, (n,).

    Of counts exp(eta + v/2), v the variance of the row's effects; of trials by the trapezoidal
    rule.
    """
    inner = design.design
    eta = design.offset + inner.X @ beta
    variance = np.zeros(inner.n_obs)
    for block, part in zip(inner.blocks, inner.by_block(covariances), strict=True):
        variance += np.einsum("ij,jk,ik->i", block.Z, part, block.Z)
    if design.family == "poisson":
        return np.asarray(np.exp(eta + variance / 2))
    kinds, at = np.unique(np.column_stack([eta, np.sqrt(variance)]), axis=0, return_inverse=True)
    found = np.array([_averaged(level, sd) for level, sd in kinds.tolist()])
    return np.asarray(found[at.ravel()])


def averaged_curve(eta: np.ndarray, sd: float) -> np.ndarray:
    """Mean of a trial at linear predictors of the fixed part, over a normal effect."""
    return np.array([_averaged(level, sd) for level in eta.tolist()])


def _averaged(eta: float, sd: float) -> float:
    """The mean of 1 / (1 + e^-(eta + sd z)), z standard normal."""
    step = min(0.5, 0.5 / sd) if sd > 0 else 0.5
    z = np.arange(-TAIL, TAIL + step, step)
    weights = np.exp(-(z**2) / 2)
    mean, _ = mean_and_variance("binomial", eta + sd * z, np.ones(len(z)))
    return float(weights @ mean / weights.sum())
