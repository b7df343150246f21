"""Tests and intervals as R reports them: live where R has the packages, recorded otherwise."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pp_compare.engines import lme4, make_engine, nlme
from pp_compare.engines._r import OFFSET, Request
from pp_compare.errors import EngineError, UnavailableError
from pp_compare.inferences.inference import joint_wald, own_inference, own_joint_wald
from pp_compare.inferences.table import Estimate, InferenceTable
from pp_compare.model import Dataset
from pp_compare.model.design import Design
from pp_compare.resources import INSTALL_R, r_package, resource

SOURCES: Mapping[str, str] = {
    "kenward-roger": "lme4 + pbkrtest",
    "satterthwaite": "lmerTest",
    "containment": "nlme",
    "wald": "lme4",
    "profile": "lme4",
    "likelihood-ratio": "lme4",
    "f:kenward-roger": "lme4 + pbkrtest",
    "f:satterthwaite": "lmerTest",
    "explained": "lme4",
    "means:lm": "emmeans on lm",
    "means:kenward-roger": "emmeans on lme4",
    "means:satterthwaite": "emmeans on lme4",
    "means:asymptotic": "emmeans on lme4",
    "contrasts:lm": "emmeans on lm",
    "contrasts:kenward-roger": "emmeans on lme4",
    "contrasts:satterthwaite": "emmeans on lme4",
    "contrasts:asymptotic": "emmeans on lme4",
}
SECONDS = 120.0
"""Time limit of the R process; profiling 1,000 clusters takes a quarter of that."""
ENGINES = ("lme4", "nlme", "statsmodels")
"""Whose reports are asked for."""
NORMAL = frozenset({"wald", "means:asymptotic", "contrasts:asymptotic"})
"""Definitions whose degrees of freedom are infinite, for which JSON has no number."""


@dataclass(frozen=True)
class RInference:
    """What R answered.

    Parameters
    ----------
    tables : tuple of InferenceTable
    missing : tuple of str
        R packages that are not installed; what they would give is left out.
    versions : mapping of str to str
        Of R and its packages.
    recorded : bool
        Whether it was played back.
    said : tuple of str
        R's words on what it did not give.
    """

    tables: tuple[InferenceTable, ...]
    missing: tuple[str, ...]
    versions: Mapping[str, str]
    recorded: bool = False
    said: tuple[str, ...] = ()


def r_inference(
    design: Design, means: str | None = None, rscript: str = "Rscript", setting: str | None = None
) -> RInference:
    """Ask R.

    Parameters
    ----------
    design : Design
    means : str, optional
        A factor whose marginal means are wanted.
    rscript : str
        The program.
    setting : str, optional
        Of lme4 and nlme, such as ``"tight"``; their own defaults where there is none.

    Raises
    ------
    UnavailableError
        Where there is no R.
    EngineError
        Where R does not answer; in R's words.
    """
    return answer_of(design, ask(design, means, rscript, setting))


def all_inference(
    design: Design,
    case: str = "",
    means: str | None = None,
    engines: Sequence[str] = ENGINES,
) -> tuple[list[InferenceTable], list[str]]:
    """Our own tables, R's and statsmodels', and a remark for each that could not be had.

    Parameters
    ----------
    design : Design
    case : str
        Name of a case, whose recorded answer stands in where R is not here.
    means : str, optional
        A factor whose marginal means are wanted.
    engines : sequence of str
        Those of `ENGINES` that are asked; lme4 with the packages that test its fits.

    Raises
    ------
    DegenerateModelError
        Where there is no optimum, or the variances are not identified.
    UnavailableError
        Where the model has more parameters than can be handled.
    """
    tables, remarks = own_inference(design, means)
    if {"lme4", "nlme"} & set(engines):
        found, said = _of_r(design, case, means)
        singular = any(table.definition == "satterthwaite-face" for table in tables)
        left = [table for table in found if _engine_of(table.source) in engines]
        tables += [_on_face(table) if singular else table for table in left]
        remarks += said
    if "statsmodels" in engines:
        found, said = _of_statsmodels(design)
        tables += found
        remarks += said
    return tables, remarks


def _engine_of(source: str) -> str:
    return "nlme" if source == "nlme" else "lme4"


def _of_r(design: Design, case: str, means: str | None) -> tuple[list[InferenceTable], list[str]]:
    try:
        try:
            answer = r_inference(design, means)
        except UnavailableError as missing:
            try:
                answer = recorded_inference(design, case)
            except UnavailableError as none:
                raise UnavailableError(f"{missing}; {none}") from none
    except (UnavailableError, EngineError) as error:
        return [], [str(error)]
    where = "played back from a record" if answer.recorded else "live"
    versions = ", ".join(f"{name} {version}" for name, version in answer.versions.items())
    remarks = [f"R's values are {where} ({versions})."]
    remarks += [f"R has no package {name} here." for name in answer.missing]
    remarks += [f"R: {words}" for words in answer.said]
    return list(answer.tables), remarks


def _of_statsmodels(design: Design) -> tuple[list[InferenceTable], list[str]]:
    """Statsmodels' z, beside the same definition at the certified optimum."""
    fit = make_engine("statsmodels").fit(design)
    if fit.status != "ok":
        return [], [f"statsmodels did not answer: {'; '.join(fit.messages)}"]
    return [*own_joint_wald(design), joint_wald(fit)], []


def _on_face(table: InferenceTable) -> InferenceTable:
    """What lmerTest gives of an optimum on the boundary, by what its derivatives are there.

    They are taken in theta, and in an element of theta that is 0 nothing has a slope.
    """
    found = table.definition.replace("satterthwaite", "satterthwaite-face")
    return replace(table, definition=found)


def first_factor(design: Design) -> str | None:
    """The first factor of the fixed part that stands there alone: whose means one asks for."""
    for term in design.fixed:
        if len(term) == 1 and design.variables[term[0]].levels is not None:
            return term[0]
    return None


def ask(
    design: Design, means: str | None, rscript: str = "Rscript", setting: str | None = None
) -> dict[str, Any]:
    """R's answer as it comes: what is recorded."""
    program = shutil.which(rscript)
    if program is None:
        raise UnavailableError(f"no program '{rscript}' here; {INSTALL_R}")
    with tempfile.TemporaryDirectory() as folder:
        request, data = Path(folder, "request.json"), Path(folder, "data.csv")
        asked, columns = _request(design, means, setting)
        request.write_text(json.dumps(asked), encoding="utf-8")
        data.write_text(Dataset("design", columns).exact_csv(), encoding="utf-8")
        code = str(resource("r", "inference.R"))
        command = [program, "--no-init-file", code, str(request), str(data)]
        try:
            done = subprocess.run(  # noqa: S603  # a fixed script; names travel as data
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"R did not answer within {SECONDS:g} s") from None
    if done.returncode and "jsonlite" in done.stderr:
        raise UnavailableError(
            f"R's own tests go by a package that it has not here; {r_package('jsonlite')}"
        )
    if done.returncode:
        raise EngineError(f"R: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def recorded_inference(design: Design, case: str, setting: str | None = None) -> RInference:
    """The recorded answer for a named case, of the engines' own settings or those named.

    Raises
    ------
    UnavailableError
        Where none is recorded, it was recorded of other data, or it is not what was recorded.
    """
    folder = resource("fixtures", "inference") / (setting or "")
    path = folder / f"{case}.{design.spec.method}.json"
    if not path.is_file():
        raise UnavailableError(f"no inference of R is recorded for '{case or 'this model'}'")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["data_sha256"] != design.dataset.sha256():
        raise UnavailableError(f"{path.name} was recorded of other data than '{case}' has now")
    if record["answer_sha256"] != _checksum(record["answer"]):
        raise UnavailableError(f"{path.name} does not hold what was recorded")
    found = answer_of(design, record["answer"])
    return replace(found, recorded=True)


def inference_record(
    design: Design, means: str | None, rscript: str = "Rscript", setting: str | None = None
) -> str:
    """A recorded answer as JSON text, with what it was made of and its checksum."""
    answer = ask(design, means, rscript, setting)
    record = {
        "made": "fixtures/inference/record.py: r/inference.R on the data of the case",
        "formula": design.spec.formula,
        "method": design.spec.method,
        "data_sha256": design.dataset.sha256(),
        "means": means,
        "setting": setting,
        "answer_sha256": _checksum(answer),
        "answer": answer,
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _checksum(answer: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()


def answer_of(design: Design, answer: Mapping[str, Any]) -> RInference:
    """R's answer under our labels."""
    names = _term_names(design)
    tables = tuple(
        InferenceTable(definition, SOURCES[definition], tuple(_lines(definition, table, names)))
        for definition, table in answer["tables"].items()
    )
    return RInference(
        tables,
        tuple(answer["missing"]),
        dict(answer["versions"]),
        said=tuple(answer.get("said", ())),
    )


def _request(
    design: Design, means: str | None, setting: str | None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What is asked, and the columns of the data; factors as codes."""
    first = lme4.dialect(setting).request(design)
    columns = {name: v for name, v in first.pop("data").items() if name != OFFSET}
    columns[first["response"]] = design.y  # less the offset, for all alike
    dialect = nlme.dialect(setting)
    second = None
    if dialect.unsupported(design) is None and nlme.chain(design) is not None:
        second = _settled(dialect.request(design))
    asked = {
        "lme4": _settled(first),
        "nlme": second,
        "levels": first["levels"],
        "means": design.alias(means) if means else None,
    }
    return asked, pd.DataFrame(columns)


def _settled(request: Request) -> dict[str, Any]:
    """A request without its data."""
    return {key: value for key, value in request.items() if key not in ("data", "levels")}


def _term_names(design: Design) -> dict[str, str]:
    """R's name of each coefficient and term, and ours."""
    names = {"(Intercept)": "Intercept"}
    for column in design.columns:
        parts = [design.alias(part.variable) + (part.level or "") for part in column.factors]
        names[":".join(parts) or "(Intercept)"] = column.label
    for term in design.fixed:
        names[":".join(design.alias(name) for name in term)] = ":".join(term)
    return names


def _lines(
    definition: str, table: Mapping[str, list[Any]], names: Mapping[str, str]
) -> list[Estimate]:
    rows = [dict(zip(table, line, strict=True)) for line in zip(*table.values(), strict=True)]
    # JSON has no infinity: where a definition is a normal, R's df is Inf.
    infinite = definition in NORMAL
    return [_estimate(row, names, infinite) for row in rows]


def _estimate(row: Mapping[str, Any], names: Mapping[str, str], infinite: bool) -> Estimate:
    numbers = {
        key: math.nan if value is None else float(value)
        for key, value in row.items()
        if key != "term"
    }
    if infinite:
        numbers["df"] = math.inf
    term = str(row["term"])
    return Estimate(names.get(term, term), **numbers)
