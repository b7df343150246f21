"""Every way of showing a check says the same, and nothing in it is taken for markup."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

from pp_compare.identities import IdentityCheck
from pp_compare.report.document import to_markdown, to_page
from pp_compare.report.release.document import MOST_ROWS, release_document
from pp_compare.report.release.json import releases_json
from pp_compare.report.release.junit import releases_junit
from pp_compare.report.release.record import (
    CandidateReport,
    Change,
    Difference,
    ReleaseReport,
)
from pp_compare.report.release.tables import probed, row_of, unexpected, verdict
from pp_compare.report.release.terminal import print_releases
from pp_compare.verdict.outcome import Outcome
from tests.releases.test_difference import GOOD, OFF, candidate, case, line

EVIL = "<script>alert('x')</script> | [bold] \x1b"


def report(*changes: Change) -> ReleaseReport:
    one = candidate(case(GOOD), label="1", probes={"keyword m": Outcome(False, "no effect")})
    two = replace(one, label="2", cases=(case(OFF),))
    broken = CandidateReport("3", "statsmodels", {}, {}, problem=f"does not load: {EVIL}")
    found = Difference(one.name, two.name, changes, models=7, identical=3, noise=5)
    return ReleaseReport((one, two, broken), (found,), (), "Haswell", 10.0, {"command": EVIL})


WORSE = Change("value", "worse", "beta", "2", f"3 {EVIL}", ("toy REML", "a", "b", "c"))
BETTER = Change("keyword", "better", "keyword m", "no effect", "honoured")


def test_a_candidate_is_counted_by_models() -> None:
    lost = case(OFF, [line("criterion", 3.0, "fail", cause="wrong optimum")])
    known = case(GOOD, [line("loglik", 3.0, "known", deviation="entry")])
    row = row_of(candidate(case(GOOD), lost, known))
    assert (row.models, row.agree, row.known, row.unexpected, row.wrong_optima) == (3, 1, 1, 1, 1)
    assert row.digits["sigma"] == (15.0, 15.0)
    assert row.digits["beta"][1] == pytest.approx(1.0)


def test_the_terminal_says_what_changed_and_where() -> None:
    out = io.StringIO()
    print_releases(Console(file=out, width=200, highlight=False), report(WORSE, BETTER))
    text = out.getvalue()
    assert "worse   beta: 2 -> 3 <script>" in text
    assert "[4: toy REML, a, b, ...]" in text
    assert "1 worse (beta), 1 better; 7 models, 3 with the same bits, 5 within the noise." in text
    assert "statsmodels 3: does not load" in text


def test_a_long_label_takes_no_room_from_the_numbers() -> None:
    out = io.StringIO()
    label = "0.14.6 with numpy==2.4.6 with scipy==1.17.1 with pandas==2.3.3 and more"
    found = replace(report(), candidates=(candidate(case(OFF), label=label),), differences=())
    print_releases(Console(file=out, width=120, highlight=False), found)
    text = out.getvalue()
    assert "…" not in text
    for word in ("unexpected", "optima", "1.0/1.0", "15.0/15.0"):
        assert word in text


def test_a_verdict_names_the_first_that_are_worse() -> None:
    worse = [Change("value", "worse", name, "2", "3") for name in ("beta", "sigma", "blup", "llf")]
    (told, _) = reversed(verdict(report(*worse, BETTER)))
    assert ": 4 worse (beta, sigma, blup, ...), 1 better; 7 models" in told


def test_what_else_changed_stands_under_the_heading() -> None:
    found = report(WORSE)
    (one,) = found.differences
    found = replace(found, differences=(replace(one, beside=("numpy 1.26 -> 2.3",)),))
    out = io.StringIO()
    print_releases(Console(file=out, width=200, highlight=False), found)
    for text in (out.getvalue(), to_page(release_document(found)).replace("&gt;", ">")):
        assert "a change may be theirs: numpy 1.26 -> 2.3." in text
    assert "may be theirs" not in to_page(release_document(report(WORSE)))


def test_what_is_in_no_registry_is_counted_by_candidate() -> None:
    wrong = IdentityCheck("statsmodels", "own-loglik", 1.0, 1e-9, "fail", "")
    one = candidate(case(GOOD), case(OFF), label="1")
    two = candidate(case(OFF, identities=(wrong,)), case(OFF, stale=("entry",)), label="2")
    found = unexpected(replace(report(), candidates=(one, two)))
    assert found is not None
    # Most models first, then by name: two runs of the same give the same bytes.
    assert found.rows == (
        ("beta", "none found", "1 / 2", "toy REML"),
        ("entry", "a known deviation that does not show", "0 / 1", "toy REML"),
        ("own-loglik", "identity", "0 / 1", "toy REML"),
    )
    assert unexpected(replace(report(), candidates=(candidate(case(GOOD)),))) is None


def test_keywords_with_the_same_outcome_share_a_row() -> None:
    lost, kept = Outcome(False, "no effect"), Outcome(True, "honoured")
    names = ("pgtol of lbfgs", "factr of lbfgs", "maxiter of lbfgs", "xtol of nm")
    outcomes = dict(zip(names, (lost, lost, kept, lost), strict=True))
    asked = {f"keyword {name}": outcome for name, outcome in outcomes.items()} | {"score": kept}
    table = probed(replace(report(), candidates=(candidate(probes=asked),)))
    assert table is not None
    assert table.rows == (
        ("pgtol, factr of lbfgs", "no: no effect"),
        ("maxiter of lbfgs", "yes: honoured"),
        ("xtol of nm", "no: no effect"),
        ("score", "yes: honoured"),
    )


def test_markdown_and_page_escape_what_they_show() -> None:
    document = release_document(report(WORSE, BETTER))
    markdown, page = to_markdown(document), to_page(document)
    assert "<script>" not in markdown
    assert "&lt;script&gt;" in markdown
    assert r"\|" in markdown
    assert "<script>alert" not in page


def test_what_became_worse_stands_before_what_did_not() -> None:
    made = report(BETTER)
    second = Difference("statsmodels 2", "statsmodels 4", (WORSE,), models=7, identical=3, noise=5)
    document = release_document(replace(made, differences=(*made.differences, second)))
    titles = [s.title for s in document.sections if s.title.startswith("From")]
    assert titles == ["From statsmodels 2 to statsmodels 4", "From statsmodels 1 to statsmodels 2"]


def test_a_long_list_is_cut_and_says_so() -> None:
    many = [Change("moved", "changed", f"q{i}", "1", "2") for i in range(MOST_ROWS + 4)]
    markdown = to_markdown(release_document(report(*many)))
    assert "4 more are in the JSON report." in markdown
    assert f"| q{MOST_ROWS} |" not in markdown
    assert len(json.loads(releases_json(report(*many)))["differences"][0]["changes"]) == len(many)


def test_json_holds_everything() -> None:
    document = json.loads(releases_json(report(WORSE)))
    assert document["schema"] == "pp-compare/releases/1"
    assert [c["problem"] is None for c in document["candidates"]] == [True, True, False]
    assert document["differences"][0]["worse"] is True
    assert document["candidates"][1]["cases"][0]["failing"] == ["beta"]


@pytest.mark.parametrize(("fail_on", "failures"), [("worse", 1), ("any", 2), ("none", 0)])
def test_junit_fails_by_the_rule_of_the_exit_status(fail_on: str, failures: int) -> None:
    root = Xml.fromstring(releases_junit(report(WORSE, BETTER), fail_on))
    started, suite = root
    assert (started.get("failures"), suite.get("failures")) == ("1", str(failures))
    assert len(suite.findall("testcase/failure")) == failures


def test_the_exit_status() -> None:
    sound = replace(report(BETTER), candidates=report().candidates[:2])
    assert [sound.exit_status(rule) for rule in ("worse", "any", "none")] == [0, 1, 0]
    assert [report(BETTER).exit_status(rule) for rule in ("worse", "none")] == [1, 0]
    worse = replace(sound, differences=report(WORSE).differences)
    assert worse.exit_status("worse") == 1
    alone = replace(sound, candidates=sound.candidates[:1], differences=())
    assert alone.exit_status("worse") == 0
    assert replace(alone, candidates=sound.candidates[1:]).exit_status("worse") == 1
    assert replace(alone, candidates=()).exit_status("worse") == 1
