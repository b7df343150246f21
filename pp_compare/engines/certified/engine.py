"""The certified engine: the optimum of the criterion with a proof, as a Fit."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import flint

from pp_compare import __version__
from pp_compare.design import Design
from pp_compare.engines import Engine
from pp_compare.engines.certified.models import DegenerateModelError, certified_model
from pp_compare.errors import DataError, InputError, PPCompareError
from pp_compare.model import Fit


def make(setting: str | None) -> Engine:
    """Engine factory; the certified engine has no settings."""
    if setting is not None:
        raise InputError(f"the certified engine has no setting '{setting}'")
    return CertifiedEngine()


@dataclass(frozen=True)
class CertifiedEngine:
    """The certified optimum, rounded to the nearest doubles.

    `Fit.extra` holds ``claim`` (what is proved), ``reason``, ``digits`` (30 digits of the main
    numbers) and ``optima`` (every local optimum that is known, the best first).
    """

    name: str = "certified"

    def unsupported(self, design: Design) -> str | None:
        """Nothing is refused beforehand; a model without an optimum is told by the fit."""
        del design
        return None

    def fit(self, design: Design) -> Fit:
        """Certify; a criterion that has no optimum is the answer ``"unsupported"``, with why."""
        start = time.perf_counter()
        try:
            optimum = certified_model(design).optimum
        except (DegenerateModelError, DataError) as reason:
            return Fit.unsupported(self.name, str(reason))
        except PPCompareError as error:
            return Fit.failed(self.name, str(error))
        return Fit(
            engine=self.name,
            status="ok",
            quantities=optimum.quantities,
            converged=optimum.claim != "none",
            singular=optimum.singular,
            messages=(optimum.reason,) if optimum.reason else (),
            versions={"pp-compare": __version__, "python-flint": flint.__version__},
            seconds=time.perf_counter() - start,
            extra={
                "claim": optimum.claim,
                "reason": optimum.reason,
                "digits": dict(optimum.digits),
                "optima": [asdict(point) for point in optimum.optima],
            },
        )
