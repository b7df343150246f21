"""Tests and intervals as R reports them: live where R has the packages, recorded otherwise."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pp_compare.engines import make_engine
from pp_compare.errors import EngineError, UnavailableError
from pp_compare.inferences.inference import Estimate, InferenceTable, joint_wald, own_inference
from pp_compare.inferences.partial_pooling import random_intercept
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
    "explained": "lme4",
    "means:lm": "emmeans on lm",
    "means:kenward-roger": "emmeans on lme4",
    "means:satterthwaite": "emmeans on lme4",
    "means:asymptotic": "emmeans on lme4",
}
SECONDS = 120.0
"""Time limit of the R process; profiling 1,000 clusters takes a quarter of that."""


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
    """

    tables: tuple[InferenceTable, ...]
    missing: tuple[str, ...]
    versions: Mapping[str, str]
    recorded: bool = False


def r_inference(design: Design, means: str | None = None, rscript: str = "Rscript") -> RInference:
    """Ask R.

    Parameters
    ----------
    design : Design
        Of a model with one random intercept.
    means : str, optional
        A factor whose marginal means are wanted.
    rscript : str
        The program.

    Raises
    ------
    InputError
        Where the model is not one random intercept.
    UnavailableError
        Where there is no R.
    EngineError
        Where R does not answer; in R's words.
    """
    return answer_of(design, ask(design, means, rscript))


def all_inference(
    design: Design, case: str = "", means: str | None = None
) -> tuple[list[InferenceTable], list[str]]:
    """Our own tables, R's and statsmodels', and a remark for each that could not be had.

    Parameters
    ----------
    design : Design
    case : str
        Name of a case, whose recorded answer stands in where R is not here.
    means : str, optional
        A factor whose marginal means are wanted.
    """
    tables, remarks = own_inference(design, means), []
    try:
        try:
            answer = r_inference(design, means)
        except UnavailableError as missing:
            try:
                answer = recorded_inference(design, case)
            except UnavailableError as none:
                raise UnavailableError(f"{missing}; {none}") from none
    except (UnavailableError, EngineError) as error:
        remarks.append(str(error))
    else:
        tables += answer.tables
        where = "played back from a record" if answer.recorded else "live"
        versions = ", ".join(f"{name} {version}" for name, version in answer.versions.items())
        remarks.append(f"R's values are {where} ({versions}).")
        remarks += [f"R has no package {name} here." for name in answer.missing]
    fit = make_engine("statsmodels").fit(design)
    if fit.status == "ok":
        tables.append(joint_wald(fit))
    else:
        remarks.append(f"statsmodels did not answer: {'; '.join(fit.messages)}")
    return tables, remarks


def first_factor(design: Design) -> str | None:
    """The first factor of the fixed part that stands there alone: whose means one asks for."""
    for term in design.fixed:
        if len(term) == 1 and design.variables[term[0]].levels is not None:
            return term[0]
    return None


def ask(design: Design, means: str | None, rscript: str = "Rscript") -> dict[str, Any]:
    """R's answer as it comes: what is recorded."""
    program = shutil.which(rscript)
    if program is None:
        raise UnavailableError(f"no program '{rscript}' here; {INSTALL_R}")
    with tempfile.TemporaryDirectory() as folder:
        request, data = Path(folder, "request.json"), Path(folder, "data.csv")
        request.write_text(json.dumps(_request(design, means)), encoding="utf-8")
        data.write_text(Dataset("design", design.frame).exact_csv(), encoding="utf-8")
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


def recorded_inference(design: Design, case: str) -> RInference:
    """The recorded answer for a named case.

    Raises
    ------
    UnavailableError
        Where none is recorded, or it was recorded of other data or another model.
    """
    path = resource("fixtures", "inference") / f"{case}.{design.spec.method}.json"
    if not path.is_file():
        raise UnavailableError(f"no inference of R is recorded for '{case or 'this model'}'")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["data_sha256"] != design.dataset.sha256():
        raise UnavailableError(f"{path.name} was recorded of other data than '{case}' has now")
    found = answer_of(design, record["answer"])
    return RInference(found.tables, found.missing, found.versions, recorded=True)


def inference_record(design: Design, means: str | None, rscript: str = "Rscript") -> str:
    """A recorded answer as JSON text, with what it was made of."""
    record = {
        "made": "fixtures/inference/record.py: r/inference.R on the data of the case",
        "formula": design.spec.formula,
        "method": design.spec.method,
        "data_sha256": design.dataset.sha256(),
        "means": means,
        "answer": ask(design, means, rscript),
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def answer_of(design: Design, answer: Mapping[str, Any]) -> RInference:
    """R's answer under our labels."""
    names = _term_names(design)
    tables = tuple(
        InferenceTable(definition, SOURCES[definition], tuple(_lines(definition, table, names)))
        for definition, table in answer["tables"].items()
    )
    return RInference(tables, tuple(answer["missing"]), dict(answer["versions"]))


def _request(design: Design, means: str | None) -> dict[str, Any]:
    spec, term = design.spec, random_intercept(design).term
    variables = [*design.variables.values(), *design.groups.values()]
    return {
        "response": design.alias(spec.response),
        "intercept": design.intercept,
        "fixed": [[design.alias(name) for name in term] for term in design.fixed],
        "group": [design.groups[name].alias for name in term.group],
        "levels": {v.alias: v.levels for v in variables if v.levels is not None},
        "means": design.alias(means) if means else None,
        "method": spec.method,
    }


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
    infinite = definition in ("wald", "means:asymptotic")
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
