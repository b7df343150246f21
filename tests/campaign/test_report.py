from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pp_compare.report.campaign.html import campaign_html
from pp_compare.report.campaign.json import campaign_json
from pp_compare.report.campaign.record import CampaignReport, Rate
from pp_compare.report.campaign.terminal import print_campaign
from pp_compare.report.campaign.words import shares, verdict
from tests.campaign.test_statistics import plan, report


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CampaignReport:
    return report(plan(replications=10), tmp_path_factory.mktemp("rows"), 40)


def test_the_page_holds_the_rates_and_no_markup_of_the_data(found: CampaignReport) -> None:
    nasty = replace(found.worst[-1], messages="<script>alert(1)</script>", outcome="failure")
    page = campaign_html(replace(found, worst=(*found.worst, nasty), name="<b>"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert shares(found.engines[1].rates["early stop"]) in page
    assert page.count("<svg") == 2
    assert "a: no fit off the optimum or failed anywhere over clusters and icc." in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_json_has_every_rate_with_its_interval_and_no_nan(found: CampaignReport) -> None:
    document = json.loads(campaign_json(found), parse_constant=pytest.fail)
    assert document["schema"] == "pp-compare/campaign-report/1"
    rate = document["engines"][1]["rates"]["early stop"]
    assert (rate["count"], rate["of"]) == (4, 38)
    assert rate["low"] < rate["rate"] < rate["high"]


def test_the_terminal_shows_what_differs(found: CampaignReport) -> None:
    text = io.StringIO()
    print_campaign(Console(file=text, width=140), found)
    shown = text.getvalue()
    assert "40 data sets; plan campaign" in shown
    assert "b: wrong optimum in" in shown
    assert "2 of 40 fits ended their process" in shown
    assert "Bias and coverage" in shown


def test_an_engine_without_a_fault_is_said_with_the_bound(found: CampaignReport) -> None:
    sound = replace(found, engines=found.engines[:1])
    assert verdict(sound) == ["a: none of 40 fits was wrong (below 8.8 %)."]
    assert verdict(replace(found, engines=())) == ["No data set is done."]


def test_shares() -> None:
    assert shares(Rate(0, 0)) == "-"
    assert shares(Rate(606, 1000)) == "60.6 % (57.5 to 63.6)"
    assert shares(Rate(92_700, 100_000)) == "92.7 % (92.54 to 92.86)"
    assert shares(Rate(0, 100_000)) == "0 % (0 to 0.0038)"
    assert shares(Rate(3, 3)) == "100 % (44 to 100)"


def test_one_axis_is_drawn_as_points_with_intervals(tmp_path: Path) -> None:
    single = plan(replications=4, grid={"clusters": [4, 6, 8], "rows": 4})
    page = campaign_html(report(single, tmp_path, 12))
    assert "by clusters; with Wilson" in page
