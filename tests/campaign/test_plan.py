from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pp_compare.campaign.plan import AXES, Point, from_document, read_plan, to_document
from pp_compare.errors import InputError
from pp_compare.resources import resource

PLANS = resource("fixtures", "plans")
GRID = {"seed": 3, "replications": 4, "grid": {"clusters": [5, 10], "icc": [0.0, 0.2, 0.5]}}
RANDOM = {
    "seed": 3,
    "random": {"draws": 400, "model": ["intercept", "slope"], "clusters": {"low": 3, "high": 30}},
}


def test_a_grid_holds_every_combination_once() -> None:
    plan = from_document(GRID)
    points = [plan.point(k) for k in range(plan.points)]
    assert plan.size == 24
    assert {(p.clusters, p.icc) for p in points} == {(j, r) for j in (5, 10) for r in (0, 0.2, 0.5)}
    assert plan.varied() == ("clusters", "icc")
    assert points[0].noise == Point().noise


def test_random_points_follow_from_their_number_and_fill_their_ranges() -> None:
    plan, again = from_document(RANDOM), from_document(RANDOM)
    points = [plan.point(k) for k in range(plan.points)]
    assert [again.point(k) for k in reversed(range(plan.points))] == points[::-1]
    found = Counter(p.clusters for p in points)
    assert (min(found), max(found)) == (3, 30)
    assert 150 < Counter(p.model for p in points)["slope"] < 250
    other = from_document({**RANDOM, "seed": 4})
    assert other.point(0) != plan.point(0)


def test_the_digest_is_that_of_the_data() -> None:
    plan = from_document(GRID)
    assert from_document({**GRID, "name": "b", "engines": ["nlme"]}).digest == plan.digest
    for change in ({"seed": 4}, {"replications": 5}, {"design": "fixed"}):
        assert from_document({**GRID, **change}).digest != plan.digest


@pytest.mark.parametrize("document", [GRID, RANDOM])
def test_a_plan_reads_back(document: dict[str, Any]) -> None:
    plan = from_document(document)
    assert from_document(json.loads(json.dumps(to_document(plan)))) == plan


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_examples_are_plans(path: Path) -> None:
    plan = read_plan(path)
    assert plan.name == path.stem
    assert plan.point(plan.points - 1)


def grid(**axes: Any) -> dict[str, Any]:
    return {"grid": axes}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "either a table [grid] or a table [random]"),
        ({"grid": {}, "random": {"draws": 1}}, "either"),
        ({"random": {}}, "random.draws is a whole number from 1, not None"),
        ({**GRID, "seeds": 1}, "no 'seeds'"),
        (grid(cluster=3), "no 'cluster'; its axes are: model,"),
        (grid(clusters=1), "clusters is a number from 2 to 1e+07, not 1"),
        (grid(clusters=2.5), "clusters is a whole number from 2, not 2.5"),
        (grid(clusters=[]), "clusters has no value"),
        (grid(icc=1.0), "icc is a number from 0 to 1, not 1.0"),
        (grid(noise=0), "noise is a number from 0 to 1e+100, not 0"),
        (grid(icc="high"), "not 'high'"),
        (grid(icc=float("nan")), "not nan"),
        (grid(offset=float("inf")), "not inf"),
        (grid(model="spline"), "model is one of intercept, slope"),
        (grid(icc={"low": 0, "high": 0.5}), "not a range"),
        ({"random": {"draws": 2, "icc": {"low": 0.5, "high": 0.1}}}, "low <= high"),
        ({"random": {"draws": 2, "icc": {"low": 0.0, "high": 0.5, "log": True}}}, "above 0"),
        ({"random": {"draws": 2, "icc": {"from": 0}}}, "a range of low, high and log"),
        ({**GRID, "replications": True}, "replications is a whole number from 1, not True"),
        ({**GRID, "engines": []}, "engines is a list of engine ids"),
        ({**GRID, "design": "same"}, "design is one of fresh, fixed"),
        ({**GRID, "schema": "pp-compare/plan/9"}, "pp-compare/plan/9"),
        ({"grid": [1]}, "[grid] is a table"),
    ],
)
def test_what_is_no_plan_is_refused_by_its_key(document: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        from_document(document)


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("grid = [")
    with pytest.raises(InputError, match="is not TOML"):
        read_plan(tmp_path / "bad.toml")


def test_every_axis_has_a_default() -> None:
    assert from_document({"grid": {}}).point(0) == Point()
    assert set(AXES) == set(vars(Point()))
