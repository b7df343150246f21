"""The order of the report, at any width, and that no two forms of it contradict each other."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest
from rich.text import Text

from pp_compare.model import Fit, Quantity
from pp_compare.report.audit.estimates import estimates_of, identified_line, optima_lines
from pp_compare.report.audit.evidence import qualification
from pp_compare.report.audit.findings import models_worst_first, worst_first
from pp_compare.report.audit.html import report_html
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.outcome import counted, outcome
from pp_compare.report.audit.terminal import print_report
from pp_compare.report.audit.terminal_tables import Column, in_parts
from pp_compare.report.digest import kind_of, severity
from pp_compare.report.document import to_markdown
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.deviations import load_deviations
from pp_compare.verdict.harm import Harm, Move
from pp_compare.verdict.judgement import STANDINGS, Judgement, Standing
from pp_compare.verdict.remedy import Remedy
from tests.refusing_console import printed
from tests.report.conftest import PROVENANCE

WIDTHS = (80, 120)


def shown(report: Report, width: int) -> str:
    return printed(lambda console: print_report(console, report, load_deviations()), width)


def flat(text: str) -> str:
    """Without the breaks that a width made."""
    return "".join(text.split())


def own(report: Report, name: str) -> Report:
    """One model, asked about as one's own data are."""
    return replace(report, cases=tuple(c for c in report.cases if c.case == name), fail_on="wrong")


def made(standings: dict[str, Standing], verdict: str = "pass", **changes: object) -> Report:
    """A report of one model with the standings asked for, and one comparison."""
    case = CaseReport("toy", "", "y ~ 1 + (1|g)", "REML", 9, 0, {"g": 3}, "", {})
    judgements = tuple(
        Judgement(engine, standing, f"{engine} stands as {standing}.")
        for engine, standing in standings.items()
    )
    fits = {engine: Fit(engine, "ok", {}) for engine in standings}
    report = Report(PROVENANCE, (replace(case, judgements=judgements, fits=fits),), 1.0)
    return replace(report, **changes)


def with_line(report: Report, seed: Report, verdict: str) -> Report:
    line = replace(seed.cases[0].comparisons[0], verdict=verdict)
    cases = tuple(replace(case, comparisons=(line,)) for case in report.cases)
    return replace(report, cases=cases)


@pytest.mark.parametrize("width", WIDTHS)
def test_judgements_then_estimates_then_the_rest(report: Report, width: int) -> None:
    text = flat(shown(own(report, "two_optima_ml"), width))
    (case,) = own(report, "two_optima_ml").cases
    order = [flat(j.sentence) for j in worst_first(case)]
    order += [
        "betaIntercept",
        "certified:globaloptimum",
        "Digitsrightagainst",
        "comparisonson1model",
    ]
    order.append("FAIL:")
    places = [text.index(words) for words in order]
    assert places == sorted(places)


@pytest.mark.parametrize("width", WIDTHS)
def test_with_many_engines_none_vanishes_and_no_number_is_cut(report: Report, width: int) -> None:
    case = own(report, "two_optima_ml").cases[0]
    names = [f"statsmodels:setting_{i}" for i in range(9)]
    fits = {n: replace(case.fits["statsmodels"], engine=n) for n in names}
    many = replace(
        case,
        fits=fits | {"certified": case.fits["certified"]},
        judgements=tuple(replace(case.judgements[0], engine=n) for n in names),
        comparisons=tuple(
            replace(x, candidate=n)
            for n in names
            for x in case.comparisons
            if x.candidate == "statsmodels"
        ),
    )
    for cases in ((many,), tuple(replace(many, case=f"model {i}") for i in range(8))):
        found = replace(report, cases=cases)
        text = shown(found, width)
        assert "…" not in text
        assert all(len(line) <= width for line in text.splitlines())
        assert all(name in flat(text) for name in names)
    numbers = {f"{n.value:.7g}" for row in estimates_of(many).rows for n in row.numbers}
    words = set(shown(replace(report, cases=(many,)), width).split())
    assert numbers <= words


def test_wrong_numbers_are_marked_without_colour(report: Report) -> None:
    text = shown(own(report, "two_optima_ml"), 120)
    (line,) = [x for x in text.splitlines() if x.startswith("random_cov")]
    assert re.search(r"\d !", line)
    assert "! wrong, by more than is harmless" in text
    right = shown(own(report, "Dyestuff"), 120)
    assert " !" not in right


def test_a_label_longer_than_the_window_is_folded_and_whole() -> None:
    label = "random_cov[a very long group:with another] some effect, some other effect"
    column = Column(Text("engine"), [Text("-1.234567e-05 !")])
    (table,) = in_parts(40, [Text(label)], [column])
    text = printed(lambda console: console.print(table), 40)
    assert flat(label) in flat(text.replace("-1.234567e-05 !", "").replace("engine", ""))
    assert "-1.234567e-05 !" in text


STANDING_CASES = [
    ({"a": "right"}, "wrong", "pass", "PASS", 0),
    ({"a": "right", "b": "right, other definition"}, "wrong", "known", "PASS", 0),
    ({"a": "short of the optimum, harmless"}, "wrong", "known", "PASS", 0),
    ({"a": "short of the optimum, harmless"}, "any", "known", "FAIL", 1),
    ({"a": "wrong"}, "wrong", "known", "FAIL", 1),
    ({"a": "wrong"}, "news", "known", "NO NEWS", 0),
    ({"a": "wrong"}, "none", "fail", "NOT ASKED", 0),
    ({"a": "no answer"}, "news", "known", "NO NEWS", 0),
    ({"a": "right"}, "news", "fail", "FAIL", 1),
    ({"a": "not judged"}, "wrong", "pass", "NOT JUDGED", 0),
    ({"a": "right"}, "wrong", "skip", "FAIL", 1),
]


@pytest.mark.parametrize(("standings", "fail_on", "verdict", "word", "status"), STANDING_CASES)
def test_every_form_says_the_same(
    report: Report, standings: dict, fail_on: str, verdict: str, word: str, status: int
) -> None:
    """One word, one sentence, one count and one exit status; PASS over no wrong number."""
    found = with_line(made(standings, fail_on=fail_on), report, verdict)
    said = outcome(found)
    assert (said.word, found.exit_status) == (word, status)
    if any(judgement.bad for judgement in found.judgements):
        assert said.word != "PASS"
        assert "a is " in said.sentence
    terminal = shown(found, 200)
    page = html.unescape(report_html(found, ()))
    markdown = to_markdown(qualification(found, ()))
    for text, words in ((terminal, f"{word}: "), (page, f"{word}. "), (markdown, f"{word}: ")):
        assert words + said.sentence in text
        assert counted(found) in text
        for judgement in found.judgements:
            assert judgement.sentence in text
    document = json.loads(to_json(found))
    assert [j["standing"] for j in document["cases"][0]["judgements"]] == [*standings.values()]
    counts = {key: document["summary"][key] for key in ("pass", "known", "fail", "skip")}
    assert counts == found.counts()


def test_where_all_are_right_each_has_one_line_and_no_blame(report: Report) -> None:
    found = with_line(made({"a": "right", "b": "right"}, fail_on="wrong"), report, "pass")
    lines = shown(found, 80).splitlines()
    assert lines[3:5] == ["a stands as right.", "b stands as right."]
    assert lines[-1] == "PASS: Every engine that could be judged is right."


def test_a_remedy_is_printed_to_be_pasted(report: Report) -> None:
    code = "lmer(y ~ x + (1 | g), data,\n     control = lmerControl('bobyqa'))  "
    remedy = Remedy("lme4:bobyqa", code + "# " + "long " * 30, "the optimum, variance 0.0771")
    found = with_line(made({"lme4": "wrong"}, fail_on="wrong"), report, "known")
    (case,) = found.cases
    found = replace(
        found, cases=(replace(case, judgements=(replace(case.judgements[0], remedy=remedy),)),)
    )
    text = shown(found, 80)
    assert "What to do: lme4:bobyqa arrives: the optimum, variance 0.0771" in text
    for line in remedy.code.splitlines():
        assert f"      {line}".rstrip() in text
    assert text.index("lme4 stands as wrong.") < text.index("What to do") < text.index("lmer(y")
    page = html.unescape(report_html(found, ()))
    assert remedy.code in page


def test_the_worst_comes_first() -> None:
    def judged(standing: Standing, size: float = 0.0) -> Judgement:
        move = Move("beta", "beta", "x", 1.0, 0.0, size)
        return Judgement("e", standing, "", harm=Harm(moves=(move,)))

    order = [
        judged("wrong", 40.0),
        judged("wrong optimum", 2.0),
        judged("wrong", 0.5),
        judged("no answer"),
        judged("not judged"),
        judged("short of the optimum, harmless", 0.001),
        judged("right, other definition", 3.0),
        judged("right"),
    ]
    assert {judgement.standing for judgement in order} == set(STANDINGS)
    shuffled = [*order[4:], *order[:4]]
    assert sorted(shuffled, key=severity) == order
    cases = [
        CaseReport(str(i), "", "", "REML", 1, 0, {}, "", {}, judgements=(judged("right"), j))
        for i, j in enumerate(order[:-1])
    ]
    report = Report(PROVENANCE, tuple(reversed(cases)), 1.0)
    assert models_worst_first(report) == cases


def test_an_engine_without_a_quantity_has_a_dash(report: Report) -> None:
    (case,) = own(report, "Dyestuff").cases
    fits = dict(case.fits)
    kept = {n: q for n, q in fits["statsmodels"].quantities.items() if n != "sigma"}
    kept["beta"] = Quantity("beta", kept["beta"].values, ("other",))
    fits["statsmodels"] = replace(fits["statsmodels"], quantities=kept)
    text = shown(replace(report, cases=(replace(case, fits=fits),)), 120)
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines() if "  " in line}
    assert re.search(r" -$", rows["sigma"].rstrip())
    assert re.search(r" -  +\S+$", rows["beta other"].rstrip()) or " -" in rows["beta other"]


def test_what_is_not_identified_is_said_first_and_marked(report: Report) -> None:
    (case,) = own(report, "Dyestuff").cases
    certified = case.fits["certified"]
    kept = {n: q for n, q in certified.quantities.items() if kind_of(n) in ("beta", "loglik")}
    reason = "each group of 'g' has one row a cell: sigma and the variances cannot be told apart"
    points = [{"deviance": str(i), "position": ["1"], "boundary": False} for i in range(9)]
    loose = replace(
        certified,
        quantities=kept,
        not_given={"sigma": reason, "random_cov": reason},
        extra={"claim": "none", "optima": points},
    )
    found = replace(report, cases=(replace(case, fits=dict(case.fits) | {"certified": loose}),))
    text = shown(found, 120)
    limits = f"E{reason[1:]}. Only beta, loglik can be compared."
    assert text.index(limits) < text.index(case.judgements[0].sentence[:60])
    marked = {line.split()[0] for line in text.splitlines() if re.search(r"\d \?", line)}
    assert marked == {"sigma", "random_cov[Batch]"}
    assert "? not identified: other values are as good" in text
    # Where nothing is proved, the other points of a search are no optima.
    assert "certified: nothing is proved; the best point that a search found; deviance 0" in text
    assert "deviance 8" not in text
    page = html.unescape(report_html(found, ()))
    assert limits in page
    many = replace(loose, not_given={}, extra={"claim": "local", "optima": points})
    lines = optima_lines(replace(case, fits={"certified": many}))
    assert lines[0] == "certified: local optimum, the first of 9:"
    assert lines[-1] == "  and 4 more"
    assert identified_line(case) == ""
