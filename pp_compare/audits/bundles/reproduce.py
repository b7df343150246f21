"""A folder with which anybody can see a difference without this project: data, scripts, an issue.

``reproduce.R`` needs lme4 (and nlme, where lme() has a plain call for the model), ``reproduce.py``
needs statsmodels. Names and labels of the data stand in CSV files only; formulas are rendered from
the parsed model in aliases that are plain words, so nothing that came with the data can be code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.audits.bundles.issue import differences, write_issues
from pp_compare.engines.child_process import leash
from pp_compare.engines.source.table import FILE, used_frame
from pp_compare.engines.statsmodels import arguments, layout
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import Block, Design
from pp_compare.report.record import CaseReport
from pp_compare.resources import resource, write_text
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.digits import digits_text


def write_bundle(
    folder: Path,
    design: Design,
    case: CaseReport,
    title: str = "",
) -> tuple[Path, ...]:
    """Write everything that reproduces one audited case.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    design : Design
        Of the case.
    case : CaseReport
    title : str
        Of the issue; by default it is made from the differences.

    Returns
    -------
    tuple of Path
        ``data.csv`` (the model's columns as they were read, in the shortest decimals that read
        back to the same doubles), ``data.hex.csv`` (its rows under plain names, in C99 hexadecimal,
        which R reads exactly), ``levels.csv``, ``expected.json``, ``reproduce.R``, ``reproduce.py``
        where MixedLM can express the model, and of each engine that differs an issue with its
        script (`pp_compare.audits.bundles.issue`).
    """
    frame, levels = _tables(design)
    texts = {
        FILE: Dataset("data", used_frame(design)).exact_csv(),
        "data.hex.csv": _csv(frame, float.hex),
        "levels.csv": levels.to_csv(index=False, lineterminator="\n"),
        "expected.json": json.dumps(_expected(case), indent=1, ensure_ascii=False) + "\n",
        "reproduce.R": _r_script(design),
    }
    if not isinstance(layout(design), str):
        texts["reproduce.py"] = _python_script(design, case)
    for name, text in texts.items():
        write_text(folder / name, text)
    return (*(folder / name for name in texts), *write_issues(folder, design, case, title))


def write_script_bundle(
    folder: Path, design: Design, files: Mapping[str, str], title: str, expected: str
) -> tuple[Path, ...]:
    """Write a bundle around a script that shows more than a fit does, with what it prints here.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    design : Design
    files : mapping of str to str
        Text by file name; ``reproduce.py`` is among them, and is run.
    title, expected : str
        Of the issue: what is wrong, and what should be seen.

    Raises
    ------
    subprocess.CalledProcessError
        Where the script fails, which is a defect of ours.
    """
    for name, text in files.items():
        write_text(folder / name, text)
    start = [sys.executable, "-I", "-W", "ignore"]
    shown = subprocess.run(  # noqa: S603  # our own script, by an argument list
        [*leash(start), *start, folder / "reproduce.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    frame, _ = _tables(design)
    lines = [f"# {title}", "", "## What happens", "", "`python reproduce.py` prints:", ""]
    lines += [f"    {line}" for line in shown.splitlines()]
    lines += ["", "## What is expected", "", expected, "", "## The data", ""]
    lines += [f"    {row}" for row in _csv(frame, float.__repr__).splitlines()]
    write_text(folder / "ISSUE.md", "\n".join(lines) + "\n")
    return tuple(folder / name for name in (*files, "ISSUE.md"))


def _tables(design: Design) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The variables under their aliases with one text column a grouping factor, and all levels."""
    numbers = {v.alias: v.series() for v in design.variables.values()}
    numbers[design.alias(design.spec.response)] = pd.Series(design.y)  # less the offset
    if design.weights is not None:
        numbers["prior.weights"] = pd.Series(design.weights)
    groups = {_column(design, b): np.array(b.levels, object)[b.codes] for b in design.blocks}
    frame = pd.DataFrame({**numbers, **groups})
    known = {v.alias: v.levels for v in design.variables.values() if v.levels is not None}
    known |= {_column(design, b): b.levels for b in design.blocks}
    pairs = [(column, level) for column, levels in known.items() for level in levels]
    return frame, pd.DataFrame(pairs, columns=["column", "level"])


def _column(design: Design, block: Block) -> str:
    return f"group_{design.spec.groups.index(block.group)}"


def _csv(frame: pd.DataFrame, write: Any) -> str:
    text = frame.astype(dict.fromkeys(frame.columns, object))
    for name in frame.select_dtypes("float"):
        text[name] = [write(float(value)) for value in frame[name]]
    return str(text.to_csv(index=False, lineterminator="\n"))


# ---- what is expected and what was seen ---------------------------------------------------------


def _expected(case: CaseReport) -> dict[str, Any]:
    certified = case.fits.get("certified")
    return {
        "formula": case.formula,
        "method": case.method,
        "data_sha256": case.data_sha256,
        "expected": _numbers(certified) if certified else {},
        "expected_digits": dict(certified.extra.get("digits", {})) if certified else {},  # type: ignore[call-overload]  # a mapping, by CertifiedEngine
        "seen": {name: _seen(fit) for name, fit in case.fits.items() if name != "certified"},
        "differences": [
            _sentence(line)
            for engine in case.fits
            for line in differences(case, engine)
            if line.follows is None
        ],
        "broken_identities": [
            {"engine": c.engine, "identity": c.identity, "error": c.error, "tolerance": c.tolerance}
            for c in case.identities
            if c.verdict in {"fail", "known"}
        ],
    }


def _numbers(fit: Fit) -> dict[str, dict[str, float]]:
    return {name: dict(q.entries()) for name, q in fit.quantities.items()}


def _seen(fit: Fit) -> dict[str, Any]:
    return {
        "status": fit.status,
        "converged": fit.converged,
        "messages": list(fit.messages),
        "settings": dict(fit.settings),
        "versions": dict(fit.versions),
        "quantities": _numbers(fit),
    }


def _sentence(line: Comparison) -> str:
    if line.quantity == "fit":
        return f"{line.candidate} gives no answer: {line.reason}"
    return (
        f"{line.candidate}: {line.quantity} {line.label} is {line.candidate_value!r}, expected "
        f"{line.reference_value!r} ({digits_text(line.digits)} digits; cause: {line.cause})"
    )


# ---- the scripts --------------------------------------------------------------------------------


def _python_script(design: Design, case: CaseReport) -> str:
    plan = layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    asked = arguments(design, plan)
    del asked["data"]
    fits = [f for name, f in case.fits.items() if name.startswith("statsmodels")]
    return _filled(
        "reproduce.py.txt",
        arguments=repr(asked),
        options=repr(_options(fits)),
        reml=repr(design.spec.method == "REML"),
        whole=repr(plan.group),
    )


def _options(fits: Iterable[Fit]) -> list[dict[str, str]]:
    """The optimisers that were asked for; names of ours, not text of the data."""
    found = [{k: v for k, v in fit.settings.items() if k == "method"} for fit in fits]
    plain = [o for o in found if o.get("method", "bfgs").isalpha()]
    return plain or [{}]


def _r_script(design: Design) -> str:
    bars = [f"({_sum(design, b)} | {_column(design, b)})" for b in design.blocks]
    fixed = f"{design.alias(design.spec.response)} ~ {_fixed(design)}"
    single = design.blocks[0] if len(design.blocks) == 1 else None
    nlme = f"~ {_sum(design, single)} | {_column(design, single)}" if single else ""
    return _filled(
        "reproduce.R.txt",
        lme4=" + ".join([fixed, *bars]),
        fixed=fixed,
        random=nlme or "NULL",
        reml="TRUE" if design.spec.method == "REML" else "FALSE",
        weights="" if design.weights is None else ", weights = prior.weights",
        variances="" if design.weights is None else ", weights = nlme::varFixed(~ variance)",
    )


def _fixed(design: Design) -> str:
    return _terms(design, design.intercept, design.fixed)


def _sum(design: Design, block: Block) -> str:
    return _terms(design, block.term.intercept, block.term.terms)


def _terms(design: Design, intercept: bool, terms: Iterable[tuple[str, ...]]) -> str:
    products = [":".join(design.alias(name) for name in term) for term in terms]
    return " + ".join(["1" if intercept else "0", *products])


def _filled(template: str, **values: str) -> str:
    text = resource("fixtures", "templates", template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
