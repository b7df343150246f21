"""A failing test leaves a bundle of its model; a property test, of the smallest one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pp_compare.conformance.failing import bundle_of
from tests.examples import corpus_design

pytest_plugins = ["pytester"]

TESTS = """
from dataclasses import replace

import pandas as pd
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pp_compare.model.design import build_design
from pp_compare.engines import make_engine
from pp_compare.model.formula import parse_formula
from pp_compare.model import Dataset, Quantity

# Sizes of the clusters; the response is 0, 1, 2, ...
@settings(
    database=None, derandomize=True, deadline=None, phases=[Phase.generate, Phase.shrink]
)
@given(st.lists(st.integers(2, 9), min_size=2, max_size=4))
def test_few_rows(sizes):
    g = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    frame = pd.DataFrame({"y": [float(k * k) for k in range(len(g))], "g": g})
    design = build_design(Dataset("mine", frame), parse_formula("y ~ 1 + (1|g)"))
    if design.n_obs >= 7:
        fit = make_engine("certified").fit(design)
        off = {"sigma": Quantity("sigma", fit["sigma"] * 1.5)}
        mine = replace(fit, engine="mine", quantities={**fit.quantities, **off})
        assert mine["sigma"] == fit["sigma"]

def test_of_no_model():
    assert 1 == 2

def test_that_passes():
    design = build_design(
        Dataset("d", pd.DataFrame({"y": [0.0, 1.0, 3.0], "g": ["a", "a", "b"]})),
        parse_formula("y ~ 1 + (1|g)"),
    )
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    pytester.makepyfile(test_mine=TESTS)
    return lambda *options: pytester.runpytest_inprocess("-p", "no:hypothesispytest", *options)


def test_the_bundle_is_of_the_smallest_example(
    run: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    done = run("--pp-bundle", tmp_path / "bundles")
    done.assert_outcomes(passed=1, failed=2)
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["test_mine-test_few_rows"]
    folder = tmp_path / "bundles" / "test_mine-test_few_rows"
    done.stdout.fnmatch_lines(f"bundle of the model: {folder}")
    assert len(pd.read_csv(folder / "data.csv")) == 7
    assert {path.name for path in folder.iterdir()} > {"reproduce.R", "ISSUE-mine.md"}
    seen = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["seen"]
    assert set(seen) == {"mine"}
    issue = (folder / "ISSUE-mine.md").read_text(encoding="utf-8")
    assert "| residual standard deviation |" in issue


def test_without_the_option_there_is_none(
    run: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    done = run("-k", "few_rows")
    done.assert_outcomes(failed=1, deselected=2)
    done.stdout.no_fnmatch_line("*bundle of the model*")


def test_a_bundle_that_cannot_be_written_does_not_hide_the_failure(
    run: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    done = run("--pp-bundle", tmp_path / "taken", "-k", "few_rows")
    done.assert_outcomes(failed=1, deselected=2)
    done.stdout.fnmatch_lines(["*assert mine*", "no bundle of the model: *Error: *"])


def test_of_several_failures_the_first_is_bundled(tmp_path: Path) -> None:
    def fail() -> None:
        design = corpus_design("two_optima_ml", "ML")
        raise AssertionError(design.n_obs)

    with pytest.raises(AssertionError) as one:
        fail()
    group = ExceptionGroup("two", [one.value, ValueError("of no model")])
    folder = bundle_of(group, tmp_path, "here[é/..]")
    assert folder == tmp_path / "here"
    assert (folder / "reproduce.py").is_file()
    assert bundle_of(ValueError("never raised"), tmp_path, "none") is None
