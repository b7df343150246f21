"""Bundles: the scripts run alone and give the numbers that were seen."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from pp_compare.audits.bundles.issue import run as run_script
from pp_compare.audits.bundles.issue import write_issues
from pp_compare.audits.bundles.reproduce import write_bundle
from pp_compare.audits.bundles.stored import read_report
from pp_compare.audits.handed import check
from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.engines import make_engine
from pp_compare.engines.source.script import script_of
from pp_compare.engines.source.table import used_frame
from pp_compare.errors import InputError
from pp_compare.model import Dataset, Quantity
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.record import Report
from tests.cli.test_commands import run as command
from tests.examples import clusters, corpus_design

# In another process memory is aligned otherwise, and BLAS may sum in another order: the last bit of
# the criterion changes, and with it the optimiser's path, which ends within its xtol of 1e-8.
SAME_RUN = 1e-7
RSCRIPT = shutil.which("Rscript") or "Rscript"
R_ENGINES = ("lme4", "nlme") if shutil.which("Rscript") and find_spec("rpy2") else ()


def bundle(folder: Path, design: Design, engines: tuple[str, ...]) -> dict:
    fits = {engine: make_engine(engine).fit(design) for engine in (*engines, "certified")}
    selection = Selection("case", design.dataset, design.spec.formula, design.spec.method)
    write_bundle(folder, design, judge(selection, design, fits, ()))
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(text: str, name: str) -> list[float]:
    line = next(line for line in text.splitlines() if line.startswith(f"{name}: "))
    return [float(x) for x in re.findall(r"[-+0-9.einfa]+", line.partition(": ")[2])]


def nasty() -> Design:
    """Names and labels that would be code if anybody pasted them."""
    frame = clusters(4, [3, 5, 2, 6, 4])
    arms = np.array(['"); quit(status=9); ("', "__import__('os')._exit(9)"])
    arm = arms[frame["g"].str[-1].astype(int) % 2]
    labels = frame["g"].map(lambda g: f"<script>{g}', \"é\nx")
    frame = pd.DataFrame(
        {"system('false') y": frame["y"] / 3, "g`h": labels, "arm 1": arm, "x": frame["x"]}
    )
    frame = frame.rename(columns={"g`h": "if"})
    formula = "`system('false') y` ~ `arm 1` + x + (1 | `if`)"
    return build_design(Dataset("nasty", frame), parse_formula(formula, "REML"))


MODELS = {
    "slopes": lambda: corpus_design("sleepstudy", "ML"),
    "crossed": lambda: corpus_design("Penicillin"),
    "nested": lambda: corpus_design("Pastes", "ML"),
    "nasty": nasty,
}


# Of each kind of model one in the short run: nested groups are written as crossed ones are.
LONG = {"nested", "slopes"}
SOME = [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in MODELS]


@cache
def bundled(name: str, root: Path) -> tuple[Path, dict]:
    """A bundle of one model with every engine that is here, and what they gave."""
    return root / name, bundle(root / name, MODELS[name](), ("statsmodels", *R_ENGINES))["seen"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.mark.parametrize("name", SOME)
def test_reproduce_py_gives_what_was_seen(root: Path, name: str) -> None:
    folder, answers = bundled(name, root)
    seen = answers["statsmodels"]["quantities"]
    text = run(sys.executable, "-I", "-W", "ignore", folder / "reproduce.py")
    for quantity in ("beta", "sigma", "loglik"):
        wanted = list(seen[quantity].values())
        assert printed(text, quantity) == pytest.approx(wanted, rel=SAME_RUN)


@pytest.mark.needs_r
@pytest.mark.parametrize("name", SOME)
def test_reproduce_r_gives_what_was_seen(root: Path, name: str) -> None:
    """lme4's numbers, and nlme's where lme() has a plain call for the model."""
    folder, answers = bundled(name, root)
    text = run(RSCRIPT, folder / "reproduce.R")
    engines = ["lme4", "nlme"] if name in {"slopes", "nasty"} else ["lme4"]
    for engine, quantity in itertools.product(engines, ("beta", "beta_se", "sigma", "loglik")):
        wanted = list(answers[engine]["quantities"][quantity].values())
        assert printed(text, f"{engine} {quantity}") == pytest.approx(wanted, rel=SAME_RUN)


def test_the_data_read_back_to_the_same_bits(tmp_path: Path) -> None:
    design = nasty()
    bundle(tmp_path, design, ())
    response = design.spec.response
    for file, read, name in (
        ("data.csv", float, response),
        ("data.hex.csv", float.fromhex, design.alias(response)),
    ):
        table = pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False)
        assert [read(value) for value in table[name]] == design.y.tolist()
    assert set(table["group_0"]) == set(design.blocks[0].levels)


def test_the_scripts_need_nothing_of_ours_and_hold_nothing_of_the_data(tmp_path: Path) -> None:
    bundle(tmp_path, nasty(), ("statsmodels",))
    for name in ("reproduce.py", "reproduce.R"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        for foreign in ("pp_compare", "quit(", "_exit", "script>", "system(", "@"):
            assert foreign not in text
    names = {
        node.names[0].name.split(".")[0] if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse((tmp_path / "reproduce.py").read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {str(n).split(".")[0] for n in names} == {
        "json", "pathlib", "numpy", "pandas", "statsmodels",
    }  # fmt: skip


def fenced(text: str, language: str) -> str:
    """What stands between the fences of a language."""
    return text.partition(f"```{language}\n")[2].partition("\n```")[0]


def rows(text: str) -> dict[str, tuple[float, float]]:
    """Of the table: what was given, and what is expected."""
    found = re.findall(r"(?m)^\| (.+?) \| (\S+) \| (\S+) \|$", text)
    return {name: (float(a), float(b)) for name, a, b in found if "---" not in a}


def shows(output: str, value: float) -> bool:
    found = re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", output)
    return any(float(x) == pytest.approx(value, rel=1e-6) for x in found)


def test_an_issue_stands_alone_and_its_script_shows_what_it_claims(tmp_path: Path) -> None:
    bundle(tmp_path, corpus_design("two_optima_ml", "ML"), ("statsmodels", *R_ENGINES))
    for engine in ("statsmodels", *R_ENGINES):
        text = (tmp_path / f"ISSUE-{engine}.md").read_text(encoding="utf-8")
        others = {"statsmodels", "lme4", "nlme"} - {engine}
        assert "wrong optimum" in text.splitlines()[0]
        assert not [other for other in others if other in text]
        assert rows(text)["fixed effect Intercept"] == pytest.approx((0.0721722, 0.125), rel=1e-5)
        language, start = (
            ("python", (sys.executable, "-I"))
            if engine == "statsmodels"
            else ("r", (RSCRIPT, "--vanilla"))
        )
        alone = tmp_path / engine
        alone.mkdir()
        (alone / "pasted").write_text(fenced(text, language), encoding="utf-8")
        printed_here = run(*start, alone / "pasted")
        for name in ("fixed effect Intercept", "standard error of Intercept"):
            assert shows(printed_here, rows(text)[name][0])
            assert shows(fenced(text.partition("## What it prints")[2], ""), rows(text)[name][0])


def test_a_fit_that_the_script_does_not_give_is_said(tmp_path: Path) -> None:
    design = corpus_design("two_optima_ml", "ML")
    good = make_engine("certified").fit(design)
    off = Quantity("beta", good["beta"] + 1, design.labels)
    fit = replace(good, engine="statsmodels", quantities={**good.quantities, "beta": off})
    selection = Selection("case", design.dataset, design.spec.formula, "ML")
    case = judge(selection, design, {"statsmodels": fit, "certified": good}, ())
    list(write_issues(tmp_path, design, case))
    text = (tmp_path / "ISSUE-statsmodels.md").read_text(encoding="utf-8")
    assert "The script gives other numbers than the fit above for: fixed effect" in text


@pytest.mark.slow
def test_long_data_are_read_from_the_file_beside_the_script(tmp_path: Path) -> None:
    frame = clusters(4, [60] * 4).assign(a=lambda d: np.where(d["x"] > 0, "NA ", "None"))
    design = build_design(Dataset("long", frame), parse_formula("y ~ a + (1|g)", "ML"))
    for engine in ("statsmodels", *R_ENGINES):
        script = script_of(engine, design)
        path = tmp_path / f"fit{script.suffix}"
        path.write_text(script.text, encoding="utf-8")
        (tmp_path / "data.csv").write_text(Dataset("d", used_frame(design)).exact_csv())
        ran = run_script(script, path)
        assert shows(ran.output, float(make_engine(engine).fit(design)["loglik"]))


def test_names_that_would_be_code_are_text_in_a_script(tmp_path: Path) -> None:
    design = nasty()
    assert "lme() takes no column called" in script_of("nlme", design)
    for engine in ("statsmodels", *R_ENGINES[:1]):
        script = script_of(engine, design)
        path = tmp_path / f"fit{script.suffix}"
        path.write_text(script.text, encoding="utf-8")
        ran = run_script(script, path)
        assert shows(ran.output, float(make_engine(engine).fit(design)["loglik"])), ran.output


@pytest.mark.slow
@pytest.mark.needs_r
def test_a_script_has_the_weights_and_the_offset_of_its_model(tmp_path: Path) -> None:
    frame = clusters(4, [3, 5, 2, 6, 4]).assign(w=lambda d: 1 + d.index % 3, z=lambda d: d.index)
    spec = parse_formula("y ~ x + offset(z) + (1|g)", "REML", "w")
    design = build_design(Dataset("d", frame), spec)
    seen = bundle(tmp_path, design, R_ENGINES)["seen"]
    text = run(RSCRIPT, tmp_path / "reproduce.R")
    for engine in R_ENGINES:
        wanted = seen[engine]["quantities"]["loglik"][""]
        assert printed(text, f"{engine} loglik") == pytest.approx([wanted], rel=SAME_RUN)
        script = script_of(engine, design)
        (tmp_path / "fit.R").write_text(script.text, encoding="utf-8")
        ran = run_script(script, tmp_path / "fit.R")
        assert shows(ran.output, wanted), ran.output


def test_markup_in_the_data_stays_text(tmp_path: Path) -> None:
    frame = clusters(4, [3, 5, 2, 6, 4]).assign(a="<b>`x`</b>```")
    frame.loc[::2, "a"] = "y"
    frame["y"] += 1e9
    design = build_design(Dataset("d", frame), parse_formula("y ~ a + (1|g)"))
    bundle(tmp_path, design, ("statsmodels",))
    text = (tmp_path / "ISSUE-statsmodels.md").read_text(encoding="utf-8")
    plain = re.sub(r"(?ms)^(`{3,})(?:python)?$.*?^\1$", "", text)
    assert "fixed effect" in plain
    assert "<b>" not in plain


def test_the_command_writes_a_bundle_of_a_case_and_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("reproduce", "two_optima_ml", "--engine", "statsmodels", "--out", tmp_path)
    assert command(monkeypatch, *words) == 0
    assert (tmp_path / "two_optima_ml-ML" / "ISSUE-statsmodels.md").is_file()
    data = tmp_path / "mine.csv"
    data.write_text("y,g\n1,a\n2,a\n4,b\n7,b\n3,c\n")
    words = ("--formula", "y ~ 1 + (1|g)", "--method", "ml", "--engine", "statsmodels")
    assert command(monkeypatch, "reproduce", "--data", data, *words, "--out", tmp_path) == 0
    assert (tmp_path / "mine-ML" / "reproduce.py").is_file()


def test_an_audit_bundles_what_fails_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = "tests.broken_engines:one_coefficient_off"
    words = ("audit", "seed_case1", "--method", "reml", "--bundle", tmp_path)
    assert command(monkeypatch, *words, "--engine", "certified") == 0
    assert list(tmp_path.iterdir()) == []
    assert command(monkeypatch, *words, "--engine", engine, "--engine", "certified") == 1
    assert (tmp_path / "seed_case1-REML" / "reproduce.R").is_file()


@pytest.fixture
def stopped_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Report, Path]:
    """A report of a fit that no script gives again, saved; no remedy is looked for."""
    monkeypatch.setattr("pp_compare.audits.mending.find_remedy", lambda *_: "not tried here")
    frame = clusters(4, [3, 5, 2, 6, 4], between=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = smf.mixedlm("y ~ x", frame, groups="g").fit(method="nm", maxiter=3)
    report = check(fit)
    report.save(tmp_path / "report")
    return report, tmp_path / "report" / "report.json"


def test_the_json_of_a_check_is_reproduced_with_the_fit_that_it_holds(
    stopped_early: tuple[Report, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, path = stopped_early
    (stored,) = read_report(path)
    was, now = report.cases[0], stored.case
    assert now.judgements[0].sentence == was.judgements[0].sentence
    for name, quantity in was.fits["statsmodels"].quantities.items():
        again = now.fits["statsmodels"].quantities[name]
        assert list(again.entries()) == list(quantity.entries())
    assert command(monkeypatch, "reproduce", path, "--out", tmp_path) == 0
    text = (tmp_path / "fitted-REML" / "ISSUE-statsmodels.md").read_text(encoding="utf-8")
    assert "The script gives other numbers" in text


def test_a_report_without_its_data_or_with_others_is_refused(
    stopped_early: tuple[Report, Path], tmp_path: Path
) -> None:
    _, path = stopped_early
    data = tmp_path / "report" / "cases" / "fitted" / "data.csv"
    other = tmp_path / "other.csv"
    other.write_text(data.read_text().replace("g0", "g9"))
    with pytest.raises(InputError, match=r"not the table that was fitted: its checksum is"):
        read_report(path, other)
    data.rename(tmp_path / "mine.csv")
    with pytest.raises(InputError, match=r"holds no data.*--data FILE"):
        read_report(path)
    assert len(read_report(path, tmp_path / "mine.csv")) == 1
    document = json.loads(path.read_text())
    for broken in (
        {},
        {"cases": 3},
        {"cases": [{}]},
        {"cases": [{**document["cases"][0], "fits": {"a": 1}}]},
    ):
        path.write_text(json.dumps({"schema": document["schema"], **broken}))
        with pytest.raises(InputError, match="is no whole report"):
            read_report(path, tmp_path / "mine.csv")
