"""Small designs that several tests use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pp_compare.data.corpus import case
from pp_compare.model import Dataset, Method
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula


def corpus_design(name: str, method: Method = "REML") -> Design:
    known = case(name)
    return build_design(known.dataset, known.spec(method))


def design(frame: pd.DataFrame, formula: str, method: Method = "REML") -> Design:
    return build_design(Dataset("test", frame), parse_formula(formula, method))


def clusters(
    seed: int, sizes: Sequence[int], between: float = 1.0, slope: float = 0.0
) -> pd.DataFrame:
    """Columns y, x (within clusters), w (between), g; noise 1."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(g))
    w = rng.normal(size=len(sizes))[g]
    u = between * rng.normal(size=len(sizes))[g]
    v = slope * rng.normal(size=len(sizes))[g]
    y = 1 + 0.5 * x + 0.3 * w + u + v * x + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "w": w, "g": [f"g{k:02d}" for k in g]})
