"""Generalised models without R: recorded engines play its parts, and the report says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pp_compare.audits import doctor
from pp_compare.audits.glmm import audit_glmm
from pp_compare.audits.glmm_asked import selection_of
from pp_compare.audits.glmm_cast import available_glmm_engines, source_of
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines.worker import Workers
from pp_compare.errors import UnavailableError
from pp_compare.report.record import Report


@pytest.fixture
def no_r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a program Rscript nor rpy2, in the workers too; but what starts those."""
    for name in ("setarch", "setpriv"):
        if (program := shutil.which(name)) is not None:
            (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PP_COMPARE_R", "Rscript")
    monkeypatch.delenv("R_HOME", raising=False)


@pytest.mark.usefixtures("no_r")
def test_without_r_every_engine_in_r_is_played_back() -> None:
    with Workers(60.0) as workers:
        cast = available_glmm_engines([], workers)
        assert cast.sources["lme4:agq:10"] == "recorded:bookworm/lme4:agq:10"
        assert cast.sources["glmmtmb"] == "recorded:bookworm/glmmtmb"
        assert cast.sources["statsmodels:vb"] == "statsmodels:vb"
        assert "no program Rscript" in cast.missing["glmmpql"]
        assert source_of("lme4:tight", cast) == "recorded:bookworm/lme4:tight"
        assert source_of("lme4:tight:agq:25", cast) is None
        with pytest.raises(UnavailableError, match="no program Rscript"):
            available_glmm_engines(["lme4:agq:25"], workers)


@pytest.fixture
def played(no_r: None) -> Report:
    """lme4's default on cbpp, with what mends it."""
    return audit_glmm([selection_of(glmm_case("cbpp"))], ["lme4"], fail_on="news")


def test_a_report_says_first_what_is_played_back(played: Report, tmp_path: Path) -> None:
    (source,) = played.provenance.r_sources
    assert (played.provenance.r_source, source.engine) == ("recorded:bookworm", "lme4")
    assert (played.provenance.R, played.provenance.r_packages["lme4"]) == ("4.2.2", "1.1-31")
    (judgement,) = played.judgements
    assert (judgement.engine, judgement.standing, judgement.news) == ("lme4", "wrong", False)
    assert judgement.remedy is not None
    assert judgement.remedy.engine == "lme4:tight"  # from the records too
    page = played.save(tmp_path / "report")
    assert page.read_text().count("lme4 is played back from recorded:bookworm (R 4.2.2") == 1
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert "glmer-stale-determinant (1 of 1 models): glmer's Laplace log-like" in markdown
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["provenance"]["r_source"] == "recorded:bookworm"
    assert document["summary"]["known"] > 0
    assert (tmp_path / "report" / "cases" / "cbpp" / "data.csv").is_file()


@pytest.mark.usefixtures("no_r")
def test_the_doctor_knows_the_engines_of_generalised_models() -> None:
    found = {f.subject: f for f in doctor._glmm_engines()}
    lme4 = found["generalised models, engine lme4"]
    assert (lme4.ok, lme4.needed) == (False, False)
    assert "no program Rscript" in lme4.text
    assert "played back, recorded:bookworm/lme4, on the named cases" in lme4.text
    assert found["generalised models, engine statsmodels:vb"].text == "starts"
