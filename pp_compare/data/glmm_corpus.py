"""The named generalised mixed models: ``fixtures/data/glmm_cases.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from pp_compare.data.corpus import load_dataset
from pp_compare.errors import InputError
from pp_compare.model import Dataset
from pp_compare.model.glmm import Family, GlmmDesign, build_glmm_design
from pp_compare.resources import resource


@dataclass(frozen=True)
class GlmmCase:
    """A generalised model on a data set, by name.

    Parameters
    ----------
    name, data : str
        `data` is a data set of ``fixtures/data``.
    family : {"binomial", "poisson"}
    formula : str
    why : str
        The reason the case exists, in one sentence.
    tags : frozenset of str
    """

    name: str
    data: str
    family: Family
    formula: str
    why: str
    tags: frozenset[str]

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return load_dataset(self.data)

    def design(self) -> GlmmDesign:
        """Its rows and matrices."""
        return build_glmm_design(self.dataset, self.formula, self.family)


@cache
def glmm_cases() -> tuple[GlmmCase, ...]:
    """All of them, in the order of the file. Reads no data."""
    text = resource("fixtures", "data", "glmm_cases.toml").read_text(encoding="utf-8")
    return tuple(
        GlmmCase(**{**entry, "tags": frozenset(entry["tags"])})
        for entry in tomllib.loads(text)["case"]
    )


def glmm_case(name: str) -> GlmmCase:
    """The case of that name.

    Raises
    ------
    InputError
        Where there is none; with the names there are.
    """
    cases = {case.name: case for case in glmm_cases()}
    if name not in cases:
        raise InputError(f"no generalised case '{name}'; there are: {', '.join(cases)}")
    return cases[name]
