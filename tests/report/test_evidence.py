"""Columns, documents, figures and the digest: what needs no browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import math
import re
from dataclasses import asdict, replace
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from pp_compare.inferences.profile import criterion_profile
from pp_compare.model import Fit, Quantity
from pp_compare.report.audit.columns import COLUMNS, packed
from pp_compare.report.audit.estimates import estimates_of
from pp_compare.report.audit.evidence import camis_table, qualification, source_checksum
from pp_compare.report.audit.figures import agreement_figure, caterpillar, intervals_figure
from pp_compare.report.audit.findings import findings
from pp_compare.report.audit.folder import write_report
from pp_compare.report.audit.html import report_html
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.terminal import print_report
from pp_compare.report.digest import digits_of, icc, scatter_of
from pp_compare.report.document import Document, Section, to_markdown, to_page
from pp_compare.report.profile_figure import profile_figure
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import load_deviations
from pp_compare.verdict.harm import Harm
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.outcome import ProbeCheck
from tests.examples import corpus_design
from tests.report.conftest import HOSTILE


def table_of(section: str, document: Document) -> list[dict[str, str]]:
    table = next(s.table for s in document.sections if s.title == section)
    assert table is not None
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_every_number_of_the_report_is_in_the_columns(report: Report):
    document = json.loads(gzip.decompress(base64.b64decode(packed(report))))
    columns = document["columns"]
    assert tuple(columns) == COLUMNS
    rows = [
        {name: column["levels"][column["codes"][i]] for name, column in columns.items()}
        for i in range(document["rows"])
    ]
    lines = [(case.title, line) for case in report.cases for line in case.comparisons]
    found = [row for row in rows if row["check"] != "identity"]
    for (title, line), row in zip(lines, found, strict=True):
        assert (row["model"], row["candidate"], row["quantity"]) == (
            title, line.candidate, line.quantity,
        )  # fmt: skip
        assert row["verdict"] == line.verdict
        if np.isfinite(line.candidate_value):
            assert row["candidate value"] == float(f"{line.candidate_value:.12g}")
        else:
            written = None if np.isnan(line.candidate_value) else str(line.candidate_value)
            assert row["candidate value"] == written


def test_ranks_are_the_order_of_the_values(report: Report):
    columns = json.loads(gzip.decompress(base64.b64decode(packed(report))))["columns"]
    errors = [level for level in columns["error"]["levels"] if isinstance(level, float)]
    assert errors == sorted(errors)
    assert columns["verdict"]["levels"] == [
        v for v in ("fail", "known", "pass", "skip") if v in columns["verdict"]["levels"]
    ]


def test_a_report_is_the_same_bytes_twice(report: Report, designs, tmp_path):
    few = replace(report, cases=report.cases[:2])
    for folder in ("a", "b"):
        write_report(tmp_path / folder, few, (), designs)
    for path in sorted((tmp_path / "a").rglob("*")):
        if path.is_file():
            assert (
                path.read_bytes()
                == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
            )
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"report.json", "report.html", "qualification.md", "camis.html", "cases"} <= names


def test_the_findings_come_by_harm_and_name_the_model_where_it_is_worst(report: Report):
    found = findings(report)
    bad = [finding for finding in found if finding.worst.bad]
    assert found[: len(bad)] == bad
    harm = [finding.worst.harm.worst for finding in bad]
    assert harm == sorted(harm, reverse=True)
    wrong = next(f for f in found if (f.engine, f.standing) == ("statsmodels", "wrong optimum"))
    assert (wrong.title, wrong.models) == ("two_optima_ml ML", 1)
    judged = sum(not j.standing.startswith(("right", "not")) for j in report.judgements)
    assert judged == sum(f.models for f in found if not f.standing.startswith("right"))


def test_a_deviation_that_only_an_identity_shows_is_told(report: Report):
    case = report.cases[0]
    known = replace(case.identities[0], verdict="known", deviation="somebody's-se")
    only = replace(report, cases=(replace(case, comparisons=(), identities=(known,)),))
    words = f"breaks the identity {known.identity}, known as somebody&#39;s-se, in 1 of 1 models"
    assert words in report_html(only, ())
    assert words not in report_html(report, ())


def test_what_a_probe_found_is_told_in_every_form(report: Report):
    text = "the slope with the wrong sign, <b>"
    check = ProbeCheck("statsmodels", "score where", text, "known", "statsmodels-score-sign")
    case = next(case for case in report.cases if case.case == "Dyestuff")
    probed = replace(report, cases=(replace(case, probes=(check,)),))
    assert probed.counts()["known"] == replace(report, cases=(case,)).counts()["known"] + 1
    (written,) = json.loads(to_json(probed))["cases"][0]["probes"]
    assert written == asdict(check)
    page = report_html(probed, load_deviations())
    assert "the slope with the wrong sign, &lt;b&gt; (Dyestuff REML)" in page
    assert "Known as statsmodels-score-sign. MixedLM.score has the wrong sign" in page
    shown = io.StringIO()
    print_report(Console(file=shown, width=200), probed, load_deviations())
    assert "statsmodels-score-sign (1 of 1 models): MixedLM.score has" in shown.getvalue()
    # One that no longer shows is no known deviation any more.
    passed = replace(case, probes=(replace(check, verdict="pass"),), stale=(check.deviation,))
    gone = replace(report, cases=(passed,))
    assert "Known as statsmodels-score-sign" not in report_html(gone, load_deviations())
    assert gone.exit_status == 1


def test_the_digits_are_the_worst_number_of_each_model(report: Report):
    digits = digits_of(report)
    i, j = digits.engines.index("statsmodels"), digits.kinds.index("beta")
    by_model = [
        min(x.digits for x in case.comparisons if x.candidate == "statsmodels"
            and x.kind == "truth" and x.quantity == "beta")
        for case in report.cases
    ]  # fmt: skip
    assert digits.median[i, j] == np.median(by_model)
    assert digits.least[i, j] == min(by_model)


def test_icc_counts_intercepts_only():
    labels = ("Intercept", "x")
    cov = Quantity("random_cov[g]", np.array([[3.0, 0.5], [0.5, 7.0]]), labels, labels)
    fit = Fit("e", "ok", {"random_cov[g]": cov, "sigma": Quantity("sigma", np.array(1.0))})
    assert icc(fit) == 0.75


def test_qualification_says_what_was_run_and_leaves_the_signatures_blank(report: Report):
    document = qualification(report, ())
    installed = {row["item"]: row["found"] for row in table_of(
        "Installation qualification (IQ)", document)}  # fmt: skip
    assert installed["statsmodels"] == "0.15.0"
    assert installed["SHA-256 of the pp_compare sources"] == source_checksum()
    models = table_of("Performance qualification (PQ)", document)
    assert [row["SHA-256 of the data"] for row in models] == [c.data_sha256 for c in report.cases]
    assert models[1]["statsmodels"] == "wrong optimum"
    wrong = next(
        row
        for row in table_of("Deviations and their impact", document)
        if (row["engine"], row["standing"]) == ("statsmodels", "wrong optimum")
    )
    assert wrong["impact, at its worst here"].startswith("statsmodels is at another optimum, ")
    for row in table_of("Signatures", document):
        assert (row["name"], row["date"], row["signature"]) == ("", "", "")


def test_a_clean_run_has_no_deviations(report: Report):
    cases = tuple(
        replace(case, comparisons=(), identities=(), judgements=()) for case in report.cases
    )
    document = qualification(replace(report, cases=cases), ())
    section = next(s for s in document.sections if s.title == "Deviations and their impact")
    assert (section.paragraphs, section.table) == (("None was found.",), None)
    assert "FAIL: Nothing was compared." in to_markdown(document)  # that is no pass


def camis_of(case: CaseReport, report: Report) -> dict[str, dict[str, str]]:
    document = camis_table(replace(report, cases=(case,)), ())
    return {row["Statistic"]: row for row in table_of("Comparison", document)}


def test_camis_compares_statsmodels_with_r_and_blames_whom_the_judgement_blames(report: Report):
    """A parity line by hand for each way in which two engines can compare."""
    case = report.cases[0]
    template = next(x for x in case.comparisons if x.quantity == "beta" and x.kind == "truth")
    line = replace(template, candidate="statsmodels", reference="lme4", verdict="pass", digits=7.0)
    off = replace(line, verdict="known", cause="optimiser", digits=2.0)
    right = Judgement("statsmodels", "right", "")
    harm = Harm(beyond=(("beta", template.label),))
    wrong = Judgement("lme4", "wrong", "", harm=harm)
    short = Judgement("statsmodels", "short of the optimum, harmless", "")

    def row(line: Comparison, *judgements: Judgement) -> dict[str, str]:
        found = camis_of(replace(case, comparisons=(line,), judgements=judgements), report)
        assert found["Fixed effects"]["R"] == "lme4::lmer"
        return found["Fixed effects"]

    assert row(line, right, wrong)["Match"] == "Yes"
    assert row(line, right, wrong)["Notes"] == "yes on 1 of 1 models; 7.0 digits."
    by_r = row(replace(off, blamed="lme4"), right, wrong)
    assert by_r["Match"] == "No"
    assert by_r["Notes"] == "no on 1 of 1 models; 2.0 digits. lme4 (wrong): optimiser."
    harmless = row(replace(off, blamed="statsmodels"), short, wrong)
    assert harmless["Match"] == "Harmless difference"
    assert "statsmodels (short of the optimum, harmless): optimiser." in harmless["Notes"]
    elsewhere = replace(wrong, harm=Harm(beyond=(("sigma", ""),)))
    assert row(replace(off, blamed="lme4"), right, elsewhere)["Match"] == "Harmless difference"
    assert row(off, right, wrong)["Match"] == "No"  # nobody could be blamed
    other = row(replace(off, cause="definition", blamed="statsmodels"), right, wrong)
    assert other["Match"] == "Other definition"
    exact = row(replace(line, digits=math.nan), right, wrong)
    assert exact["Notes"] == "yes on 1 of 1 models; - digits."
    assert table_of("Comparison", camis_table(report, ())) == []  # no R took part


def test_markdown_and_page_show_text_as_text():
    cell = f"{HOSTILE} | a\nb *c* [d](e) `f`"
    document = Document(HOSTILE, (Section("s", (cell,), Table(("x",), ((cell,),))),))
    markdown = to_markdown(document)
    assert "<script" not in markdown
    assert r"\| a b \*c\* \[d\]" in markdown
    # One line a row, however many the text has.
    assert len([line for line in markdown.splitlines() if line.startswith("|")]) == 3
    assert HOSTILE not in to_page(document)


def figures(report: Report) -> dict[str, str]:
    fits = dict(report.cases[1].fits)
    design = corpus_design("two_optima_ml", "ML")
    return {
        "intervals": intervals_figure(estimates_of(report.cases[1]), "intervals"),
        "agreement": agreement_figure(scatter_of(report)),
        "caterpillar": caterpillar(fits, "cluster", "blups"),
        "profile": profile_figure(criterion_profile(design, fits), "profile", "ML"),
    }


def test_figures_are_well_formed_and_label_their_axes(report: Report):
    words = {
        "intervals": ["Intercept", "certified", "statsmodels !"],
        "agreement": ["rows N", "intraclass correlation", "digits right,"],
        "caterpillar": ["predicted Intercept", "cluster", "certified"],
        "profile": ["tau2 / sigma2 (logarithmic far from 0)", "certified optimum",
                    "other local optimum", "statsmodels: +0.13"],
    }  # fmt: skip
    for name, svg in figures(report).items():
        root = ElementTree.fromstring(svg)
        texts = [
            "".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")
        ]
        for word in words[name]:
            assert word in texts, (name, word, texts)
        assert "#010203" not in svg


def test_ids_of_two_figures_do_not_meet(report: Report):
    a, b = (caterpillar(report.cases[0].fits, "cluster", name) for name in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (a, b)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r"url\(#([^)]+)\)", a)) | set(re.findall(r'href="#([^"]+)"', a))
    assert used <= ids[0]


def test_a_profile_touches_its_optima_and_the_stops_of_the_engines(report: Report):
    profile = criterion_profile(corpus_design("two_optima_ml", "ML"), dict(report.cases[1].fits))
    assert [float(point.position[0]) for point in profile.optima] == [
        0,
        pytest.approx(1.41298592176),
    ]
    assert profile.deviance.min() == pytest.approx(37.1816123443, abs=1e-10)
    assert profile.stops["statsmodels"] == pytest.approx((1.41298, 37.3156770), rel=1e-5)
    # The curve goes down, up over the ridge, down to the second optimum, and up.
    turns = np.flatnonzero(np.diff(np.sign(np.diff(profile.deviance))))
    assert len(turns) == 2


def test_the_checksum_of_the_sources_is_one():
    assert re.fullmatch("[0-9a-f]{64}", source_checksum())
    assert source_checksum() != hashlib.sha256(b"").hexdigest()
