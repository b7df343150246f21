"""That no lower optimum exists: proved by cells, and refused where there is a lower one."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from flint import arb, ctx

from pp_compare.reference.items import catalogue
from tests.reference.fifty_digits import about
from tests.reference.the_set import (
    DATA,
    ITEM,
    ROOT,
    copied,
    imports_of_a_short,
    item,
    items,
    verify,
    verify_global,
    write_checksums,
)

SMALL = ("plates_by_samples.ml", "singular_slopes_equal.reml")
"""Two variances, and a covariance of intercept and slope on the boundary."""
TWO = ("two_optima_ml.ml", "two_optima_six.ml")
"""Of one random intercept with two optima; the first is the lowest."""


def test_it_can_be_read_in_an_evening_and_imports_flint_alone() -> None:
    assert imports_of_a_short("verify_global.py") == {"flint", "verify"}


def test_the_catalogue_says_which_items_are_covered() -> None:
    found = {path.name for path in items() if "cover" in about(path.name)["claim"]}
    assert found == set(catalogue()["cases"]["covered"])
    assert {about(name)["claim"]["kind"] for name in found} == {"local"}


@pytest.mark.parametrize("name", SMALL)
def test_a_cover_is_proved(name: str) -> None:
    verify_global.prove_everywhere(item(name))


@pytest.mark.slow
def test_all_covers_are_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(str(ROOT), verify_global.prove_everywhere) == 0
    out = capsys.readouterr().out
    assert out.count(" cells") == len(catalogue()["cases"]["covered"])


def stationary(name: str, k: int) -> tuple:
    """A model of one random intercept, its k-th optimum, and the proof of it as a local one."""
    told = about(name)
    model = verify.Model(told["model"], (item(name) / DATA).read_text(encoding="utf-8"))
    theta = arb(told["optima"][k]["position"][0][0]).sqrt()
    model.balls = balls(model)
    if float(theta) == 0:
        return model, verify.Dense(model, [verify.arb_mat(1, 1)], []), {"pivots": [[]]}
    at, width = theta.mid(), Fraction(1, 10**6)
    hessian = verify.Dense(model, [verify.arb_mat([[at]])], [(0, 0, 0)]).hessian[0, 0]
    point = {
        "pivots": [[0]],
        "theta": [at.str(25, radius=False)],
        "radius": [str(float(width))],
        "preconditioner": [[(1 / hessian).str(10, radius=False)]],
    }
    (state,) = verify.prove_local(model, {"points": [point]})
    return model, state, point


def balls(model: object) -> tuple:
    size = range(len(model.A))  # type: ignore[attr-defined]
    rows = [[model.A[i].get(j, 0) for j in size] for i in size]  # type: ignore[attr-defined]
    matrices = (rows, model.B, model.C)  # type: ignore[attr-defined]
    return tuple(verify.arb_mat(verify.fmpq_mat(M)) for M in matrices)


@pytest.mark.parametrize("name", TWO)
def test_the_lower_of_two_optima_is_covered_and_the_other_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_global, "MOST", 2000)
    for k in (0, 1):
        with ctx.workprec(256):
            model, state, point = stationary(name, k)
            if k == 0:
                assert verify_global.prove_lowest(model, state, point) < 2000
            else:
                with pytest.raises(ValueError, match="do not come to an end"):
                    verify_global.prove_lowest(model, state, point)


def test_a_cover_of_what_was_changed_is_refused(tmp_path: Path) -> None:
    where = copied(item(SMALL[0]), tmp_path)
    told = json.loads((where / ITEM).read_text(encoding="utf-8"))
    told["claim"]["cover"]["kind"] = "local"
    (where / ITEM).write_text(json.dumps(told), encoding="utf-8")
    write_checksums(tmp_path)
    assert verify.main(str(tmp_path), verify_global.prove_everywhere) == 1
