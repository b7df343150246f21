"""An engine by its path: a class, a function, with and without a setting."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pp_compare.engines import make_engine
from pp_compare.errors import InputError

MODULE = """
class Plain:
    name = "plain"
    fit = unsupported = lambda self, design: None


class Chosen:
    fit = unsupported = lambda self, design: None

    def __init__(self, setting):
        self.name = f"chosen:{setting}"


def made():
    return Plain()
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "engines_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("engine_id", "name"),
    [
        ("engines_of_mine:Plain", "plain"),
        ("engines_of_mine:made", "plain"),
        ("engines_of_mine:Chosen", "chosen:None"),
        ("engines_of_mine:Chosen:tight", "chosen:tight"),
        ("pp_compare.engines.statsmodels:make:lbfgs", "statsmodels:lbfgs"),
    ],
)
def test_a_class_or_a_function_with_or_without_a_setting(engine_id: str, name: str) -> None:
    assert make_engine(engine_id).name == name


@pytest.mark.parametrize(
    ("engine_id", "words"),
    [
        ("engines_of_mine:Plain:tight", "'engines_of_mine:Plain' has no settings, so no setting"),
        ("engines_of_mine:Nothing", "no engine factory 'engines_of_mine:Nothing'"),
        ("engines_of_mine", "no engine 'engines_of_mine'; there are: "),
        ("engines_of_nobody:Plain", "no engine 'engines_of_nobody'; there are: "),
    ],
)
def test_what_is_not_there_is_said(engine_id: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_engine(engine_id)


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a console script has it, whose path begins with the folder of the script."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "lies_here.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(Path.cwd()))])
    monkeypatch.chdir(tmp_path / "here")
    assert make_engine("lies_here:Plain").name == "plain"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nothing_of_that_name", "because ModuleNotFoundError: No module named 'nothing_of"),
        ("def f(:", "because SyntaxError: "),
        ("raise RuntimeError('no licence')", "because RuntimeError: no licence"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_reason(
    code: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "broken_of_mine.py").write_text(code)
    with pytest.raises(InputError, match=f"'broken_of_mine' cannot be imported, {words}"):
        make_engine("broken_of_mine:Engine")
    sys.modules.pop("broken_of_mine", None)
