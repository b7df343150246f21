"""Fits that R describes: each read as that fit; what is not of this kind is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pp_compare
from pp_compare.errors import InputError
from pp_compare.fitted.r_json import read_file
from pp_compare.resources import resource

FITS = {
    "slopes": ("lme4::lmer(Reaction ~ Days + (Days | Subject), s)", "right"),
    "diagonal": ("lme4::lmer(Reaction ~ Days + (Days || Subject), s, REML = FALSE)", "right"),
    "nested": ("lme4::lmer(strength ~ 1 + (1 | batch/cask), p)", "right"),
    "contrasts": (
        "lme4::lmer(distance ~ Sex * age + (1 | Subject), o, contrasts = list(Sex = 'contr.sum'))",
        "right",
    ),
    "computed": ("lme4::lmer(log(Reaction) ~ factor(Days > 4) + (1 | Subject), h)", "right"),
    "stopped": (
        "suppressWarnings(lme4::lmer(Reaction ~ Days + (Days | Subject), s, control = lme4::"
        "lmerControl(optimizer = 'Nelder_Mead', optCtrl = list(maxfun = 10))))",
        "wrong",
    ),
    "lme": ("nlme::lme(Reaction ~ Days, random = ~ Days | Subject, s)", "right"),
    "lme, nested": ("nlme::lme(strength ~ 1, random = ~ 1 | batch/cask, p)", "right"),
    "lme, diagonal": (
        "nlme::lme(Reaction ~ Days, random = list(Subject = nlme::pdDiag(~ Days)), s)", "right"
    ),
    "lme, ML": (
        "nlme::lme(distance ~ age * Sex, random = ~ age | Subject, o, method = 'ML')",
        "right, other definition",
    ),
}  # fmt: skip
"""A fit in R, and its standing; `h` has a hole in its third row."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the fits, written by one R."""
    home = tmp_path_factory.mktemp("fits")
    lines = [
        f"source({json.dumps(str(resource('r', 'write_fit.R')))})",
        "s <- lme4::sleepstudy; p <- lme4::Pastes; h <- s; h$Reaction[3] <- NA",
        "o <- as.data.frame(nlme::Orthodont); o$Subject <- factor(as.character(o$Subject))",
        *(
            f"pp_write_fit({code}, {json.dumps(str(home / name))})"
            for name, (code, _) in FITS.items()
        ),
    ]
    subprocess.run(["Rscript", "--vanilla", "-e", "\n".join(lines)], check=True)
    return home


@pytest.mark.needs_r
@pytest.mark.parametrize("name", FITS)
def test_a_fit_of_r_is_read_as_that_fit(name: str, folder: Path) -> None:
    record = json.loads((folder / name).read_text())
    found = read_file(folder / name)
    fit = found.fit
    assert fit.design_error == 0.0
    assert sorted(fit["beta"]) == sorted(record["beta"]["values"])
    assert [float(fit["loglik"])] == record["loglik"]
    assert fit["fitted"].tolist() == record["fitted"]
    variances = [x for term in record["random"] for x in term["values"]]
    ours = [x for cov in found.design.by_block(fit.covariances) for x in cov.ravel().tolist()]
    assert set(ours) <= set(variances)
    assert found.design.n_obs == (179 if name == "computed" else len(record["y"]))


@pytest.mark.needs_r
@pytest.mark.parametrize("name", ["diagonal", "lme, nested", "lme, ML", "stopped"])
def test_a_fit_of_r_is_judged_by_its_own_numbers(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pp_compare.audits.mending.find_remedy", lambda *_: "not tried here")
    file = folder / f"{name}.json"
    file.write_text((folder / name).read_text())
    assert pp_compare.check(str(file)).judgements[0].standing == FITS[name][1]


@pytest.mark.needs_r
def test_an_object_of_rpy2_is_the_same_fit(folder: Path) -> None:
    interface = pytest.importorskip("rpy2.rinterface")
    from pp_compare.engines._rpy2 import session

    session("lme4")
    merged = interface.evalr("lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)")
    found, written = pp_compare.check(merged), read_file(folder / "slopes")
    assert found.judgements[0].standing == "right"
    fit = found.cases[0].fits["lme4"]
    # Two fits of two processes, whose BLAS may add in another order.
    assert fit["beta"].tolist() == pytest.approx(written.fit["beta"].tolist(), rel=1e-8)
    with pytest.raises(InputError, match="not of class"):
        pp_compare.check(interface.evalr("lm(Reaction ~ Days, lme4::sleepstudy)"))


SMALL: dict[str, Any] = {
    "schema": ["pp-compare/fit/1"],
    "package": ["lme4"],
    "versions": {"names": ["R", "lme4"], "values": ["4.2.2", "1.1-31"]},
    "formula": ["y ~ 1 + (1 | g)"],
    "REML": [True],
    "data": {
        "y": {"values": [1.0, 2.0, 4.0, 6.0]},
        "g": {"codes": [1, 1, 2, 2], "levels": ["a", "b"]},
    },
    "beta": {"values": [3.25], "names": ["(Intercept)"]},
    "beta_cov": [3.0625],
    "beta_se": [1.75],
    "random": [{"group": ["g"], "effects": ["(Intercept)"], "values": [5.5]}],
    "sigma": [1.118033988749895],
    "loglik": [-7.0],
    "converged": [True],
    "singular": [False],
    "messages": [],
    "blup": [
        {"group": ["g"], "rows": ["a", "b"], "columns": ["(Intercept)"], "values": [-1.57, 1.57]}
    ],
    "levels": [{"group": ["g"], "rows": ["a", "a", "b", "b"]}],
    "fitted": [1.68, 1.68, 4.82, 4.82],
    "X": {"values": [1, 1, 1, 1], "columns": ["(Intercept)"]},
    "y": [1.0, 2.0, 4.0, 6.0],
}


def written(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({**SMALL, **changes}))
    return path


def test_a_small_file_is_read_without_r(tmp_path: Path) -> None:
    found = read_file(written(tmp_path))
    assert found.fit["beta"].tolist() == [3.25]
    assert found.source == "A fit of lme4 1.1-31 from fit.json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": ["pp-compare/fit/9"]}, "of schema 'pp-compare/fit/9', not"),
        ({"package": ["MCMCglmm"]}, "the fit is of 'MCMCglmm', not of lme4, nlme, glmmtmb"),
        ({"fitted": [1.0]}, "'fitted' has 1 numbers, not 4"),
        ({"sigma": "1"}, "'sigma' is missing, or no list of numbers"),
        ({"y": [1, 2, 4, "six"]}, "'y' is no list of numbers"),
        ({"REML": [1, 0]}, "'REML' is missing, or neither true nor false"),
        ({"data": {"y": {"values": [1.0, 2.0, 4.0, 6.0]}, "g": {"codes": [1, 1, 2, 9],
          "levels": ["a", "b"]}}}, "column 'g' has codes outside its 2 levels"),
        ({"levels": [{"group": ["g"], "rows": ["a"]}]}, "levels of 'g' are 1, not 4"),
        ({"random": [{"group": ["g"], "effects": ["x"], "values": [1.0]}]}, "'x' is no random eff"),
        ({"beta": {"values": [3.25], "names": ["x"]}}, "a coefficient was dropped"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_of_this_kind_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        pp_compare.check(written(tmp_path, **changes))


def test_what_is_no_json_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fit.json"
    for text, words in [("{", "is no JSON"), ("[" * 100_000, "is no JSON"), ("[1]", "no fit")]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_file(path)
    monkeypatch.setattr("pp_compare.fitted.r_json.MOST_BYTES", 2)
    with pytest.raises(InputError, match="has 3 bytes; at most 2 are read"):
        read_file(path)
    with pytest.raises(InputError, match="no file"):
        read_file(tmp_path / "absent.json")
