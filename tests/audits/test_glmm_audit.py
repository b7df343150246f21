"""The audit of a generalised model from Python and from the command line, and ``at``."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import pp_compare
from pp_compare.audits.glmm import glmer_call
from pp_compare.audits.selection import GlmmSelection
from pp_compare.cli.app import app
from pp_compare.cli.entry import explained
from pp_compare.errors import InputError
from pp_compare.report.audit.json import to_json
from tests.glmm_models import simulated

PLAIN = "tests.glmm_models:Rounded"
FORMULA = "cbind(y, f) ~ x + (1|g)"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated(3, groups=6, rows=3).design.dataset.frame


@pytest.fixture(scope="module")
def report(frame: pd.DataFrame) -> pp_compare.Report:
    return pp_compare.audit(frame, FORMULA, [PLAIN], family="binomial", processes=1)


def test_a_right_engine_is_right_and_told_of_both_truths(report: pp_compare.Report) -> None:
    (case,) = report.cases
    assert [j.standing for j in report.judgements] == ["right"]
    assert report.exit_status == 0
    assert list(case.fits)[:2] == ["certified:exact", "certified:laplace"]
    assert case.method == "binomial(logit)"
    assert "certified:laplace" in report.estimates().columns
    assert "right by Laplace's approximation" in repr(report)
    assert "agree with the certified maximum of Laplace's approximation" in report.paragraph()


def test_report_json_has_the_definition_of_every_fit(report: pp_compare.Report) -> None:
    (case,) = json.loads(to_json(report))["cases"]
    assert {f["definition"] for f in case["fits"].values()} == {"exact", "laplace"}
    assert len(case["fits"]["certified:exact"]["extra"]["digits"]["loglik"]) > 25
    assert {line["reference"] for line in case["comparisons"]} == {
        "certified:laplace", "certified:laplace at its own estimates",
    }  # fmt: skip
    assert {check["identity"] for check in case["identities"]} == {"score-is-zero"}


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, SystemExit) or done.exception is None:
        return done.exit_code, done.output
    sentence, status = explained(done.exception)
    return status, sentence


def test_the_command_line_audits_a_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "d.csv", index=False)
    status, said = run(
        "audit", "--data", str(tmp_path / "d.csv"), "--formula", FORMULA, "--family", "binomial",
        "--engine", PLAIN, "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert status == 0, said
    assert "p (Wald)" in said
    assert "certified:exact: log-likelihood -" in said
    assert "Every number beside both truths" in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["summary"]["fail"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("audit", "--family", "gaussian"), "--family is binomial or poisson"),
        (("audit", "cbpp", "smallest"), "no case 'cbpp'"),
        (("audit", "cbpp", "--engine", "nlme"), "no engine 'nlme' of generalised models"),
        (("at", "cbpp", "--beta", "1,2", "--sd", "herd=1"), "2 fixed effects for the 4"),
        (("at", "cbpp", "--beta", "1,2,3,4", "--sd", "x=1"), "no grouping factor 'x'"),
        (("at", "cbpp", "--beta", "1,2,3,4"), "0 standard deviations were given"),
        (("at", "cbpp", "--beta", "1,2,3,4", "--sd", "herd=-1"), "negative"),
        (("at", "cbpp", "--beta", "1,2,3,x", "--sd", "herd=1"), "--beta takes numbers"),
        (("at", "cbpp", "--beta", "1,2,3,4", "--sd", "herd=1", "--criterion", "reml"), "no crit"),
        (("at", "smallest", "--criterion", "exact", "--sigma", "1"), "reml or ml"),
        (("at", "sleepstudy", "--sd", "Subject=1,1"), "--sigma is needed"),
        (("at", "sleepstudy", "--sigma", "1", "--sd", "Subject=1,1", "--beta", "1,2"), "REML"),
        (
            ("at", "sleepstudy", "--sigma", "1", "--sd", "Subject=1,1", "--correlation",
             "Subject=2"),
            "no covariance",
        ),
    ],
)  # fmt: skip
def test_bad_input_ends_with_a_sentence(words: tuple[str, ...], says: str) -> None:
    status, said = run(*words)
    assert (status, says in said) == (2, True), said


def test_at_settles_lme4_s_issue_289() -> None:
    """The Laplace log-likelihood at glmer's own estimates, which it reports as -626.170912."""
    status, said = run(
        "at", "toenail", "--criterion", "laplace", "--no-best", "--sd", "patientID=4.6873641",
        "--beta=-1.05182244,-0.69688358,-0.91152522",
    )  # fmt: skip
    assert status == 0
    assert "laplace: log-likelihood -626.16313498854" in said


def test_at_gives_lmer_s_likelihood_of_a_linear_model() -> None:
    status, said = run(
        "at", "sleepstudy", "--criterion", "ml", "--sigma", "25.591907", "--sd",
        "Subject=23.780664,5.716828", "--correlation", "Subject=0.08131955", "--beta",
        "251.405105,10.467286", "--json",
    )  # fmt: skip
    found = json.loads(said)
    assert (status, found["definition"]) == (0, "ml")
    # lme4 1.1-31: logLik(lmer(..., REML = FALSE)) is -875.96967.
    assert float(found["digits"]) == pytest.approx(-875.9696722, abs=1e-6)
    assert found["upper"] - found["lower"] < 1e-12


def test_the_remedy_is_a_call_to_paste() -> None:
    design = simulated(3)
    call = glmer_call(design, "agq:10")
    assert call.startswith(f"glmer({design.formula}, data, family = binomial, nAGQ = 10,")
    assert "tolPwrss = 1e-13" in call


def test_weights_without_a_family_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="family is needed"):
        pp_compare.audit(frame, "y ~ x + (1|g)", weights="f")


def test_a_selection_refuses_what_cannot_be_fitted(frame: pd.DataFrame) -> None:
    from pp_compare.model import Dataset

    with pytest.raises(InputError):
        GlmmSelection("d", Dataset("d", frame), "nothing ~ x + (1|g)", "poisson").design()


@pytest.mark.needs_r
@pytest.mark.slow
def test_the_toenail_trial_in_one_command() -> None:
    """lme4's issue 289: whose criterion is misevaluated, by how much, and what mends it."""
    report = pp_compare.audit("toenail", engines=["lme4"], remedies=True)
    (judgement,) = report.judgements
    assert (judgement.standing, judgement.cause) == ("wrong", "objective")
    assert "reports a log-likelihood of -626.170912" in judgement.sentence
    assert judgement.remedy is not None
    assert judgement.remedy.engine == "lme4:tight"
    assert "tolPwrss = 1e-13" in judgement.remedy.code
    truth = report.cases[0].fits["certified:laplace"].extra["digits"]
    assert truth["loglik"].startswith("-626.162767922586")
    assert truth["theta[1]"].startswith("4.70841468403")
