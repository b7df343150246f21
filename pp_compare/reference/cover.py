"""The claim that no lower optimum exists, where a cover of all covariances shows it."""

from __future__ import annotations

from pp_compare.certified.general_model import GeneralModel
from pp_compare.errors import PPCompareError
from pp_compare.model.design import Design

SECONDS = 900.0
"""At most: those of the catalogue take some seconds, and what an item says rests on no clock."""


def covered_claim(design: Design) -> dict[str, str]:
    """What ``verify_global.py`` proves by itself; here the engine's own cover has to end as well.

    Raises
    ------
    PPCompareError
        Where it does not.
    """
    cover = GeneralModel(design, seconds=SECONDS).cover
    if cover is None or not cover.complete:
        reason = "not tried" if cover is None else cover.reason
        raise PPCompareError(f"a cover was to show that no lower optimum exists, but: {reason}")
    return {"kind": "global", "of": "no covariances have a lower deviance"}
