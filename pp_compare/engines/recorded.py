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
    references.require(engine_id)
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
        return self.references.why_not(key_of(design))

    def fit(self, design: Design) -> Fit:
        """The recorded Fit, which has no seconds; a failed one where its file was changed."""
        fit = self.references.fit(self.name, self.engine_id, key_of(design))
        return replace(fit, not_given=_not_recorded(fit, design))


@dataclass(frozen=True)
class Key:
    """What a model must agree with for its recorded fits to be played back.

    Parameters
    ----------
    data_sha256, model, design_sha256 : str
        Data, model (however it was typed), rows and matrices.
    formula, method : str
    told : str
        The model and its data in words.
    """

    data_sha256: str
    model: str
    design_sha256: str
    formula: str
    method: str
    told: str


def key_of(design: Design) -> Key:
    """The key of a linear mixed model."""
    spec, dataset = design.spec, design.dataset
    told = f"'{spec.formula}' under {spec.method} on these data ({dataset.name})"
    sha, model = dataset.sha256(), model_key(spec)
    return Key(sha, model, design_sha256(design), spec.formula, spec.method, told)


class References:
    """The recorded fits of one stack.

    Parameters
    ----------
    folder : Path
        With ``provenance.json``.
    stack : str, optional
        Its name; that of the folder by default.
    """

    def __init__(self, folder: Path, stack: str = "") -> None:
        self.folder, self.stack = folder, stack or folder.name
        text = (folder / PROVENANCE).read_text(encoding="utf-8")
        self.provenance: dict[str, Any] = json.loads(text)
        self._entries = {
            (entry["data_sha256"], entry["model"]): entry for entry in self.provenance["cases"]
        }

    @property
    def engines(self) -> tuple[str, ...]:
        """Ids of the engines that were recorded."""
        return tuple(self.provenance["engines"])

    def require(self, engine_id: str) -> None:
        """Refuse an engine that is not recorded, by an InputError with those that are."""
        if engine_id not in self.engines:
            known = ", ".join(self.engines)
            raise InputError(f"'{engine_id}' is not recorded in {self.stack}; there are: {known}")

    def why_not(self, key: Key) -> str | None:
        """Why nothing is listed for a model; None where something is."""
        try:
            self._entry(key)
        except DataError as reason:
            return str(reason)
        return None

    def fit(self, name: str, engine_id: str, key: Key) -> Fit:
        """The recorded Fit under another name, or why there is none."""
        try:
            fits = self._read(self._entry(key))["fits"]
        except DataError as reason:
            return Fit.unsupported(name, str(reason))
        except PPCompareError as error:
            return Fit.failed(name, str(error))
        if engine_id not in fits:
            return Fit.unsupported(name, f"{engine_id} was not recorded for this case")
        return decode_fit(name, fits[engine_id])

    def _entry(self, key: Key) -> Mapping[str, str]:
        """What is listed for the data, the model and the design; DataError with what differs."""
        entry: Mapping[str, str] | None = self._entries.get((key.data_sha256, key.model))
        if entry is None:
            raise DataError(f"{key.told} is not recorded in {self.stack}")
        if entry["design_sha256"] != key.design_sha256:
            raise DataError(
                f"{self.stack} has {key.told} with another design: other rows, or factor levels in "
                "another order"
            )
        return entry

    def _read(self, entry: Mapping[str, str]) -> dict[str, Any]:
        content = (self.folder / entry["file"]).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != entry["sha256"]:
            raise PPCompareError(
                f"{entry['file']} of {self.stack} was changed after it was recorded: its "
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
        return dict(fit.not_given)
    why = f"not recorded: records of more than {MAX_ROWS_FITTED} rows leave it out"
    return {**fit.not_given, "fitted": why}


def encode_fit(fit: Fit) -> dict[str, Any]:
    """A Fit as JSON, without the seconds it took.

    Doubles are written as Python writes them, which reads back to the same bits; NaN and infinities
    as text.
    """
    of_its_own = {"definition": fit.definition, "not_given": dict(fit.not_given)}
    return {
        "status": fit.status,
        "converged": fit.converged,
        "singular": fit.singular,
        "messages": list(fit.messages),
        "settings": dict(fit.settings),
        "versions": dict(fit.versions),
        "design_error": None if fit.design_error is None else _number(fit.design_error),
        **{name: value for name, value in of_its_own.items() if value},
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
        definition=recorded.get("definition", ""),
        not_given=recorded.get("not_given", {}),
    )


def _decode(name: str, recorded: Mapping[str, Any]) -> Quantity:
    rows, columns = recorded.get("rows", ()), tuple(recorded.get("columns", ()))
    rows = _numbered(rows) if isinstance(rows, int) else tuple(rows)
    shape = tuple(len(labels) for labels in (rows, columns) if labels)
    values = np.array([float(value) for value in recorded["values"]]).reshape(shape)
    return Quantity(name, values, rows, columns)
