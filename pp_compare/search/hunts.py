"""What a search hunts for: each hunt has a kind of data and a measure of badness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from pp_compare.certified.models import certified_model
from pp_compare.data import strategies
from pp_compare.data.strategies import Example, Ranges
from pp_compare.engines import Engine
from pp_compare.identities import check_identities
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict import probes
from pp_compare.verdict.attribution import Stop, identity_cause, stop_of
from pp_compare.verdict.digits import excess
from pp_compare.verdict.tolerance import derive_tolerances

COPIES = 50
SMALL = Ranges(clusters=8, rows=6, crowd=0, predictors=1, scale_decades=2, offset_decades=1)

Badness = Callable[[Engine, Design], float]


@dataclass(frozen=True)
class Hunt:
    """One thing to look for.

    Parameters
    ----------
    id : str
    title : str
        What it means where it is found; ``{engine}`` is filled in.
    examples : strategy
    badness : callable
        Of an engine on a design; above 1 is found.
    engine : str
        Only engines of this name (``""`` for all); a setting in it is the one that is hunted.
    shown : callable
        The design that goes into the bundle, from the one that was found.
    script, expected : str
        A script of `mixedlm.plain_script` that shows it better than a fit, and what it should
        print.
    """

    id: str
    title: str
    examples: st.SearchStrategy[Example]
    badness: Badness
    engine: str = ""
    shown: Callable[[Design], Design] = lambda design: design
    script: str = ""
    expected: str = ""


def _two_optima(engine: Engine, design: Design) -> float:
    """Of the data, whatever the engine makes of them."""
    del engine
    return float(len(certified_model(design).optimum.optima))


def _wrong_optimum(engine: Engine, design: Design) -> float:
    """Height above the best optimum over its depth below the next one."""
    model = certified_model(design)
    if len(model.optimum.optima) < 2:
        return 0.0
    stop = _stop(engine, design)
    depth = float(model.optimum.optima[1].deviance) - model.optimum.deviance
    return 1.1 * stop.above / depth if stop and depth > 1e-3 else 0.0


def _early_stop(engine: Engine, design: Design) -> float:
    """Deviance above the only optimum, over the tolerance on it."""
    model = certified_model(design)
    if len(model.optimum.optima) > 1:
        return 0.0
    stop = _stop(engine, design)
    return stop.above / derive_tolerances(design, model).criterion if stop else 0.0


def _stop(engine: Engine, design: Design) -> Stop | None:
    fit = engine.fit(design)
    if fit.status != "ok":
        return None
    stop = stop_of(design, fit, certified_model(design))
    return stop if isinstance(stop, Stop) else None


def _broken_identity(engine: Engine, design: Design) -> float:
    """Largest error of an identity over its rounding, other definitions left out."""
    fit = engine.fit(design)
    return max(_broken(design, fit, definitions=False), default=0.0) if fit.status == "ok" else 0.0


def _other_definition(engine: Engine, design: Design) -> float:
    """The same of identities that hold by another definition."""
    fit = engine.fit(design)
    return max(_broken(design, fit, definitions=True), default=0.0) if fit.status == "ok" else 0.0


def _broken(design: Design, fit: Fit, *, definitions: bool) -> Iterator[float]:
    failed = [check for check in check_identities(design, fit) if check.verdict == "fail"]
    stop = stop_of(design, fit, certified_model(design)) if failed else None
    for check in failed:
        cause = identity_cause(design, fit, stop, check.identity)
        if (cause == "definition") == definitions:
            ratio = excess(check.error, check.tolerance)
            yield 1e6 if np.isnan(ratio) else min(ratio, 1e6)


def _no_answer(engine: Engine, design: Design) -> float:
    """2 where the engine raises although there is an optimum."""
    if engine.fit(design).status != "error":
        return 0.0
    certified_model(design)  # raises where there is none
    return 2.0


def _grows_with_rows(engine: Engine, design: Design) -> float:
    """Deviance above an interior optimum where every row stands many times, over ten times once."""
    many = probes.repeated(design, COPIES)
    if certified_model(many).optimum.singular or certified_model(design).optimum.singular:
        return 0.0
    once, stop = _stop(engine, design), _stop(engine, many)
    if once is None or stop is None:
        return 0.0
    return stop.above / probes.let_pass(many, once.above)


def _score_sign(engine: Engine, design: Design) -> float:
    """2 where the score has the wrong sign on the negative side alone."""
    del engine
    positive, negative = (
        probes.ask(probes.score(probes.FACTORS[sign], design)) for sign in ("positive", "negative")
    )
    return 2.0 if positive.ok and negative.text == probes.WRONG_SIGN else 0.0


def _variance_se_scale(engine: Engine, design: Design) -> float:
    """The standard error of a variance in other units, over what it should be there."""
    del engine
    # A refit in other units stops elsewhere; a factor of 2 is not the optimiser's doing.
    return abs(float(np.log2(probes.scale_ratio(*probes.scaled_error(design).answers()))))


HUNTS: tuple[Hunt, ...] = (
    Hunt(
        "two-optima",
        "The criterion has two local optima",
        strategies.one_cluster_and_singletons(),
        _two_optima,
    ),
    Hunt(
        "score-sign",
        "MixedLM.score has the wrong sign where the Cholesky factor is negative",
        strategies.random_intercept(ranges=SMALL, methods=("REML",)),
        _score_sign,
        "statsmodels",
        script="score",
        expected="The score is the derivative of the log-likelihood on both sides of 0. The "
        "optimisers follow it; where they cross 0 they walk away from the optimum.",
    ),
    Hunt(
        "variance-se-scale",
        "MixedLM's bse_re depends on the unit of the response",
        strategies.random_intercept(ranges=SMALL),
        _variance_se_scale,
        "statsmodels",
        script="variance_se",
        expected="With the response in units c times smaller, a variance and its standard error "
        "are both c^2 times as large.",
    ),
    Hunt(
        "other-definition",
        "{engine} reports standard errors by another definition",
        strategies.random_intercept(ranges=SMALL),
        _other_definition,
    ),
    Hunt(
        "broken-identity-lbfgs",
        "{engine}: the estimates contradict each other",
        strategies.random_intercept_cluster_level(ranges=SMALL),
        _broken_identity,
        "statsmodels:lbfgs",
    ),
    Hunt(
        "grows-with-rows",
        "{engine} stops further from the optimum the more rows there are",
        strategies.random_intercept(ranges=SMALL),
        _grows_with_rows,
        shown=lambda design: probes.repeated(design, COPIES),
    ),
    Hunt(
        "wrong-optimum",
        "{engine} stops at an optimum that is not the best",
        strategies.one_cluster_and_singletons(),
        _wrong_optimum,
    ),
    Hunt(
        "early-stop",
        "{engine} stops before the optimum",
        strategies.random_intercept(),
        _early_stop,
    ),
    Hunt(
        "no-answer",
        "{engine} raises although the model has an optimum",
        strategies.random_intercept_cluster_level(),
        _no_answer,
    ),
    Hunt(
        "broken-identity",
        "{engine}: the estimates contradict each other",
        st.one_of(strategies.random_intercept(), strategies.random_slopes(), strategies.crossed()),
        _broken_identity,
    ),
)
