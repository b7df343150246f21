"""Twelve models of all kinds against pbkrtest, lmerTest and emmeans at tight settings, recorded.

fixtures/inference/record.py made the records; they say R and packages, and hold a checksum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from pp_compare.inferences.inference import ModelInference
from pp_compare.inferences.marginal import contrast_rows, marginal_rows
from pp_compare.inferences.r_inference import first_factor, r_inference, recorded_inference
from pp_compare.inferences.table import Estimate, InferenceTable
from tests.examples import corpus_design

MODELS = (
    "sleepstudy", "sleepstudy_uncorrelated", "Penicillin", "Pastes", "Machines",
    "Machines_by_worker", "Oats", "Assay", "BodyWeight", "Orthodont", "Gasoline", "Dyestuff2",
)  # fmt: skip
# At its closest settings lme4's covariances have some 7 digits (docs/settings.md), and so have a
# standard error and its degrees of freedom; lmerTest's numerical derivatives take one more.
BOUNDS = {"satterthwaite": 2e-6}
OTHERWISE = 2e-7


def ours(found: ModelInference, means: str | None) -> Mapping[str, InferenceTable]:
    """Without profiles and likelihood ratios, which have tests of their own."""
    rows = dict(zip(found.design.labels, np.eye(len(found.design.labels)), strict=True))
    tables = found.of_rows(rows)
    tests = found.term_tests()
    tables += [InferenceTable(name, "certified", tuple(lines)) for name, lines in tests.items()]
    if means is not None:
        of_levels = marginal_rows(found.design, means)
        tables += found.of_rows(of_levels, "means:")
        tables += found.of_rows(contrast_rows(of_levels), "contrasts:")
    # lmerTest's derivatives at a theta of 0 are those along the face.
    return {t.definition.replace("satterthwaite-face", "satterthwaite"): t for t in tables}


def apart(a: Estimate, b: Estimate) -> float:
    """Largest relative difference in standard error, degrees of freedom and F."""
    worst = 0.0
    for head in ("se", "df_above", "df", "statistic"):
        x, y = getattr(a, head), getattr(b, head)
        if head == "statistic" and not math.isnan(a.se):
            continue  # estimate over standard error: an estimate may be near 0
        if not (math.isnan(x) or math.isinf(x) or x == y):
            worst = max(worst, abs(x - y) / abs(x))
    return worst


def compared(name: str, theirs: tuple[InferenceTable, ...]) -> dict[str, float]:
    """How far apart each definition is at most."""
    model = corpus_design(name)
    found = ours(ModelInference(model), first_factor(model))
    distances = {}
    for table in theirs:
        if table.definition not in found:
            continue
        mine = {line.term: line for line in found[table.definition].lines}
        assert set(mine) == {line.term for line in table.lines}, table.definition
        distances[table.definition] = max(apart(mine[line.term], line) for line in table.lines)
    assert {"kenward-roger", "satterthwaite", "f:kenward-roger"} <= set(distances) | (
        set() if model.labels != ("Intercept",) else {"f:kenward-roger"}
    )
    return distances


def assert_near(distances: Mapping[str, float]) -> None:
    for definition, distance in distances.items():
        kind = definition.rpartition(":")[2]
        assert distance <= BOUNDS.get(kind, OTHERWISE), (definition, distance)


@pytest.mark.parametrize("name", MODELS)
def test_recorded(name: str):
    record = recorded_inference(corpus_design(name), name, "tight")
    assert record.versions["pbkrtest"]
    assert_near(compared(name, record.tables))


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("name", MODELS)
def test_live(name: str):
    model = corpus_design(name)
    answer = r_inference(model, first_factor(model), setting="tight")
    if answer.missing:
        pytest.skip(f"R has no {', '.join(answer.missing)} here")
    assert_near(compared(name, answer.tables))
