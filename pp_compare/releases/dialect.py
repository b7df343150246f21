"""How the engine of a candidate is asked for a model, and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pp_compare.engines import statsmodels as native
from pp_compare.engines.glmm import statsmodels as bayes
from pp_compare.engines.glmm.statsmodels import StatsmodelsBayes
from pp_compare.model import Fit, Status
from pp_compare.model.answer import labelled
from pp_compare.model.design import Block, Design
from pp_compare.model.glmm import GlmmDesign

Answer = dict[str, Any]


class Dialect(Protocol):
    """What makes a request of a Design and a Fit of an answer."""

    @property
    def engine(self) -> str:
        """Engine id of the Fits."""

    @property
    def adapter(self) -> Path:
        """The file that a worker loads; it has ``about()`` and ``fit(request)``."""

    def request(self, design: Any) -> dict[str, Any] | str:
        """What ``fit`` of the adapter is given, or why the engine cannot express the model."""

    def read(self, design: Any, answer: Answer, versions: Mapping[str, str]) -> Fit:
        """The Fit."""


@dataclass(frozen=True)
class StatsmodelsDialect:
    """MixedLM, by the very code that asks and reads it in this process."""

    native: native.StatsmodelsEngine

    @property
    def engine(self) -> str:
        """Engine id of the Fits."""
        return self.native.name

    @property
    def adapter(self) -> Path:
        """The file that a worker loads."""
        return Path(native.__file__).with_name("mixedlm.py")

    def request(self, design: Design) -> dict[str, Any] | str:
        """What ``fit`` of the adapter is given, or why the engine cannot express the model."""
        plan = native.layout(design)
        if isinstance(plan, str):
            return plan
        return native.request(design, plan, self.native.steps)

    def read(self, design: Design, answer: Answer, versions: Mapping[str, str]) -> Fit:
        """The Fit."""
        plan = native.layout(design)
        if isinstance(plan, str):
            return Fit.unsupported(self.engine, plan)
        return native.read_fit(self.engine, self.native.steps, design, plan, answer, versions)


@dataclass(frozen=True)
class BayesDialect:
    """statsmodels' Bayesian mixed GLMs, by the code that asks and reads them in this process."""

    native: StatsmodelsBayes

    @property
    def engine(self) -> str:
        """Engine id of the Fits."""
        return self.native.name

    @property
    def adapter(self) -> Path:
        """The file that a worker loads."""
        return Path(bayes.__file__).with_name("bayes_mixed.py")

    def request(self, design: GlmmDesign) -> dict[str, Any] | str:
        """What ``fit`` of the adapter is given, or why the engine cannot express the model."""
        return self.native.unsupported(design) or self.native.request(design)

    def read(self, design: GlmmDesign, answer: Answer, versions: Mapping[str, str]) -> Fit:
        """The Fit."""
        return self.native.read(design, answer, versions)


@dataclass(frozen=True)
class PlainDialect:
    """Any engine, by an adapter that takes the matrices and gives quantities.

    The request holds ``formula`` (in lme4's grammar), ``method``, ``y``, ``X``, ``labels``,
    ``setting`` and ``blocks`` (``group``, ``levels``, ``codes``, ``labels``, ``Z``). The answer
    holds ``status`` (ok, error, unsupported), ``problem``, ``warnings``, ``converged``, ``seconds``
    and ``quantities``, arrays by the names of `pp_compare.model`, in the order of the request.
    """

    engine: str
    adapter: Path

    def request(self, design: Design) -> dict[str, Any] | str:
        """What ``fit`` of the adapter is given."""
        return {
            "formula": design.spec.formula,
            "method": design.spec.method,
            "setting": self.engine.partition(":")[2],
            "y": design.y,
            "X": design.X,
            "labels": list(design.labels),
            "blocks": [_block(block) for block in design.blocks],
        }

    def read(self, design: Design, answer: Answer, versions: Mapping[str, str]) -> Fit:
        """The Fit; a failed one where the answer has not the form it should have."""
        problem = (answer["problem"],) if answer.get("problem") else ()
        messages = (*problem, *answer.get("warnings", ()))
        if answer.get("status") != "ok":
            status: Status = "unsupported" if answer.get("status") == "unsupported" else "error"
            return Fit(self.engine, status, messages=messages, versions=dict(versions))
        try:
            quantities = labelled(design, answer["quantities"])
        except ValueError as error:
            return Fit.failed(self.engine, f"the adapter's answer: {error}", versions=versions)
        return Fit(
            self.engine,
            "ok",
            quantities,
            converged=answer.get("converged"),
            messages=messages,
            versions=dict(versions),
            seconds=float(answer.get("seconds", 0.0)),
        )


def _block(block: Block) -> dict[str, Any]:
    return {
        "group": block.group,
        "levels": list(block.levels),
        "codes": block.codes,
        "labels": list(block.labels),
        "Z": block.Z,
    }
