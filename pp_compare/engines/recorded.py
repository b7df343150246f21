"""Fits that were recorded earlier, played back: lme4 and nlme where there is no R.

A stack is a folder of ``fixtures/references/``: ``provenance.json`` says which R it was and lists a
file for each case and method, with the checksums of the data, of the design and of the file. A fit
is played back only for the data, the model and the design that it was recorded for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pp_compare.engines import Engine
from pp_compare.errors import DataError, InputError, PPCompareError
from pp_compare.model import Fit, ModelSpec, Quantity
from pp_compare.model.design import Design
from pp_compare.resources import resource

PROVENANCE = "provenance.json"
SCHEMA = "pp-compare/references/1"
MAX_ROWS_FITTED = 2000
"""Above this number of rows ``fitted`` is left out of a record; it would be most of the file."""


def make(setting: str | None) -> Engine:
    """Engine factory for ``recorded:STACK/ENGINE``, as in ``recorded:bookworm/lme4``."""
    stack, _, engine_id = (setting or "").partition("/")
    if not engine_id:
        known = ", ".join(f"recorded:{name}/lme4" for name in stacks())
        raise InputError(f"say which stack and which engine to play back: {known}")
    return playback(stack, engine_id)


def playback(stack: str, engine_id: str) -> RecordedEngine:
    """An engine of a recorded stack, under the id ``recorded:STACK/ENGINE``.

    Raises
    ------
    InputError
        For a stack or an engine that is not recorded, with those that are.
    """
    if stack not in stacks():
        raise InputError(f"no recorded stack '{stack}'; there are: {', '.join(stacks())}")
    references = _references(stack)
    if engine_id not in references.engines:
        known = ", ".join(references.engines)
        raise InputError(f"'{engine_id}' is not recorded in {stack}; there are: {known}")
    return RecordedEngine(f"recorded:{stack}/{engine_id}", engine_id, references)


def stacks() -> tuple[str, ...]:
    """Names of the recorded stacks, sorted."""
    folder = resource("fixtures", "references")
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{PROVENANCE}")))


@cache
def _references(stack: str) -> References:
    return References(resource("fixtures", "references", stack))


@dataclass(frozen=True)
class RecordedEngine:
    """Plays back the fits of one engine of one stack.

    Parameters
    ----------
    name : str
        Engine id of the Fits.
    engine_id : str
        The engine that was recorded, with its setting.
    references : References
    """

    name: str
    engine_id: str
    references: References
    weighted = True

    def unsupported(self, design: Design) -> str | None:
        """Why there is nothing to play back; None where there is."""
        try:
            self.references.find(design)
        except DataError as reason:
            return str(reason)
        return None

    def fit(self, design: Design) -> Fit:
        """The recorded Fit, which has no seconds; a failed one where its file was changed."""
        try:
            fits = self.references.find(design)["fits"]
        except DataError as reason:
            return Fit.unsupported(self.name, str(reason))
        except PPCompareError as error:
            return Fit.failed(self.name, str(error))
        if self.engine_id not in fits:
            return Fit.unsupported(self.name, f"{self.engine_id} was not recorded for this case")
        fit = decode_fit(self.engine_id, fits[self.engine_id])
        return replace(fit, engine=self.name, not_given=_not_recorded(fit, design))


class References:
    """The recorded fits of one stack.

    Parameters
    ----------
    folder : Path
        With ``provenance.json``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = (folder / PROVENANCE).read_text(encoding="utf-8")
        self.provenance: dict[str, Any] = json.loads(text)
        self._entries = {
            (entry["data_sha256"], entry["model"]): entry for entry in self.provenance["cases"]
        }

    @property
    def engines(self) -> tuple[str, ...]:
        """Ids of the engines that were recorded."""
        return tuple(self.provenance["engines"])

    def find(self, design: Design) -> dict[str, Any]:
        """Everything recorded for the data, the model and the design.

        Raises
        ------
        DataError
            Where nothing is recorded for them, with what does not fit.
        PPCompareError
            Where the file is not the one that was recorded.
        """
        spec, name = design.spec, design.dataset.name
        entry = self._entries.get((design.dataset.sha256(), model_key(spec)))
        if entry is None:
            raise DataError(
                f"'{spec.formula}' under {spec.method} on these data ({name}) is not recorded in "
                f"{self.folder.name}"
            )
        if entry["design_sha256"] != design_sha256(design):
            raise DataError(
                f"{self.folder.name} has '{spec.formula}' on these data ({name}) with another "
                "design: other rows, or factor levels in another order"
            )
        return self._read(entry)

    def _read(self, entry: Mapping[str, str]) -> dict[str, Any]:
        content = (self.folder / entry["file"]).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != entry["sha256"]:
            raise PPCompareError(
                f"{entry['file']} of {self.folder.name} was changed after it was recorded: its "
                f"sha256 is {found}, not {entry['sha256']}; restore it or record it again"
            )
        recorded: dict[str, Any] = json.loads(content)
        return recorded


def model_key(spec: ModelSpec) -> str:
    """The model without the way it was typed: response, fixed part, random terms, method."""
    random = [[list(t.group), t.intercept, [list(x) for x in t.terms]] for t in spec.random]
    fixed = [list(term) for term in spec.fixed]
    beyond = [[list(spec.offset), spec.weights]] if spec.offset or spec.weights else []
    return json.dumps([spec.response, spec.intercept, fixed, random, spec.method, *beyond])


def design_sha256(design: Design) -> str:
    """Checksum of response, model matrix and groups, with their labels.

    Numbers count with 12 digits: logarithms may differ in the last bit between processors.
    """
    digest = hashlib.sha256()
    for labels in (design.labels, *design.group_levels.values()):
        digest.update(json.dumps(labels).encode())
    weights = () if design.weights is None else (design.weights,)
    for numbers in (design.y, design.X, *design.group_codes.values(), *weights):
        digest.update(" ".join(np.char.mod("%.11e", np.ravel(numbers) + 0.0)).encode())
    return digest.hexdigest()


def _not_recorded(fit: Fit, design: Design) -> dict[str, str]:
    """What a record leaves out on purpose; anything else that lacks is a fault."""
    if fit.status != "ok" or "fitted" in fit.quantities or design.n_obs <= MAX_ROWS_FITTED:
        return {}
    why = f"not recorded: records of more than {MAX_ROWS_FITTED} rows leave it out"
    return {"fitted": why}


def encode_fit(fit: Fit) -> dict[str, Any]:
    """A Fit as JSON, without the seconds it took.

    Doubles are written as Python writes them, which reads back to the same bits; NaN and infinities
    as text.
    """
    return {
        "status": fit.status,
        "converged": fit.converged,
        "singular": fit.singular,
        "messages": list(fit.messages),
        "settings": dict(fit.settings),
        "versions": dict(fit.versions),
        "design_error": None if fit.design_error is None else _number(fit.design_error),
        "quantities": {name: _encode(quantity) for name, quantity in fit.quantities.items()},
    }


def _encode(quantity: Quantity) -> dict[str, Any]:
    axes = {"rows": _labels(quantity.rows), "columns": list(quantity.columns)}
    values = [_number(value) for value in quantity.values.ravel().tolist()]
    return {axis: labels for axis, labels in axes.items() if labels} | {"values": values}


def _labels(labels: tuple[str, ...]) -> list[str] | int:
    """Labels; of rows that are numbered from 1 only how many there are."""
    return len(labels) if labels and labels == _numbered(len(labels)) else list(labels)


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(n))


def _number(value: float) -> float | str:
    return value if np.isfinite(value) else repr(value)


def decode_fit(engine_id: str, recorded: Mapping[str, Any]) -> Fit:
    """The Fit that `encode_fit` wrote."""
    error = recorded["design_error"]
    quantities = {name: _decode(name, item) for name, item in recorded["quantities"].items()}
    return Fit(
        engine_id,
        recorded["status"],
        quantities,
        recorded["converged"],
        recorded["singular"],
        tuple(recorded["messages"]),
        recorded["settings"],
        recorded["versions"],
        design_error=None if error is None else float(error),
    )


def _decode(name: str, recorded: Mapping[str, Any]) -> Quantity:
    rows, columns = recorded.get("rows", ()), tuple(recorded.get("columns", ()))
    rows = _numbered(rows) if isinstance(rows, int) else tuple(rows)
    shape = tuple(len(labels) for labels in (rows, columns) if labels)
    values = np.array([float(value) for value in recorded["values"]]).reshape(shape)
    return Quantity(name, values, rows, columns)
