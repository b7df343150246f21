"""Which models are in the set: the named cases, and those of ``fixtures/reference/catalogue.toml``.

A model whose optimum is not certified, or does not fix all variances, is in none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Literal

import pandas as pd

from pp_compare.data.corpus import Case, all_cases, provenance
from pp_compare.data.files import read_dataset
from pp_compare.model import Dataset, Method
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.reference.generator import Recipe
from pp_compare.resources import resource

LARGEST_FILE = 5000
"""Rows of data that are written to a file although a generator makes them."""
OWN_LICENCE = "BSD-3-Clause"


@dataclass(frozen=True)
class Item:
    """One model under one criterion.

    Attributes
    ----------
    id : str
        The name of the model and the criterion: ``sleepstudy.reml``.
    read : callable
        Gives the Dataset.
    formula : str
        In lme4's grammar.
    method : {"REML", "ML"}
    reading : {"doubles", "decimals"}
        Whether the truth is that of the doubles nearest to the decimals in the data, or theirs.
    why : str
        The reason it exists.
    tags : tuple of str
    source, licence, made : str
        Of the data.
    recipe : Recipe, optional
        What makes the data.
    """

    id: str
    read: Callable[[], Dataset]
    formula: str
    method: Method
    why: str
    tags: tuple[str, ...]
    source: str
    licence: str
    made: str
    reading: Literal["doubles", "decimals"] = "doubles"
    recipe: Recipe | None = None

    @property
    def is_covered(self) -> bool:
        """Whether its claim is to be that of a cover too: ``verify_global.py`` ends in a minute."""
        return self.id in catalogue()["cases"]["covered"]

    @property
    def folder(self) -> str:
        """Sets under the GPL stand apart from free ones."""
        return "items-gpl" if "GPL" in self.licence else "items"

    @cached_property
    def design(self) -> Design:
        """The model as matrices."""
        return build_design(self.read(), parse_formula(self.formula, self.method))


def all_items() -> list[Item]:
    """Every candidate, by id."""
    found = [*_of_cases(), *_ofcatalogue()]
    return sorted(found, key=lambda item: item.id)


def _of_cases() -> Iterator[Item]:
    settings = catalogue()["cases"]
    for case in all_cases():
        for method in case.methods:
            if _is_wanted(case, method, settings):
                item = _of_case(case, method)
                yield item
                if "inexact" in case.tags:
                    why = f"{case.why} Here the truth is that of the decimals."
                    yield replace(item, id=f"{item.id}.decimals", reading="decimals", why=why)


def _is_wanted(case: Case, method: Method, settings: Mapping[str, Any]) -> bool:
    if case.name in settings["left_out"]:
        return False
    return method == "REML" or case.name in settings["ml"] or not _is_gpl(case)


def _is_gpl(case: Case) -> bool:
    return bool(case.tags & {"lme4", "nlme"})


def _of_case(case: Case, method: Method) -> Item:
    about = provenance(_data_name(case))
    return Item(
        id=f"{case.name}.{method.lower()}",
        read=case.read,
        formula=case.formula,
        method=method,
        why=case.why,
        tags=tuple(sorted(case.tags)),
        source=about["source"],
        licence=about["licence"],
        made=about["made"],
    )


def _data_name(case: Case) -> str:
    """The name that the case's data were described under."""
    read = case.read
    assert isinstance(read, partial)  # noqa: S101  # as all_cases() makes them
    return str(read.args[0])


@cache
def catalogue() -> dict[str, Any]:
    """The file of the models beyond the named cases."""
    path = resource("fixtures", "reference", "catalogue.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _ofcatalogue() -> Iterator[Item]:
    for entry in catalogue()["item"]:
        for method in entry["methods"]:
            yield _of_entry(entry, method)


def _of_entry(entry: Mapping[str, Any], method: Method) -> Item:
    recipe = _recipe(entry)
    return Item(
        id=f"{entry['name']}.{method.lower()}",
        read=partial(_read, entry["name"], entry.get("data"), recipe),
        formula=entry["formula"],
        method=method,
        why=entry["why"],
        tags=tuple(entry["tags"]),
        source="this project",
        licence=OWN_LICENCE,
        made="generated" if recipe else "invented, or reduced from generated data",
        recipe=recipe,
    )


def _recipe(entry: Mapping[str, Any]) -> Recipe | None:
    told = entry.get("generator")
    return Recipe(**told | {"sizes": tuple(told["sizes"])}) if told else None


def _read(name: str, path: str | None, recipe: Recipe | None) -> Dataset:
    if recipe is not None:
        return recipe.dataset(name)
    dataset = read_dataset(resource("fixtures", *str(path).split("/")))
    return Dataset(name, pd.DataFrame(dataset.frame))


def in_words(design: Design) -> str:
    """What is modelled by what, without the criterion."""
    spec = design.spec
    fixed = ", ".join(design.labels)
    random = " and ".join(
        f"{_listed(b.labels)} vary over the {len(b.levels)} levels of {b.group}"
        for b in design.blocks
    )
    return f"{spec.response} of {design.n_obs} rows on {fixed}; {random}"


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels) + (" (correlated)" if len(labels) > 1 else "")
