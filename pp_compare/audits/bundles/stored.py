"""What was judged before, read again from its report.json: nothing in it is fitted again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.files import read_dataset
from pp_compare.data.types import AS_R, ReadAs
from pp_compare.engines import make_engine
from pp_compare.errors import InputError, quoted
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.report.record import SCHEMA, CaseReport, data_path
from pp_compare.verdict.deviations import load_deviations

MOST_BYTES = 200_000_000
"""Of a report that is read."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A model of a report, with its fits as they are in it."""

    design: Design
    case: CaseReport


def read_schema(path: Path) -> tuple[str, Mapping[str, Any]]:
    """The schema of a JSON file, and what it holds.

    Raises
    ------
    InputError
        Where it is no JSON, or names no schema.
    """
    if not path.is_file():
        raise InputError(f"no file {quoted(str(path))}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{quoted(path.name)} is larger than {MOST_BYTES} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{quoted(path.name)} is no JSON: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str):
        raise InputError(f"{quoted(path.name)} names no schema, as a report.json does")
    return schema, document


def read_report(
    path: Path, data: Path | None = None, formula: str | None = None, told: ReadAs = AS_R
) -> list[Stored]:
    """The models of a report.json, each judged again with the fits that the file holds.

    Parameters
    ----------
    path : Path
        As ``check`` and ``audit`` write it, by ``--out`` or ``--json``.
    data : Path, optional
        The table that was fitted; by default that beside the file, where ``--out`` puts it.
    formula : str, optional
        In the place of that in the file.
    told : ReadAs
        Types of columns.

    Raises
    ------
    InputError
        For a file that is none, data that are not those that were fitted, and a fit whose numbers
        are not those of the model.
    """
    schema, document = read_schema(path)
    if schema != SCHEMA:
        raise InputError(f"{quoted(path.name)} has the schema {quoted(schema)}, not '{SCHEMA}'")
    try:
        return [_stored(case, path, data, formula, told) for case in document["cases"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"{quoted(path.name)} is no whole report: {what}") from None


def _stored(
    held: Mapping[str, Any], path: Path, data: Path | None, formula: str | None, told: ReadAs
) -> Stored:
    dataset = _dataset(held, path, data, told)
    selection = Selection(
        str(held["case"]),
        dataset,
        formula or str(held["formula"]),
        "ML" if held["method"] == "ML" else "REML",
        str(held.get("why", "")),
        held.get("weights"),
        "drop" if held.get("columns_dropped") else "raise",
    )
    design = selection.design("drop" if held.get("rows_dropped") else "raise")
    certified = make_engine("certified").fit(design)
    fits = {
        name: _fit(name, fit, certified)
        for name, fit in held["fits"].items()
        if name != "certified"
    }
    judged = judge(selection, design, {**fits, "certified": certified}, load_deviations())
    return Stored(design, judged)


def _dataset(held: Mapping[str, Any], path: Path, data: Path | None, told: ReadAs) -> Dataset:
    beside = path.parent / data_path(str(held["case"]))
    if data is None and not beside.is_file():
        raise InputError(
            f"{quoted(path.name)} holds no data, and there are none in {quoted(str(beside), 200)}; "
            "--data FILE names the table that was fitted"
        )
    dataset = read_dataset(data or beside, told)
    if dataset.sha256() != held["data_sha256"]:
        raise InputError(
            f"{quoted(str(data or beside), 200)} is not the table that was fitted: its checksum is "
            f"{dataset.sha256()[:12]}, that in {quoted(path.name)} {str(held['data_sha256'])[:12]}"
        )
    return Dataset(str(held["case"]), dataset.frame, dataset.provenance)


def _fit(name: str, held: Mapping[str, Any], certified: Fit) -> Fit:
    """A fit as it was; its numbers go where those of the certified fit have the same labels."""
    stated = held["quantities"]
    unknown = [q for q in stated if certified.status == "ok" and q not in certified.quantities]
    if unknown:
        raise InputError(f"the fit of {name} has {quoted(unknown[0])}, which the model has not")
    numbers = {
        quantity.name: _quantity(name, quantity, stated[quantity.name])
        for quantity in certified.quantities.values()
        if quantity.name in stated
    }
    return Fit(
        name,
        held["status"],
        numbers,
        converged=held["converged"],
        singular=held["singular"],
        messages=tuple(map(str, held["messages"])),
        settings=dict(held["settings"]),
        versions=dict(held["versions"]),
        seconds=float(held["seconds"] or 0.0),
        design_error=held.get("design_error"),
        estimator=str(held.get("estimator", "")),
        not_given=dict(held.get("not_given", {})),
    )


def _quantity(engine: str, like: Quantity, held: Mapping[str, Any]) -> Quantity:
    labels = [label for label, _ in like.entries()]
    if held["labels"] != labels:
        raise InputError(
            f"{like.name} of {engine} has the labels {quoted(str(held['labels']))}, and the model "
            f"of these data {quoted(str(labels))}; --type COLUMN=factor tells how they were read"
        )
    values = np.array([np.nan if v is None else float(v) for v in held["values"]])
    if like.is_symmetric_matrix:
        whole = np.empty(like.values.shape)
        lower = np.tril_indices(len(whole))
        whole[lower] = values
        whole.T[lower] = values
        return Quantity(like.name, whole, like.rows, like.columns)
    return Quantity(like.name, values.reshape(like.values.shape), like.rows, like.columns)
