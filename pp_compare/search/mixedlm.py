"""A script and numbers that show a defect of MixedLM to whoever has statsmodels."""

from __future__ import annotations

import numpy as np

from pp_compare.model.design import Design
from pp_compare.resources import resource


def plain_script(template: str, design: Design) -> dict[str, str]:
    """A script that shows a defect of MixedLM with statsmodels and numpy alone, and its data.

    Parameters
    ----------
    template : {"score", "variance_se"}
    """
    text = resource("fixtures", "templates", f"{template}.py.txt").read_text(encoding="utf-8")
    reml = repr(design.spec.method == "REML")
    return {"reproduce.py": text.replace("@reml@", reml), "numbers.csv": _numbers(design)}


def _numbers(design: Design) -> str:
    """Response, cluster and design matrix as numbers."""
    table = np.column_stack([design.y, design.blocks[0].codes, design.X])
    return "".join(",".join(map(repr, row)) + "\n" for row in table.tolist())
