"""Write the reference set: items with their certificates, checksums, what engines get of them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from flint import arb, ctx

from pp_compare.certified.models import (
    CertifiedModel,
    GeneralModel,
    InterceptModel,
    certified_model,
    decimal_model,
)
from pp_compare.errors import PPCompareError
from pp_compare.model.design import Design
from pp_compare.reference.answers import recorded_answers
from pp_compare.reference.columns import Table, describe
from pp_compare.reference.cover import covered_claim
from pp_compare.reference.decimals import decimals
from pp_compare.reference.general_proof import general_certificate, refined
from pp_compare.reference.glmm_items import GlmmItem, all_glmm_items, glmm_record
from pp_compare.reference.inferences import (
    Tables,
    inferences_of,
    information_of_general,
    information_of_intercept,
)
from pp_compare.reference.intercept_proof import intercept_certificate
from pp_compare.reference.items import LARGEST_FILE, Item, all_items, in_words
from pp_compare.reference.scores import HEADER, difficulty, scores
from pp_compare.reference.values import BITS, Balls, balls_of_general, balls_of_intercept, values_of
from pp_compare.resources import write_text

SCHEMA = "pp-compare/reference-item/1"
FOLDERS = ("items", "items-gpl")
GRADED_BY = ("lme4-1.1-31", "nlme-3.1-162", "statsmodels-0.15.0")
"""Whose answers make the grade of an item: fixed, so that a grade does not change with releases."""
PUBLISHED = {"unique", "undecided"}
"""Kinds of `Existence` with values: a local minimum is one whether the criterion falls elsewhere or
not."""
Files = dict[str, str]
T = TypeVar("T", Item, GlmmItem)


def make_set(
    folder: Path, only: Iterable[str] = (), progress: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Write every item, or those named, and the checksums of all that are there.

    Returns
    -------
    list of str
        Ids of candidates that have no item, each with the reason.
    """
    chosen = set(only)
    if not chosen:
        _remove_items(folder)
        _remove_items(folder / "glmm")
    left_out = _write_items(folder, all_items(), item_files, chosen, progress)
    left_out += _write_items(folder / "glmm", all_glmm_items(), glmm_files, chosen, progress)
    for root in (folder, folder / "glmm"):
        write_text(root / "CHECKSUMS", checksums(root))
    write_scores(folder)
    return left_out


def _write_items(
    folder: Path,
    items: Iterable[T],
    files_of: Callable[[T], Files],
    chosen: set[str],
    progress: Callable[[str], None],
) -> list[str]:
    """Write one kind of items; the ids of those that have no files, each with the reason."""
    left_out = []
    for item in items:
        if chosen and item.id not in chosen:
            continue
        try:
            files = files_of(item)
        except PPCompareError as why:
            left_out.append(f"{item.id}: {why}")
            continue
        for name, text in files.items():
            write_text(folder / item.folder / item.id / name, text)
        progress(item.id)
    return left_out


def glmm_files(item: GlmmItem) -> Files:
    """The files of a generalised model, by name.

    Raises
    ------
    PPCompareError
        Where nothing is certified.
    """
    about, table = glmm_record(item)
    return {
        "data.csv": table.text,
        "doubles.csv": table.doubles,
        "item.json": json_text(about) + "\n",
        "values.csv": values_csv(about["values"]),
    }


def write_scores(folder: Path) -> None:
    """A table of digits for each engine and version that was recorded."""
    truths = read_values(folder)
    for answers in recorded_answers():
        rows = [HEADER, *(score.row for score in scores(answers, truths))]
        write_text(folder / "engines" / f"{answers.name}.csv", _csv(rows))


def read_values(folder: Path) -> dict[str, dict[str, dict[str, list[str]]]]:
    """The tables of every item of a set, by id."""
    paths = sorted(path for name in FOLDERS for path in (folder / name).glob("*/item.json"))
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["values"] for path in paths
    }


def _remove_items(folder: Path) -> None:
    """Items of before: one that is in the set no more would stay."""
    for name in FOLDERS:
        for path in (folder / name).glob("*/item.json"):
            shutil.rmtree(path.parent)


def checksums(folder: Path) -> str:
    """Of every file of an item, in the format of ``sha256sum``."""
    paths = [p for name in FOLDERS for p in (folder / name).glob("*/*") if p.is_file()]
    lines = sorted((p.relative_to(folder).as_posix(), p.read_bytes()) for p in paths)
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in lines)


def item_files(item: Item) -> Files:
    """The files of an item, by name.

    Raises
    ------
    PPCompareError
        Where nothing is certified.
    """
    design = item.design
    certified = decimal_model(design) if item.reading == "decimals" else certified_model(design)
    if certified.existence.kind not in PUBLISHED:
        raise PPCompareError(certified.existence.sentence)
    if certified.optimum.claim == "none":
        raise PPCompareError(certified.optimum.reason)
    model, table = describe(design)
    balls, certificate, inference = _proved(item, certified)
    values = values_of(design, balls)
    graded = {
        answers.name: score
        for answers in recorded_answers()
        if answers.name in GRADED_BY
        for score in scores(answers, {item.id: values})
    }
    is_made = item.recipe is not None and design.n_obs > LARGEST_FILE
    about = {
        "schema": SCHEMA,
        "id": item.id,
        "why": item.why,
        "tags": list(item.tags),
        "model": {"words": _words(design)} | model | {"reading": item.reading},
        "claim": _claim(item, certified),
        "values": values,
        "inference": inference,
        "optima": _optima(certified, balls),
        "certificate": certificate,
        "difficulty": difficulty(graded),
        "data": _data(item, table, is_made),
    }
    files = {} if is_made else {"data.csv": table.text, "doubles.csv": table.doubles}
    return files | {
        "item.json": json_text(about) + "\n",
        "values.csv": values_csv(values),
        "inference.csv": inference_csv(inference),
    }


def _data(item: Item, table: Table, is_made: bool) -> dict[str, Any]:
    return {
        "source": item.source,
        "licence": item.licence,
        "made": item.made,
        "sha256": hashlib.sha256(table.text.encode()).hexdigest(),
        "generator": item.recipe.record if item.recipe and is_made else None,
    }


def _claim(item: Item, model: CertifiedModel) -> dict[str, Any]:
    """What the certificate proves, and what a cover of all covariances does."""
    if isinstance(model, InterceptModel):
        kind = "global"
        of = (
            "the lowest point of the criterion over all tau2 >= 0, with every other stationary"
            " point"
        )
    else:
        kind = "local"
        of = (
            "a strict local minimum of the criterion over all covariances, the lowest that a search"
            " from many starts has found"
        )
    if model.existence.kind == "undecided":
        of += f"; {model.existence.sentence}"
    claim = {"kind": kind, "of": of, "singular": model.optimum.singular}
    return claim | {"cover": covered_claim(item.design)} if item.is_covered else claim


def _optima(model: CertifiedModel, balls: Balls) -> list[dict[str, Any]]:
    """Every optimum that is known, the best first: where it is, and how deep."""
    with ctx.workprec(BITS):
        if isinstance(model, InterceptModel):
            points = sorted(model.found.optima, key=lambda p: float(p.deviance))
            return [_optimum([p.rho], p.deviance) for p in points]
        return [_optimum(balls.position, balls.deviance)]


def _optimum(position: Iterable[arb], deviance: arb) -> dict[str, Any]:
    one = arb(1)
    where = [list(decimals(x, abs(x) if abs(x) > arb(10) ** -20 else one)) for x in position]
    return {"position": where, "deviance": list(decimals(deviance, one))}


def _proved(item: Item, model: CertifiedModel) -> tuple[Balls, dict[str, Any], Tables]:
    """The optimum in balls, its certificate, and tests of the fixed effects."""
    if isinstance(model, InterceptModel):
        exact = _exact_ratio(item.design, model)
        found = model.found
        proof = intercept_certificate(model.statistics, found, reml=model.reml, exact=exact)
        info, unit = information_of_intercept(
            item.design, model, decimals=item.reading == "decimals"
        )
        return balls_of_intercept(found), proof, inferences_of(info, item.design.labels, unit)
    assert isinstance(model, GeneralModel)  # noqa: S101  # there are two cores
    point = refined(item.design, model.found)
    tests = inferences_of(information_of_general(point), item.design.labels, arb(1))
    return balls_of_general(item.design, point), general_certificate(point), tests


def _exact_ratio(design: Design, model: InterceptModel) -> Fraction | None:
    """tau2 / sigma2 of a balanced one-way layout: a fraction (Searle et al. 1992, section 4.7)."""
    sizes = set(model.statistics.cluster_size)
    if design.X.shape[1] != 1 or len(sizes) != 1 or not (design.X == 1).all():
        return None
    (n,) = sizes
    J, s = model.statistics.n_clusters, model.statistics
    total = [int(row[1]) for row in s.cluster_sum.table()]
    between = Fraction(sum(t * t for t in total), n) - Fraction(sum(total) ** 2, n * J)
    within = int(s.crossproduct[1, 1]) - Fraction(sum(t * t for t in total), n)
    k = J - 1 if model.reml else J
    ratio = (between / k) / (within / (J * (n - 1)))
    return (ratio - 1) / n if ratio > 1 else None


def values_csv(values: Mapping[str, Mapping[str, list[str]]]) -> str:
    """The tables of an item below each other."""
    rows = [
        [quantity, *row]
        for quantity, table in values.items()
        for row in zip(*table.values(), strict=True)
    ]
    return _csv([["quantity", "row", "column", "value", "radius"], *rows])


def inference_csv(inference: Tables) -> str:
    """The tests of an item below each other."""
    rows = [
        [definition, quantity, *row]
        for definition, tables in inference.items()
        for quantity, table in tables.items()
        for row in zip(*table.values(), strict=True)
    ]
    return _csv([["definition", "quantity", "row", "column", "value", "radius"], *rows])


def _csv(rows: Iterable[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _words(design: Design) -> str:
    return f"{in_words(design)}, with normal random effects and residuals; by {design.spec.method}"


def json_text(value: object, indent: str = "") -> str:
    """JSON with a line for each member of an object and one line for a list of plain things."""
    deeper = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{deeper}{json.dumps(k)}: {json_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(deeper + json_text(v, deeper) for v in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
