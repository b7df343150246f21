"""The certified engine: the optimum of the criterion with a proof, as a Fit."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import flint

from pp_compare.certified.models import (
    CertifiedModel,
    DegenerateModelError,
    certified_model,
    decimal_model,
)
from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.errors import DataError, PPCompareError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.version import __version__


def make(setting: str | None) -> Engine:
    """Engine factory: the truth of the doubles; with ``decimals`` that of the decimals.

    With ``global`` up to a minute goes into the proof that the optimum is the global one.
    """
    known = {"decimals": (True, 0.0), "global": (False, GLOBAL_SECONDS)}
    decimals, seconds = setting_of("certified", known, setting, default=(False, 0.0))
    return CertifiedEngine(engine_id("certified", setting), decimals, seconds)


GLOBAL_SECONDS = 60.0
"""For a global proof, where it is asked for: most models of up to 200 rows take a few."""


@dataclass(frozen=True)
class CertifiedEngine:
    """The certified optimum, rounded to the nearest doubles.

    Two truths are kept apart. That of the doubles is the optimum for the numbers that every engine
    is given. That of the decimals is the optimum for what was written: a double that was read from
    at most 15 significant digits prints as those digits again. They differ where the decimals do
    not fit a double, as 1000000000000.4 does not.

    `Fit.extra` holds ``claim`` (what is proved), ``reason``, ``existence`` (whether the variances
    are identified), ``digits`` (30 digits of the main numbers) and ``optima`` (every local optimum
    that is known, the best first).
    """

    name: str = "certified"
    decimals: bool = False
    seconds: float = 0.0
    weighted = True

    def unsupported(self, design: Design) -> str | None:
        """Only of decimals: the exact core for them is that of a single random intercept."""
        if self.decimals and not (design.spec.is_random_intercept and design.weights is None):
            return "the truth of the decimals is there for a single random intercept only"
        return None

    def _model(self, design: Design) -> CertifiedModel:
        if self.decimals:
            return decimal_model(design)
        return certified_model(design, seconds=self.seconds)

    def fit(self, design: Design) -> Fit:
        """Certify; a criterion that has no optimum is the answer ``"unsupported"``, with why."""
        reason = self.unsupported(design)
        if reason:
            return Fit.unsupported(self.name, reason)
        start = time.perf_counter()
        try:
            model = self._model(design)
            return certified_fit(model, self.name, time.perf_counter() - start)
        except (DegenerateModelError, DataError) as why:
            return Fit.unsupported(self.name, str(why))
        except PPCompareError as error:
            return Fit.failed(self.name, str(error))


def certified_fit(model: CertifiedModel, name: str = "certified", seconds: float = 0.0) -> Fit:
    """The optimum of a certified model as a Fit, with what the criterion does not fix left out.

    A report that judges by a model takes its certified column from the same one, so that the two
    cannot differ.

    Parameters
    ----------
    model : CertifiedModel
    name : str
        Engine id.
    seconds : float
        That the model took.
    """
    optimum, existence = model.optimum, model.existence
    return Fit(
        engine=name,
        status="ok",
        quantities=optimum.quantities,
        not_given=existence.not_given(optimum.representative),
        converged=optimum.claim != "none",
        singular=optimum.singular,
        messages=(optimum.reason,) if optimum.reason else (),
        versions={"pp-compare": __version__, "python-flint": flint.__version__},
        seconds=seconds,
        extra={
            "claim": optimum.claim,
            "reason": optimum.reason,
            "existence": existence.kind,
            "digits": dict(optimum.digits),
            "optima": [asdict(point) for point in optimum.optima],
        },
    )
