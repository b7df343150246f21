"""Every public name is found by a type checker, by help(), and by who runs its example."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pp_compare

SOURCE = Path(pp_compare.__file__)
DOCUMENTED = [name for name in pp_compare.__all__ if name != "__version__"]
EXAMPLES = [name for name in DOCUMENTED if ">>>" in (getattr(pp_compare, name).__doc__ or "")]


def test_a_type_checker_is_told_the_names_that_there_are() -> None:
    told = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports = [each for each in node.body if isinstance(each, ast.ImportFrom)]
            told = {alias.asname or alias.name for each in imports for alias in each.names}
    assert told | {"__version__"} == set(pp_compare.__all__) == set(dir(pp_compare))
    assert (SOURCE.parent / "py.typed").is_file()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_name_is_documented(name: str) -> None:
    value = getattr(pp_compare, name)
    assert value.__module__.startswith("pp_compare.")
    first = (value.__doc__ or "").strip().partition("\n")[0]
    assert first.endswith(".")
    assert getattr(importlib.import_module(value.__module__), value.__name__) is value


@pytest.mark.parametrize("name", DOCUMENTED)
def test_help_shows_every_name_with_its_parameters(name: str) -> None:
    value = getattr(pp_compare, name)
    shown = pydoc.plain(pydoc.render_doc(value))
    assert (value.__doc__ or "").strip().partition("\n")[0] in shown
    if inspect.isfunction(value):
        given = inspect.signature(value)
        assert all(p.annotation is not p.empty for p in given.parameters.values())
        assert given.return_annotation is not given.empty
        documented = re.findall(r"^ *([*\w, ]+?) : ", shown, re.MULTILINE)
        words = {word.strip("* ") for names in documented for word in names.split(",")}
        inherited = re.search(r"^ *[\w, ]+\n +As for `", shown, re.MULTILINE)
        assert inherited or set(given.parameters) <= words


def test_every_example_is_one_of_a_public_name() -> None:
    """So that those of the package that run below are all there are."""
    holders = {getattr(pp_compare, name).__module__ for name in EXAMPLES}
    for path in SOURCE.parent.rglob("*.py"):
        module = ".".join(path.relative_to(SOURCE.parents[1]).with_suffix("").parts)
        assert ">>>" not in path.read_text(encoding="utf-8") or module in holders, module


def test_what_takes_a_fit_or_a_table_has_an_example() -> None:
    assert {"assert_parity", "audit", "check", "explain", "from_printout", "inference"} <= set(
        EXAMPLES
    )


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.filterwarnings("default::UserWarning")
def test_every_example_runs(name: str) -> None:
    value = getattr(pp_compare, name)
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for test in finder.find(value, name, globs={}):
        runner.run(test, out=said.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(said)


@pytest.mark.slow
def test_a_type_checker_finds_every_name(tmp_path: Path) -> None:
    script = tmp_path / "names.py"
    lines = [f"reveal_type(pp_compare.{name})" for name in DOCUMENTED]
    script.write_text("\n".join(["import pp_compare", *lines]))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Revealed type") == len(DOCUMENTED)
    assert '"Any"' not in done.stdout
