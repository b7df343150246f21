"""Generalised models of the set: the named cases, and those of the catalogue, by each criterion.

They stand below ``glmm``, a set of its own with the same folders: readers of the linear models
never meet them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.corpus import provenance
from pp_compare.data.files import read_dataset
from pp_compare.data.glmm_corpus import GlmmCase, glmm_cases
from pp_compare.model.glmm import GlmmDesign, build_glmm_design
from pp_compare.reference.columns import Table, columns_of, term_of
from pp_compare.reference.glmm_proof import (
    glmm_certificate,
    glmm_optimum_record,
    glmm_values,
    proved_maximum,
)
from pp_compare.reference.items import OWN_LICENCE, catalogue, in_words
from pp_compare.resources import resource

SCHEMA = "pp-compare/reference-glmm/1"
OFFSET = re.compile(r"offset\((?:[^()]|\([^()]*\))*\)")
CLAIM = (
    "a strict local maximum of the criterion over all fixed effects and covariances, the highest "
    "that a search from several starts has found"
)


@dataclass(frozen=True)
class GlmmItem:
    """One generalised model under one criterion.

    Attributes
    ----------
    id : str
        The name of the model and the criterion: ``cbpp.exact``.
    make : callable
        Gives the design.
    definition : {"exact", "laplace"}
    why, source, licence, made : str
    tags : tuple of str
    """

    id: str
    make: Callable[[], GlmmDesign]
    definition: str
    why: str
    tags: tuple[str, ...]
    source: str
    licence: str
    made: str

    @property
    def folder(self) -> str:
        """Sets under the GPL stand apart from free ones."""
        return "items-gpl" if "GPL" in self.licence else "items"

    @cached_property
    def design(self) -> GlmmDesign:
        """The model as matrices."""
        return self.make()


def all_glmm_items() -> list[GlmmItem]:
    """Every candidate, by id."""
    found = [*_of_cases(), *_of_catalogue()]
    return sorted(found, key=lambda item: item.id)


def _of_cases() -> Iterator[GlmmItem]:
    left_out = catalogue()["cases"]["glmm_left_out"]
    for case in glmm_cases():
        if case.name not in left_out:
            yield from _by_criterion(case, case.design, provenance(case.data))


def _of_catalogue() -> Iterator[GlmmItem]:
    for entry in catalogue()["glmm"]:
        case = GlmmCase(**{**entry, "tags": frozenset(entry["tags"])})
        if "/" in case.data:
            yield from _by_criterion(case, partial(_own_design, case), OWN)
        else:
            yield from _by_criterion(case, case.design, provenance(case.data))


OWN: Mapping[str, Any] = {
    "source": "this project",
    "licence": OWN_LICENCE,
    "made": "invented, or reduced from generated data",
}


def _own_design(case: GlmmCase) -> GlmmDesign:
    dataset = read_dataset(resource("fixtures", *case.data.split("/")))
    return build_glmm_design(dataset, case.formula, case.family)


def _by_criterion(
    case: GlmmCase, make: Callable[[], GlmmDesign], data: Mapping[str, Any]
) -> Iterator[GlmmItem]:
    one = case.formula.count("|") == 1 and "(1|" in case.formula and "/" not in case.formula
    for definition in ("exact", "laplace") if one else ("laplace",):
        yield GlmmItem(
            id=f"{case.name}.{definition}",
            make=make,
            definition=definition,
            why=case.why,
            tags=tuple(sorted(case.tags)),
            source=data["source"],
            licence=data["licence"],
            made=data["made"],
        )


def glmm_record(item: GlmmItem) -> tuple[dict[str, Any], Table]:
    """``item.json`` and the table of the data.

    Raises
    ------
    PPCompareError
        Where nothing is certified.
    """
    model = GlmmModel(item.design)
    found = proved_maximum(model, item.definition)
    described, table = describe_glmm(item.design, item.definition)
    about = {
        "schema": SCHEMA,
        "id": item.id,
        "why": item.why,
        "tags": list(item.tags),
        "model": described,
        "claim": {"kind": "local", "of": CLAIM, "singular": bool(found.zero)},
        "values": glmm_values(model, found),
        "optima": [glmm_optimum_record(found)],
        "certificate": glmm_certificate(found),
        "data": {
            "source": item.source,
            "licence": item.licence,
            "made": item.made,
            "sha256": hashlib.sha256(table.text.encode()).hexdigest(),
            "generator": None,
        },
    }
    return about, table


def describe_glmm(design: GlmmDesign, definition: str) -> tuple[dict[str, Any], Table]:
    """The model as data, and the table that it refers to."""
    table, inner = Table(), design.design
    is_trials = design.family == "binomial" and not design.binary
    response = "successes" if design.family == "binomial" else "counts"
    of_trials = [{"column": table.numbers("trials", design.trials)}] if is_trials else []
    shifted = bool((design.offset != 0).any())
    offset = [{"column": table.numbers("offset", design.offset)}] if shifted else None
    model: dict[str, Any] = {
        "words": _words(design, definition),
        "criterion": f"glmm-{definition}",
        "family": design.family,
        "link": design.link,
        "formula": _formula(design, response, is_trials=is_trials),
        "rows": inner.n_obs,
        "response": table.numbers(response, design.y),
        "trials": of_trials,
        "offset": offset,
    }
    model["random"] = [term_of(inner, table, block) for block in inner.blocks]
    model["fixed"] = list(columns_of(inner, table, inner.columns, inner.X))
    model["factors"] = {
        v.name: list(v.levels)
        for v in inner.variables.values()
        if v.levels is not None and v.name in table.cells
    }
    return model, table


def _formula(design: GlmmDesign, response: str, *, is_trials: bool) -> str:
    """In lme4's grammar, of the columns of the table."""
    right = OFFSET.sub("offset(offset)", design.formula.split("~", 1)[1].strip())
    left = "cbind(successes, trials - successes)" if is_trials else response
    return f"{left} ~ {right}"


def _words(design: GlmmDesign, definition: str) -> str:
    effects = in_words(design.design)
    kind = "binomial, with a logit" if design.family == "binomial" else "Poisson, with a log"
    way = "the exact likelihood" if definition == "exact" else "Laplace's approximation"
    return f"{effects}; {kind}, by {way}"
