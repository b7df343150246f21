"""The verifier proves what is published, and refuses what is not: by checksums, and by algebra."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.reference.the_set import (
    DATA,
    DOUBLES,
    ITEM,
    ROOT,
    VALUES,
    change_digit,
    copied,
    falsify,
    imports_of_a_short,
    item,
    items,
    verify,
    write_checksums,
)

SMALL = (
    "seed_case1.reml",
    "two_optima_ml.ml",
    "stationary_at_zero.reml",
    "equal_means.reml",
    "large_ratio.reml",
    "nist_SmLs07.reml.decimals",
    "balanced_6x5.reml",
    "singular_slopes_six.reml",
    "sleepstudy.reml",
    "Penicillin.ml",
    "ladder_1e4.reml",
)
"""One of each kind: global and local, interior and singular, exact, and of made data."""


def test_it_can_be_read_in_an_evening_and_imports_flint_alone() -> None:
    assert imports_of_a_short("verify.py") == {"flint"}


@pytest.mark.parametrize("name", SMALL)
def test_an_item_is_proved(name: str) -> None:
    verify.prove(item(name))


@pytest.mark.slow
def test_all_items_are_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(str(ROOT)) == 0
    assert f"{len(items())} items, 0 refused" in capsys.readouterr().out


def test_the_files_are_those_of_the_checksums() -> None:
    lines = (ROOT / "CHECKSUMS").read_text(encoding="utf-8").splitlines()
    assert {ROOT / line[66:] for line in lines} == set(ROOT.glob("items*/*/*"))


def refused(folder: Path, tmp_path: Path, rng: random.Random) -> None:
    where = copied(folder, tmp_path)
    names = [n for n in (ITEM, VALUES, DATA, DOUBLES) if (where / n).is_file()]
    what = change_digit(where / rng.choice(names), rng)
    assert verify.main(str(tmp_path)) == 1, f"{folder.name}: {what}"


@pytest.mark.parametrize("seed", range(5))
def test_a_changed_digit_is_refused(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    refused(item(rng.choice(SMALL)), tmp_path, rng)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_two_hundred_changed_digits_are_refused(seed: int, tmp_path: Path) -> None:
    rng = random.Random(1000 + seed)
    refused(rng.choice(items()), tmp_path, rng)


def refused_by_algebra(folder: Path, tmp_path: Path, rng: random.Random) -> None:
    where = copied(folder, tmp_path)
    what = falsify(where, rng)
    write_checksums(tmp_path)
    assert verify.main(str(tmp_path)) == 1, f"{folder.name}: {what}"


@pytest.mark.parametrize("seed", range(10))
def test_a_changed_number_is_refused_with_new_checksums(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    refused_by_algebra(item(rng.choice(SMALL)), tmp_path, rng)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_two_hundred_changed_numbers_are_refused(seed: int, tmp_path: Path) -> None:
    rng = random.Random(2000 + seed)
    refused_by_algebra(rng.choice(items()), tmp_path, rng)


def changed(name: str, tmp_path: Path, change: object) -> Path:
    where = copied(item(name), tmp_path)
    about = json.loads((where / ITEM).read_text(encoding="utf-8"))
    change(about)  # type: ignore[operator]
    (where / ITEM).write_text(json.dumps(about), encoding="utf-8")
    return where


def _free(about: dict) -> None:
    """Call the singular covariance regular."""
    about["certificate"]["points"][0]["pivots"] = [[0, 1]]


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("sleepstudy.reml", lambda a: a["claim"].update(kind="global"), "one random intercept"),
        ("sleepstudy.reml", lambda a: a["claim"].update(singular=True), "singular or not"),
        (
            "two_optima_ml.ml",
            lambda a: a["certificate"]["points"].pop(1),
            "in order|may be missing",
        ),
        ("two_optima_ml.ml", lambda a: a["optima"].pop(), "zip"),
        ("two_optima_ml.ml", lambda a: a["optima"].reverse(), "is not"),
        ("seed_case1.reml", lambda a: a["certificate"].update(beyond="0.5"), "in order|open at"),
        ("seed_case1.reml", lambda a: a["certificate"]["points"].clear(), "may be missing"),
        ("seed_case1.reml", lambda a: a["values"].pop("sigma"), "no "),
        (
            "seed_case1.reml",
            lambda a: a["model"]["fixed"].pop(),
            "may be|for certain|is not|one point|where",
        ),
        ("singular_slopes_six.reml", _free, "zip|not one minimum|is not|pivot"),
    ],
)
def test_a_false_claim_is_refused(name: str, change: object, why: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, KeyError, ZeroDivisionError), match=why):
        verify.prove(changed(name, tmp_path, change))
