"""The items are what the command makes, obey the schema, and agree with mpmath."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import mpmath as mp
import pytest

from pp_compare.reference.items import all_items
from pp_compare.reference.make import item_files, make_set, values_csv
from tests.reference.fifty_digits import Dense, about
from tests.reference.the_set import ROOT, item, items

MADE = ("seed_case1.reml", "two_optima_ml.ml", "singular_slopes_six.reml", "balanced_6x5.ml")
FEW = ("smallest.reml", "two_optima_six.ml", "blame_two_optima.reml")
INDEPENDENT = (
    *FEW,
    "seed_case3.ml",
    "balanced_6x5.reml",
    "two_optima_ml.ml",
    "two_optima_reml.reml",
    "large_offset.reml",
    "large_ratio.ml",
    "singletons_and_one_pair.reml",
    "near_constant.reml",
    "nist_SiRstv.reml",
    "nist_AtmWtAg.ml",
    "Dyestuff.reml",
    "Dyestuff2.reml",
    "Rail.ml",
    "ergoStool.reml",
    "hidden_line.reml",
    "singular_slopes_equal.reml",
    "plates_by_samples.reml",
    "zero_covariance.ml",
)
"""Items of few rows, of either claim, singular ones among them."""


def test_there_are_sixty_items_at_least() -> None:
    assert len(items()) >= 60
    assert {about(path.name)["id"] for path in items()} == {path.name for path in items()}


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.slow)])
def test_items_obey_the_schema(every: int) -> None:
    schema = json.loads((ROOT / "schema" / "item-1.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    for path in items()[::every]:
        check.validate(about(path.name))


def test_sets_under_the_gpl_stand_apart() -> None:
    for path in items():
        assert ("GPL" in about(path.name)["data"]["licence"]) == (path.parent.name == "items-gpl")


@pytest.mark.parametrize("name", MADE)
def test_the_command_makes_these_bytes(name: str) -> None:
    (one,) = (candidate for candidate in all_items() if candidate.id == name)
    for file, text in item_files(one).items():
        assert (item(name) / file).read_bytes() == text.encode(), file


@pytest.mark.slow
def test_the_command_makes_all_of_it(tmp_path: Path) -> None:
    make_set(tmp_path)
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes(), path
    made = {p.relative_to(tmp_path) for p in tmp_path.glob("items*/*/*")}
    assert made == {p.relative_to(ROOT) for p in ROOT.glob("items*/*/*")}


def test_the_table_holds_the_values_of_the_item() -> None:
    for name in FEW:
        assert (item(name) / "values.csv").read_text("utf-8") == values_csv(about(name)["values"])


def agrees(name: str) -> None:
    with mp.workdps(50):
        dense = Dense(name)
        theta = dense.theta()
        found = dense.solve(theta)
        tables = about(name)["values"]
        for key, value in found.items():
            quantity, _, k = key.partition(" ")
            published = mp.mpf(tables[quantity]["value"][int(k or 0)])
            unit = mp.mpf(tables["beta_se"]["value"][int(k)]) if k else mp.mpf(1)
            # The place is published to 20 digits, so what follows from it has some 17.
            assert abs(value - published) <= mp.mpf(10) ** -16 * max(unit, abs(published)), key
        assert is_lowest(dense, theta, found["deviance"])


def is_lowest(dense: Dense, theta: list, deviance: mp.mpf) -> bool:
    """No step along a coordinate leads lower; rounding of the place may, by a square of 1e-18."""
    step = mp.mpf(10) ** -6
    for k, value in enumerate(theta):
        for sign in (1, -1):
            other = [*theta[:k], value + sign * step * (abs(value) or 1), *theta[k + 1 :]]
            if dense.solve(other)["deviance"] < deviance:
                return False
    return True


@pytest.mark.parametrize("name", FEW)
def test_values_agree_with_fifty_digits(name: str) -> None:
    agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", INDEPENDENT)
def test_twenty_items_agree_with_fifty_digits(name: str) -> None:
    agrees(name)
