"""The named cases: a data set, a model, and the reason to fit it.

Cases stand in ``fixtures/data/cases.toml``, data beside it, each with a JSON file that says where
they come from, which columns are factors with which levels, and the checksum of the file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from pp_compare.data import nist
from pp_compare.data.types import numbers_or_text
from pp_compare.errors import DataError, InputError
from pp_compare.model import Dataset, Method, ModelSpec
from pp_compare.model.formula import parse_formula
from pp_compare.resources import resource

METHODS: tuple[Method, ...] = ("REML", "ML")


@dataclass(frozen=True)
class Case:
    """A model on a data set, by name.

    Parameters
    ----------
    name : str
    read : callable
        Gives the Dataset; called when it is first needed.
    formula : str
        In lme4's grammar.
    methods : tuple of {"REML", "ML"}
    why : str
        The reason the case exists, in one sentence.
    tags : frozenset of str
        What it can be chosen by: ``nested``, ``boundary``, ``large``, ...
    """

    name: str
    read: Callable[[], Dataset]
    formula: str
    methods: tuple[Method, ...] = METHODS
    why: str = ""
    tags: frozenset[str] = frozenset()

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return self.read()

    def spec(self, method: Method) -> ModelSpec:
        """The model under REML or ML."""
        return parse_formula(self.formula, method)


@cache
def all_cases() -> tuple[Case, ...]:
    """All named cases, in the order of ``cases.toml``. Reads no data."""
    text = _folder().joinpath("cases.toml").read_text(encoding="utf-8")
    return tuple(_case(**entry) for entry in tomllib.loads(text)["case"])


def case(name: str) -> Case:
    """Return the case of that name.

    Parameters
    ----------
    name : str
        As `all_cases` and ``pp-compare cases`` list them.

    Raises
    ------
    InputError
        Where there is none; with the names there are.
    """
    cases = {case.name: case for case in all_cases()}
    if name not in cases:
        raise InputError(f"no case '{name}'; the cases are: {', '.join(cases)}")
    return cases[name]


@cache
def load_dataset(name: str) -> Dataset:
    """Read a data set of ``fixtures/data`` after checking that it is the one described.

    Parameters
    ----------
    name : str
        Of its provenance file without the ending: ``Dyestuff``, ``nist/SmLs01``.

    Returns
    -------
    Dataset
        Factors are categoricals in the recorded order of levels (in R's, where they come from R).

    Raises
    ------
    DataError
        Where there is no such data set, or its file is not the one its checksum was taken of.
    """
    about = provenance(name)
    table, nist_file = (_folder() / f"{name}{ending}" for ending in (".csv", ".dat"))
    path = table if table.is_file() else nist_file
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != about["sha256"]:
        raise DataError(
            f"{path.name} is not the file described in {name}.json: its sha256 is {found}, "
            f"not {about['sha256']}; restore it"
        )
    frame = _read_csv(path, about["columns"]) if path == table else nist.read(path).frame()
    return Dataset(about["name"], frame, f"{about['source']} ({about['made']})")


def provenance(name: str) -> dict[str, Any]:
    """Where a data set comes from: source, licence, how it was made, checksum, columns."""
    path = _folder() / f"{name}.json"
    if not path.is_file():
        raise DataError(f"no data set '{name}' in {_folder()}")
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about


def _folder() -> Path:
    return resource("fixtures", "data")


def _case(name: str, data: str, formula: str, why: str, **rest: list[Any]) -> Case:
    methods = tuple(rest.get("methods", METHODS))
    return Case(name, partial(load_dataset, data), formula, methods, why, frozenset(rest["tags"]))


def _read_csv(path: Path, columns: list[Mapping[str, Any]]) -> pd.DataFrame:
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    return pd.DataFrame({column["name"]: _column(text, column) for column in columns})


def _column(text: pd.DataFrame, column: Mapping[str, Any]) -> pd.Series | pd.Categorical:
    values = text[column["name"]]
    if column["kind"] == "factor":
        return pd.Categorical(values, categories=column["levels"])
    return numbers_or_text(list(values))
