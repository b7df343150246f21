"""What can be asked of an engine that is not right: its ladder of attempts, cheapest first.

An `Attempt` both is run and writes the code to paste, from one record, so that the two cannot
differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pp_compare.engines import Engine
from pp_compare.engines import lme4 as lme4_engine
from pp_compare.engines import nlme as nlme_engine
from pp_compare.engines import statsmodels as statsmodels_engine
from pp_compare.engines._r import REngine
from pp_compare.engines._rpy2 import session
from pp_compare.engines.source.python import mixedlm_call
from pp_compare.engines.source.r import lme_call, lmer_call
from pp_compare.engines.statsmodels import StatsmodelsEngine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.model.rescaling import Rescaling, to_unit_size

Step = Mapping[str, Any]

START_DIGITS = 3
"""Of a start value: enough to be near the optimum, few enough to be typed and not to be the answer
itself; the engine still has to find the rest."""

# Beyond the engine's registered settings: lme()'s limits raised, for both of its optimisers.
_LONGER: Step = {"maxIter": 500.0, "msMaxIter": 1000.0, "msMaxEval": 5000.0}
_LONGER_OPTIM: Step = {"opt": "optim", "niterEM": 1000.0, **_LONGER}


@dataclass(frozen=True)
class Attempt:
    """One thing to ask of an engine.

    Parameters
    ----------
    package : {"lme4", "nlme", "statsmodels"}
    setting : str
        As in an engine id; "" for the engine's default.
    steps : tuple of mapping
        Arguments of ``lmerControl()``, ``lmeControl()`` or ``MixedLM.fit``, a call each.
    scaling : Rescaling or None
        Predictors to divide first.
    start : mapping
        Where to start: lme4's ``theta``, or the parts of ``MixedLMParams``.
    """

    package: str
    setting: str
    steps: tuple[Step, ...] = ({},)
    scaling: Rescaling | None = None
    start: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The engine id, and what was done beside it: ``lme4:bobyqa, C / 100``."""
        engine = f"{self.package}:{self.setting}" if self.setting else self.package
        factors = self.scaling.factors if self.scaling else {}
        divided = [f"{name} / {factor:g}" for name, factor in factors.items()]
        return ", ".join([engine, *divided, *(["start values"] if self.start else [])])

    def engine(self) -> Engine:
        """The engine, set as asked; R is started where it is one of R's."""
        if self.package == "lme4":
            theta = tuple(self.start.get("theta", ()))
            return REngine(
                self.name, lme4_engine.Lme4(self.steps, start=theta), session(self.package)
            )
        if self.package == "nlme":
            return REngine(self.name, nlme_engine.Nlme(self.steps[0]), session(self.package))
        return StatsmodelsEngine(self.name, self.steps, self.start)

    def fit(self, design: Design) -> Fit:
        """Fit the design; the numbers come back in its own units."""
        engine = self.engine()
        if self.scaling is None:
            return engine.fit(design)
        return self.scaling.back(design, engine.fit(self.scaling.design(design)))

    def code(self, design: Design) -> str:
        """The call, to paste; the data are called ``data``."""
        if self.package == "lme4":
            return lmer_call(design, self.steps, self.scaling, self.start.get("theta", ()))
        if self.package == "nlme":
            return lme_call(design, self.steps[0], self.scaling)
        return mixedlm_call(design, self.steps, self.scaling, self.start)


def ladder(engine_id: str, design: Design, best: Mapping[str, Quantity]) -> list[Attempt]:
    """What to try for an engine, cheapest first, without what was asked of it already.

    Parameters
    ----------
    engine_id : str
        Of the engine that is not right.
    design : Design
    best : mapping of str to Quantity
        The certified numbers; rounded, they are the last resort's start values.

    Returns
    -------
    list of Attempt
        Empty for an engine that nothing is known of.
    """
    package, _, setting = engine_id.partition(":")
    if package not in _LADDERS:
        return []
    plain = [Attempt(package, name, steps) for name, steps in _LADDERS[package].items()]
    quick = [a for a in plain if a.setting != "tight"]
    tight = [a for a in plain if a.setting == "tight"]
    tried = [a for a in quick if a.setting != setting]
    slow = [a for a in tight if a.setting != setting]
    scaled = [replace(a, scaling=s) for s in _scalings(design) for a in quick]
    return [*tried, *scaled, *slow, *_from_start(package, design, best)]


def _scalings(design: Design) -> list[Rescaling]:
    """Predictors with a random slope to unit size; then all of them, where they are more."""
    found = [to_unit_size(design, random_only) for random_only in (True, False)]
    return list({str(s.factors): s for s in found if s is not None}.values())


_LADDERS: Mapping[str, Mapping[str, tuple[Step, ...]]] = {
    "lme4": {
        "": ({},),
        **{name: tuple(lme4_engine.SETTINGS[name]) for name in ("bobyqa", "nlminb", "neldermead")},
        "tight": tuple(lme4_engine.SETTINGS["tight"]),
    },
    "nlme": {
        "": ({},),
        "optim": (nlme_engine.SETTINGS["optim"],),
        "longer": (_LONGER,),
        "longer, optim": (_LONGER_OPTIM,),
        "tight": (nlme_engine.SETTINGS["tight"],),
    },
    "statsmodels": {
        "": ({},),
        **{name: ({"method": name},) for name in ("powell", "cg", "nm")},
        "tight": statsmodels_engine.TIGHT,
    },
}


def _from_start(package: str, design: Design, best: Mapping[str, Quantity]) -> Iterator[Attempt]:
    """The last resort: optimisers that see values only, from rounded certified numbers."""
    if package == "lme4":
        theta = _theta_in_lme4s_order(design, best)
        yield Attempt(package, "", ({},), start={"theta": theta})
        yield Attempt(package, "bobyqa", _LADDERS[package]["bobyqa"], start={"theta": theta})
    if package == "statsmodels":
        start = _mixedlm_start(design, best)
        yield Attempt(package, "powell", _LADDERS[package]["powell"], start=start)
        yield Attempt(package, "nm", _LADDERS[package]["nm"], start=start)


def relative_factors(design: Design, best: Mapping[str, Quantity]) -> list[np.ndarray]:
    """Relative covariance factor of each block, (q, q) lower triangular, to `START_DIGITS`."""
    covariances = {g: best[f"random_cov[{g}]"].values for g in design.group_levels}
    sigma = float(best["sigma"].values)
    return [_rounded(_factor(cov / sigma**2)) for cov in design.by_block(covariances)]


def _factor(cov: np.ndarray) -> np.ndarray:
    """Cholesky factor, of a singular matrix too: QR of a square root has one."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    factor = np.asarray(np.linalg.qr(root.T, mode="r")).T
    return np.asarray(factor * np.where(np.diag(factor) < 0, -1.0, 1.0))


def _rounded(values: np.ndarray) -> np.ndarray:
    numbers = [float(f"{x:.{START_DIGITS}g}") + 0.0 for x in values.ravel().tolist()]
    return np.array(numbers).reshape(values.shape)


def _theta_in_lme4s_order(design: Design, best: Mapping[str, Quantity]) -> tuple[float, ...]:
    """Theta; lme4 puts terms with more levels first (``mkReTrms``: ``rev(order(nl))``)."""
    sizes = [len(block.levels) for block in design.blocks]
    order = list(range(len(sizes)))
    if any(np.diff(sizes) > 0):
        order = sorted(order, key=lambda i: sizes[i])[::-1]
    factors = relative_factors(design, best)
    return tuple(float(f[i, k]) for f in (factors[j] for j in order) for k in range(len(f))
                 for i in range(k, len(f)))  # fmt: skip


def _mixedlm_start(design: Design, best: Mapping[str, Quantity]) -> Mapping[str, Any]:
    plan = statsmodels_engine.layout(design)
    if isinstance(plan, str):
        return {}
    factors = dict(zip(map(id, design.blocks), relative_factors(design, best), strict=True))
    correlated = factors[id(plan.correlated)].tolist() if plan.correlated is not None else []
    return {
        "fe_params": _rounded(best["beta"].values).tolist(),
        "cov_re_sqrt": correlated,
        "vcomp": [float(factors[id(block)][0, 0] ** 2) for block in plan.independent],
    }
