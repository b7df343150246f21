"""Bundles: the scripts run alone and give the numbers that were seen."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.reproduce import write_bundle
from pp_compare.audits.selection import Selection
from pp_compare.engines import make_engine
from pp_compare.model import Dataset
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
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
    for file, read in (("data.csv", float), ("data.hex.csv", float.fromhex)):
        table = pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False)
        assert [
            read(value) for value in table[design.alias(design.spec.response)]
        ] == design.y.tolist()
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


def test_the_issue_says_what_differs_and_what_is_right(tmp_path: Path) -> None:
    bundle(tmp_path, corpus_design("two_optima_ml", "ML"), ("statsmodels",))
    text = (tmp_path / "ISSUE.md").read_text(encoding="utf-8")
    assert "wrong optimum" in text
    assert "37.18161234" in text
    assert "statsmodels 0." in text
    assert "    -4.0,3" in text or "    -4" in text


def test_markup_in_the_data_stays_text(tmp_path: Path) -> None:
    frame = clusters(4, [3, 5, 2, 6, 4]).assign(a="<b>x</b>")
    frame.loc[::2, "a"] = "y"
    frame["y"] += 1e-9
    design = build_design(Dataset("d", frame), parse_formula("y ~ a + (1|g)"))
    bundle(tmp_path, design, ("statsmodels",))
    text = (tmp_path / "ISSUE.md").read_text(encoding="utf-8")
    assert "<b>" not in re.sub(r"(?m)^    .*$", "", text)


def test_the_command_writes_a_bundle_of_a_case_and_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("reproduce", "two_optima_ml", "--engine", "statsmodels", "--out", tmp_path)
    assert command(monkeypatch, *words) == 0
    assert (tmp_path / "two_optima_ml-ML" / "ISSUE.md").is_file()
    data = tmp_path / "mine.csv"
    data.write_text("y,g\n1,a\n2,a\n4,b\n7,b\n3,c\n")
    words = ("--formula", "y ~ 1 + (1|g)", "--method", "ml", "--engine", "statsmodels")
    assert command(monkeypatch, "reproduce", data, *words, "--out", tmp_path) == 0
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
