from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.errors import InputError
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.verdict.deviations import facts_of, find, load_deviations

ENTRY = """
engine = "statsmodels"
settings = ["default"]
versions = ">=0.14, <0.16"
quantities = ["beta_*"]
causes = ["definition"]
when = ["method == ML", "above <= 0.5", "boundary == false"]
summary = "s"
seen = "a"
true = "b"
upstream = "not reported"
checked = "2026-01-01"
examples = [{ case = "seed_case1", method = "ML" }]
"""
FACTS = {"method": "ML", "above": 0.1, "boundary": False}


@pytest.fixture
def registry(tmp_path: Path):
    (tmp_path / "entry.toml").write_text(ENTRY)
    return load_deviations(tmp_path)


def test_an_entry_is_found_by_everything_it_says(registry) -> None:
    entry = find(registry, "statsmodels", "0.15.0", "beta_se", "definition", FACTS)
    assert entry is not None
    assert entry.id == "entry"


@pytest.mark.parametrize(
    ("engine", "version", "quantity", "cause", "facts"),
    [
        ("lme4", "0.15.0", "beta_se", "definition", FACTS),
        ("statsmodels:lbfgs", "0.15.0", "beta_se", "definition", FACTS),
        ("statsmodels", "0.16.0", "beta_se", "definition", FACTS),
        ("statsmodels", None, "beta_se", "definition", FACTS),
        ("statsmodels", "0.15.0", "beta", "definition", FACTS),
        ("statsmodels", "0.15.0", "beta_se", "optimiser", FACTS),
        ("statsmodels", "0.15.0", "beta_se", None, FACTS),
        ("statsmodels", "0.15.0", "beta_se", "definition", FACTS | {"method": "REML"}),
        ("statsmodels", "0.15.0", "beta_se", "definition", FACTS | {"above": 0.6}),
        ("statsmodels", "0.15.0", "beta_se", "definition", FACTS | {"boundary": True}),
        ("statsmodels", "0.15.0", "beta_se", "definition", {"method": "ML"}),
    ],
)
def test_anything_else_is_not_the_known_one(
    registry, engine, version, quantity, cause, facts
) -> None:
    assert find(registry, engine, version, quantity, cause, facts) is None


@pytest.mark.parametrize(("excess", "found"), [(1e3, True), (1e7, False), (float("nan"), False)])
def test_a_fact_may_be_bounded_by_another(tmp_path: Path, excess: float, found: bool) -> None:
    text = ENTRY.replace('"above <= 0.5"', '"excess <= condition"')
    (tmp_path / "entry.toml").write_text(text)
    facts = FACTS | {"excess": excess, "condition": 1e6}
    entry = find(load_deviations(tmp_path), "statsmodels", "0.15.0", "beta_se", "definition", facts)
    assert (entry is not None) is found


def fit_with(cov: list[list[float]], beta_variance: float) -> Fit:
    two = tuple("ab")
    quantities = [
        Quantity("random_cov[g]", np.array(cov), two, two),
        Quantity("beta_cov", np.array([[beta_variance]]), ("a",), ("a",)),
        Quantity("sigma", np.array(2.0)),
    ]
    return Fit("statsmodels", "ok", {q.name: q for q in quantities}, messages=("one", "two"))


def test_the_facts_of_a_fit_are_those_of_its_numbers() -> None:
    facts = facts_of(fit_with([[5.0, 4.0], [4.0, 5.0]], -1.0))
    assert facts["relative_variance"] == pytest.approx(1 / 4, rel=1e-14)
    assert facts["condition"] == pytest.approx(9, rel=1e-14)
    assert facts["negative_variance"] is True
    assert facts["messages"] == "one; two"


def test_a_singular_covariance_has_no_condition_that_an_entry_could_ask_for() -> None:
    assert facts_of(fit_with([[0.0, 0.0], [0.0, 5.0]], 1.0))["condition"] == np.inf
    unknown = facts_of(Fit("statsmodels", "error"))
    assert np.isnan(unknown["condition"])
    assert unknown["negative_variance"] is False


@pytest.mark.parametrize(
    ("settings", "engine", "must"),
    [
        ('["*"]', "statsmodels", True),
        ('["*"]', "statsmodels:nm", False),
        ('["default", "nm"]', "statsmodels", True),
        ('["default", "nm"]', "statsmodels:nm", False),
        ('["nm"]', "statsmodels:nm", True),
        ('["nm"]', "statsmodels", False),
        ('["default"]', "lme4", False),
    ],
)
def test_an_example_is_of_the_first_setting(
    tmp_path: Path, settings: str, engine: str, must: bool
) -> None:
    (tmp_path / "entry.toml").write_text(ENTRY.replace('["default"]', settings))
    (entry,) = load_deviations(tmp_path)
    assert entry.must_show(engine, "0.15.0") is must
    assert not entry.must_show(engine, "0.16.0")


def test_r_versions_and_development_versions_are_versions(tmp_path: Path) -> None:
    text = ENTRY.replace('"statsmodels"', '"nlme"').replace(">=0.14, <0.16", ">=3.1.100")
    (tmp_path / "r.toml").write_text(text)
    (entry,) = load_deviations(tmp_path)
    assert entry.concerns("nlme", "3.1-162")
    assert not entry.concerns("nlme", "3.1-99")
    assert entry.concerns("nlme", "3.2.0.dev1")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('summary = "s"\n', "", "field 'summary' is missing"),
        ('"method == ML"', '"method is ML"', "relation must be one of"),
        (">=0.14", "about 0.14", "Invalid specifier"),
        ('engine = "statsmodels"', "engine =", "Invalid value"),
    ],
)
def test_an_entry_that_cannot_be_read_says_where(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    (tmp_path / "bad.toml").write_text(ENTRY.replace(old, new))
    with pytest.raises(InputError, match=words) as caught:
        load_deviations(tmp_path)
    assert "bad.toml" in str(caught.value)


def test_every_entry_of_the_project_has_an_example_in_a_case_or_in_a_file_of_its_own() -> None:
    for entry in load_deviations():
        assert entry.examples, entry.id
        for example in entry.examples:
            if example.data is None:
                assert example.method in case(example.case).methods
            else:
                assert len(read_dataset(example.data).frame) <= 400, "not a small example"


PINNED = [
    pytest.param(
        entry,
        example,
        id=f"{entry.id}-{example.method}",
        marks=[pytest.mark.needs_r] if entry.engine in {"lme4", "nlme"} else [],
    )
    for entry in load_deviations()
    for example in entry.examples
    if example.data
]


@pytest.mark.parametrize(("entry", "example"), PINNED)
def test_every_deviation_still_shows_in_the_data_that_it_is_pinned_to(entry, example) -> None:
    """A failure here is good news: the deviation is repaired, and the entry can be retired."""
    name = entry.example_engine
    dataset = read_dataset(example.data)
    design = build_design(dataset, parse_formula(example.formula, example.method))
    selection = Selection(example.case, dataset, example.formula, example.method)
    report = judge(selection, design, {name: make_engine(name).fit(design)}, [entry])
    assert report.stale == (), f"retire {entry.id}"
    shown = {line.deviation for line in (*report.comparisons, *report.identities, *report.probes)}
    assert entry.id in shown


def test_a_recorded_engine_has_the_deviations_of_the_engine_that_was_recorded(
    tmp_path: Path,
) -> None:
    text = ENTRY.replace('"statsmodels"', '"lme4"').replace(">=0.14, <0.16", "<2.1")
    (tmp_path / "r.toml").write_text(text)
    (entry,) = load_deviations(tmp_path)
    assert entry.concerns("recorded:bookworm/lme4", "1.1-31")
    assert entry.must_show("recorded:bookworm/lme4", "1.1-31")
    assert not entry.concerns("recorded:sid/lme4", "2.1-0")
    assert not entry.concerns("recorded:bookworm/lme4:tight", "1.1-31")
    assert not entry.concerns("recorded:bookworm/nlme", "1.1-31")
