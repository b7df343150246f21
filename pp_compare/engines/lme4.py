"""lme4's lmer(), called as its users call it: ``lmer(y ~ x + (1 | g), data, REML = TRUE)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.engines._r import (
    OFFSET,
    Answer,
    Effects,
    REngine,
    Request,
    base_request,
    covariance,
    group_column,
    prediction,
    terms_of,
)
from pp_compare.engines.road import session
from pp_compare.model.design import Design

Step = Mapping[str, Any]
"""Arguments of ``lmerControl()``; a step starts at the theta of the one before."""

# Both optimisers see function values only, which gives about half the digits of theta. Over the
# named cases with an interior optimum the random-effects covariance has 7.2 digits in the median
# and 4.9 at worst, against 6.4 and 2.0 by default; a smaller xtol or other optimisers add nothing.
_TIGHT: Sequence[Step] = (
    {
        "optimizer": "nloptwrap",
        "calc.derivs": False,
        "optCtrl": {
            "algorithm": "NLOPT_LN_BOBYQA",
            "xtol_abs": 0.0,
            "ftol_abs": 0.0,
            "xtol_rel": 1e-15,
            "maxeval": 100_000.0,
        },
    },
    {"optimizer": "bobyqa", "optCtrl": {"rhobeg": 1e-3, "rhoend": 1e-12, "maxfun": 100_000.0}},
)

SETTINGS: Mapping[str, Sequence[Step]] = {
    "bobyqa": ({"optimizer": "bobyqa"},),
    "neldermead": ({"optimizer": "Nelder_Mead"},),
    "nlminb": ({"optimizer": "nlminbwrap"},),
    "tight": _TIGHT,
}


def make(setting: str | None) -> Engine:
    """Engine factory: the default, or one of `SETTINGS`."""
    return REngine(engine_id("lme4", setting), dialect(setting), session("lme4"))


def dialect(setting: str | None) -> Lme4:
    """The requests of one setting.

    Raises
    ------
    InputError
        For a setting that there is not.
    """
    return Lme4(setting_of("lme4", SETTINGS, setting, ({},)))


@dataclass(frozen=True)
class Lme4:
    """Requests to ``pp_fit_lme4``, and its names read back; `start` is a theta to start at."""

    steps: Sequence[Step]
    function: str = "pp_fit_lme4"
    start: tuple[float, ...] = ()

    @property
    def settings(self) -> Mapping[str, str]:
        """Arguments of ``lmerControl()``, step by step."""
        asked = [", ".join(f"{key}={value}" for key, value in step.items()) for step in self.steps]
        found = {"control": " then ".join(asked)} if any(asked) else {}
        return found | ({"start": str(list(self.start))} if self.start else {})

    def unsupported(self, design: Design) -> str | None:
        """None: the grammar of the models is lme4's own.

        Of what goes through the same requests, glmmTMB means another thing by weights.
        """
        if self.function != "pp_fit_lme4" and (
            design.weights is not None or design.offset is not None
        ):
            return "weights and offsets are handed to lme4, nlme and certified alone"
        return None

    def request(self, design: Design) -> Request:
        """The random part is a list of terms, each with its grouping factor."""
        random = [
            {
                "group": group_column(design, block),
                "intercept": block.term.intercept,
                "terms": terms_of(design, block.term.terms),
            }
            for block in design.blocks
        ]
        request = base_request(design) | {"random": random, "control": list(self.steps)}
        if self.start:
            request["start"] = np.array(self.start)
        if design.offset is not None:
            request["data"][OFFSET] = np.ascontiguousarray(design.offset)
        return request

    def covariances(self, design: Design, answer: Answer) -> list[Effects]:
        """One matrix a random term."""
        return [covariance(design, term) for term in answer["random"]]

    def predictions(self, design: Design, answer: Answer) -> list[Effects]:
        """One table a grouping factor, over all its terms."""
        return [prediction(design, table) for table in answer["blup"]]
