"""Recording references: the fits of any R, written so that they can be played back without one.

Files hold no times and no paths, so that recording an unchanged R again changes no byte.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pp_compare.data.corpus import Case
from pp_compare.data.glmm_corpus import GlmmCase
from pp_compare.engines.glmm.r import definition_of, glmm_fits
from pp_compare.engines.glmm.recorded import FOLDER, glmm_key
from pp_compare.engines.r_stack import fits
from pp_compare.engines.recorded import (
    MAX_ROWS_FITTED,
    PROVENANCE,
    SCHEMA,
    Key,
    encode_fit,
    key_of,
)
from pp_compare.engines.rscript import PACKAGES, RscriptSession
from pp_compare.errors import InputError
from pp_compare.model import Fit
from pp_compare.model.design import build_design

ENGINES = ("lme4", "lme4:tight", "nlme", "nlme:tight")
GLMM_ENGINES = (
    "lme4", "lme4:tight", "lme4:agq:10", "lme4:tight:agq:10", "glmmpql", "glmmtmb",
)  # fmt: skip
GLMM_PACKAGES = (*PACKAGES, "MASS", "glmmTMB", "TMB")

Progress = Callable[[str], None]
"""Told each file name when it is written."""


@dataclass(frozen=True)
class _Task:
    """A model of either kind, with the name of its file."""

    case: str
    file: str
    key: Key
    rows: int


def record(
    command: Sequence[str],
    cases: Iterable[Case],
    folder: Path,
    engines: Sequence[str] = ENGINES,
    seconds: float = 600.0,
    progress: Progress = lambda line: None,
) -> list[Path]:
    """Fit cases in the R that a command starts, and write them to the folder of its stack.

    Parameters
    ----------
    command : sequence of str
        As for `pp_compare.engines.rscript.RscriptSession`.
    cases : iterable of Case
    folder : Path
        Made where it is not there; its name is the name of the stack. Cases that it already holds
        are written over, others stay.
    engines : sequence of str
        Ids of R engines.
    seconds : float
        Time limit of one fit.
    progress : callable
        Told each file name when it is written.

    Returns
    -------
    list of Path
        The files written, ``provenance.json`` last.

    Raises
    ------
    InputError
        Where the folder holds the references of another R.
    UnavailableError
        Where the command does not start an R that can answer.
    """
    about = RscriptSession(tuple(command)).about() | {"engines": list(engines)}
    chosen = [(case, method) for case in cases for method in case.methods]
    designs = [build_design(case.dataset, case.spec(method)) for case, method in chosen]
    tasks = [
        _Task(case.name, f"{case.name}.{method.lower()}.json", key_of(design), design.n_obs)
        for (case, method), design in zip(chosen, designs, strict=True)
    ]
    answers = fits(command, [(e, d) for d in designs for e in engines], seconds)
    return _recorded(folder, folder.name, about, tasks, answers, progress)


def record_glmm(
    command: Sequence[str],
    cases: Iterable[GlmmCase],
    folder: Path,
    engines: Sequence[str] = GLMM_ENGINES,
    seconds: float = 600.0,
    progress: Progress = lambda line: None,
) -> list[Path]:
    """As `record`, of generalised models, which have a folder and a provenance of their own there.

    Raises
    ------
    InputError, UnavailableError
        As `record`.
    """
    about = RscriptSession(tuple(command)).about(GLMM_PACKAGES) | {"engines": list(engines)}
    about["definitions"] = {engine: definition_of(engine) for engine in engines}
    chosen = list(cases)
    designs = [case.design() for case in chosen]
    tasks = [
        _Task(case.name, f"{case.name}.json", glmm_key(design), design.design.n_obs)
        for case, design in zip(chosen, designs, strict=True)
    ]
    answers = glmm_fits(command, [(e, d) for d in designs for e in engines], seconds)
    return _recorded(folder / FOLDER, folder.name, about, tasks, answers, progress)


def _recorded(
    folder: Path,
    stack: str,
    about: Mapping[str, Any],
    tasks: Sequence[_Task],
    answers: Iterator[Fit],
    progress: Progress,
) -> list[Path]:
    """Write the answers to each task as they come, and the provenance last."""
    entries = _before(folder, about)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task in tasks:
        content = _file_text(_content(task, [next(answers) for _ in about["engines"]]))
        entries[task.file] = _entry(task, content)
        written.append(_write(folder / task.file, content))
        progress(task.file)
    head = {"schema": SCHEMA, "stack": stack, "made": "by pp-compare record"}
    provenance = {**head, **about, "cases": [entries[file] for file in sorted(entries)]}
    return [*written, _write(folder / PROVENANCE, _file_text(provenance))]


def _before(folder: Path, about: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Entries that the folder has already, by file."""
    path = folder / PROVENANCE
    if not path.is_file():
        return {}
    old = json.loads(path.read_text(encoding="utf-8"))
    for name, now in about.items():
        if old[name] != now:
            raise InputError(
                f"{folder} holds references with {name} {old[name]}, not {now}; "
                "record into another folder, or remove this one first"
            )
    return {entry["file"]: entry for entry in old["cases"]}


def _content(task: _Task, answers: Sequence[Fit]) -> dict[str, Any]:
    leave_out = {"fitted"} if task.rows > MAX_ROWS_FITTED else set()
    encoded = {fit.engine: encode_fit(fit) for fit in answers}
    for fit in encoded.values():
        fit["quantities"] = {k: v for k, v in fit["quantities"].items() if k not in leave_out}
    return {"case": task.case, **_keys(task.key), "fits": encoded}


def _keys(key: Key) -> dict[str, str]:
    """What a design must agree with for the fits to be played back."""
    return {
        "formula": key.formula,
        "method": key.method,
        "data_sha256": key.data_sha256,
        "design_sha256": key.design_sha256,
    }


def _entry(task: _Task, content: str) -> dict[str, str]:
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return {
        "file": task.file,
        "sha256": checksum,
        **_keys(task.key),
        "model": task.key.model,
    }


def _file_text(value: object) -> str:
    return _text(value) + "\n"


def _text(value: object, indent: str = "") -> str:
    """JSON with a line for each member of an object and one line for a list of numbers or words."""
    deeper = indent + " "
    match value:
        case {}:
            lines = [f"{deeper}{json.dumps(k)}: {_text(v, deeper)}" for k, v in value.items()]
            text = ",\n".join(lines)
            return f"{{\n{text}\n{indent}}}" if lines else "{}"
        case [{}, *_]:
            return "[\n" + ",\n".join(deeper + _text(v, deeper) for v in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _write(path: Path, text: str) -> Path:
    """Write to a temporary name first, so that a file is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)
    return path
