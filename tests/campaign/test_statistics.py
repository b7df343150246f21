from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from pp_compare.campaign import store
from pp_compare.campaign.generate import generate
from pp_compare.campaign.judge import truth_of
from pp_compare.campaign.plan import Plan, from_document
from pp_compare.campaign.rows import Row, certified_row
from pp_compare.campaign.statistics import summarize
from pp_compare.report.campaign.record import CampaignReport, Rate


def plan(**other: Any) -> Plan:
    grid = {"clusters": [4, 6], "icc": [0.0, 0.5], "rows": 4}
    return from_document({"engines": ["a", "b"], "replications": 25, "grid": grid, **other})


def fake(campaign: Plan, index: int) -> list[Row]:
    """Rows of two engines that are known to be wrong on some data sets, made of the certified."""
    sample = generate(campaign, index)
    right = certified_row(sample, truth_of(sample.design))
    told = {"converged": True, "above": 0.0, "digits_beta": 9.0, "digits_variances": 8.0}
    a = {**right, **told, "engine": "a", "version": "1", "seconds": 0.5}
    b = {**a, "engine": "b", "seconds": 1.5}
    if index % 10 == 0:
        b |= {"outcome": "early stop", "above": 0.1 + index}
    if index % 25 == 1:
        b |= {"outcome": "wrong optimum", "above": 0.05, "converged": False}
    if index % 25 == 2:
        b |= {"status": "lost", "outcome": "failure", "beta": None, "beta_se": None}
        b |= {"variances": None, "sigma": None, "above": float("nan"), "messages": "died"}
    return [right, a, b]


def report(campaign: Plan, folder: Path, part: int) -> CampaignReport:
    for start in range(0, campaign.size, part):
        stop = min(start + part, campaign.size)
        rows = [row for index in range(start, stop) for row in fake(campaign, index)]
        store.write_part(folder, start, stop, store.to_bytes(rows))
    return summarize(campaign, folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CampaignReport:
    return report(plan(), tmp_path_factory.mktemp("rows"), 30)


def test_parts_do_not_matter(found: CampaignReport, tmp_path: Path) -> None:
    other = report(plan(), tmp_path, 100)
    assert other.engines == found.engines
    assert other.maps == found.maps
    assert repr(other.worst) == repr(found.worst)  # nan equals nan
    for mine, theirs in zip(found.coverage, other.coverage, strict=True):
        assert mine.covered == theirs.covered
        assert mine.bias == pytest.approx(theirs.bias, rel=1e-9)  # sums in another order


def test_rates_by_engine(found: CampaignReport) -> None:
    a, b = found.engines
    assert (a.engine, a.fits, a.rates["early stop"]) == ("a", 100, Rate(0, 96 + 4))
    assert b.rates == {
        "wrong optimum": Rate(4, 96),
        "early stop": Rate(10, 96),
        "failure": Rate(4, 100),
    }
    assert b.silent == Rate(10, 96)
    assert b.lost == 4
    assert (a.seconds, b.seconds) == (0.5, 1.5)


@pytest.mark.parametrize(("count", "of"), [(0, 20), (3, 17), (50, 1000), (9, 9)])
def test_the_interval_is_wilsons(count: int, of: int) -> None:
    wanted = proportion_confint(count, of, method="wilson")
    assert Rate(count, of).interval == pytest.approx(wanted, abs=1e-12)


def test_maps_hold_every_fit_once(found: CampaignReport) -> None:
    (of_b,) = (m for m in found.maps if m.engine == "b")
    assert (of_b.across, of_b.down) == ("clusters", "icc")
    assert (of_b.columns, of_b.rows) == (("4", "6"), ("0", "0.5"))
    assert sum(rate.of for line in of_b.cells for rate in line) == 100
    # Points go by 25: the first has numbers 0, 10, 20 early, 1 wrong and 2 lost.
    assert of_b.cells[0][0] == Rate(5, 25)


def test_coverage_and_bias_are_against_what_the_data_were_drawn_with(
    found: CampaignReport,
) -> None:
    campaign = plan()
    rows = [fake(campaign, index)[1] for index in range(100)]
    error = np.array([row["beta"][1] - 1.0 for row in rows])
    se = np.array([row["beta_se"][1] for row in rows])
    (c,) = (c for c in found.coverage if (c.engine, c.label) == ("a", "w"))
    assert c.covered == Rate(int((np.abs(error) <= 1.959963984540054 * se).sum()), 100)
    assert c.bias == pytest.approx(error.mean())
    assert c.spread == pytest.approx(error.std())
    assert c.mean_se == pytest.approx(np.sqrt((se**2).mean()))
    (lost,) = (c for c in found.coverage if (c.engine, c.label) == ("b", "w"))
    assert lost.covered is not None
    assert lost.covered.of == 96


def test_engines_disagree_where_their_criteria_do(found: CampaignReport) -> None:
    (pair,) = found.disagreements
    assert (pair.first, pair.second, pair.rate) == ("a", "b", Rate(14, 96))


def test_the_worst_come_first_and_failures_after_them(found: CampaignReport) -> None:
    assert [(w.index, w.outcome) for w in found.worst[:3]] == [
        (90, "early stop"), (80, "early stop"), (70, "early stop"),
    ]  # fmt: skip
    assert {w.outcome for w in found.worst[3:]} == {"failure"}
    assert found.worst[3].messages == "died"


def test_a_range_is_mapped_in_bins(tmp_path: Path) -> None:
    drawn = {"draws": 60, "clusters": {"low": 4, "high": 9}, "icc": 0.2, "rows": 3}
    campaign = from_document({"engines": ["a", "b"], "random": drawn})
    found = report(campaign, tmp_path, 60)
    a = next(m for m in found.maps if m.engine == "a")
    assert (a.across, a.down) == ("clusters", "")
    assert len(a.columns) == 6
    assert sum(rate.of for rate in a.cells[0]) == 60
