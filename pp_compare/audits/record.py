"""Recording references: the fits of any R, written so that they can be played back without one.

Files hold no times and no paths, so that recording an unchanged R again changes no byte.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pp_compare.data.corpus import Case
from pp_compare.engines.r_stack import fits
from pp_compare.engines.recorded import (
    MAX_ROWS_FITTED,
    PROVENANCE,
    SCHEMA,
    design_sha256,
    encode_fit,
    model_key,
)
from pp_compare.engines.rscript import RscriptSession
from pp_compare.errors import InputError
from pp_compare.model import Fit, Method
from pp_compare.model.design import Design, build_design

ENGINES = ("lme4", "lme4:tight", "nlme", "nlme:tight")


@dataclass(frozen=True, eq=False)
class _Task:
    case: Case
    method: Method
    design: Design

    @property
    def file(self) -> str:
        return f"{self.case.name}.{self.method.lower()}.json"


def record(
    command: Sequence[str],
    cases: Iterable[Case],
    folder: Path,
    engines: Sequence[str] = ENGINES,
    seconds: float = 600.0,
    progress: Callable[[str], None] = lambda line: None,
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
    about = RscriptSession(tuple(command)).about()
    before = _before(folder, about, engines)
    tasks = [_Task(c, m, build_design(c.dataset, c.spec(m))) for c in cases for m in c.methods]
    folder.mkdir(parents=True, exist_ok=True)
    answers = fits(command, [(e, task.design) for task in tasks for e in engines], seconds)
    written = []
    for task in tasks:
        content = _file_text(_content(task, [next(answers) for _ in engines]))
        before[task.file] = _entry(task, content)
        written.append(_write(folder / task.file, content))
        progress(task.file)
    provenance = {"schema": SCHEMA, "stack": folder.name, "made": "by pp-compare record"}
    listed = [before[file] for file in sorted(before)]
    provenance |= about | {"engines": list(engines), "cases": listed}
    return [*written, _write(folder / PROVENANCE, _file_text(provenance))]


def _before(
    folder: Path, about: Mapping[str, Any], engines: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Entries that the folder has already, by file."""
    path = folder / PROVENANCE
    if not path.is_file():
        return {}
    old = json.loads(path.read_text(encoding="utf-8"))
    for name, now in [*about.items(), ("engines", list(engines))]:
        if old[name] != now:
            raise InputError(
                f"{folder} holds references with {name} {old[name]}, not {now}; "
                "record into another folder, or remove this one first"
            )
    return {entry["file"]: entry for entry in old["cases"]}


def _content(task: _Task, answers: Sequence[Fit]) -> dict[str, Any]:
    leave_out = {"fitted"} if task.design.n_obs > MAX_ROWS_FITTED else set()
    encoded = {fit.engine: encode_fit(fit) for fit in answers}
    for fit in encoded.values():
        fit["quantities"] = {k: v for k, v in fit["quantities"].items() if k not in leave_out}
    return {"case": task.case.name, **_keys(task), "fits": encoded}


def _keys(task: _Task) -> dict[str, str]:
    """What a design must agree with for the fits to be played back."""
    return {
        "formula": task.design.spec.formula,
        "method": task.method,
        "data_sha256": task.design.dataset.sha256(),
        "design_sha256": design_sha256(task.design),
    }


def _entry(task: _Task, content: str) -> dict[str, str]:
    checksum = hashlib.sha256(content.encode()).hexdigest()
    model = model_key(task.design.spec)
    return {"file": task.file, "sha256": checksum, **_keys(task), "model": model}


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
