"""Imports go one way: a module may import only from rooms below its own, or from its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pp_compare.resources import resource

PACKAGE = resource()

ROOMS = [
    {"errors", "resources", "version"},
    {"model"},
    {"data"},
    {"certified"},
    {"identities"},
    {"engines"},
    {"adapters", "fitted"},
    {"verdict"},
    {"inferences"},
    {"report"},
    {"audits"},
    {"search"},
    {"conformance"},
    {"campaign"},
    {"releases", "reference"},
    {"plugin", "cli", "__main__"},
]
"""From the ground up. What shares a floor may see each other: the ground, what other people's
packages and hands give, what is made to last of releases and of the truth, and the doors."""
GROUND = "."
MOST_FILES = 20
ONLY_IMPORTERS = {
    "rpy2": {"engines/_rpy2.py"},
    "hypothesis": {"data/strategies.py", "search", "conformance/search.py"},
    "pytest": {"plugin.py", "conformance"},
    "typer": {"cli"},
    "flint": {"certified", "engines/certified.py", "data/nist.py", "reference"},
    "matplotlib": {"report"},
    "pyarrow": {"campaign/store.py", "data/formats.py"},
    "distributed": {"campaign/cluster.py"},
    "jinja2": {"report"},
    **{
        name: {f"adapters/{module}.py" for module in modules.split()}
        for name, modules in {
            "bambi": "bambi",
            "glmm": "glmm/glmm_package",
            "gpboost": "gpboost glmm/gpboost_package",
            "interlace": "interlace glmm/interlace_package",
            "linearmodels": "linearmodels",
            "lme_python": "glmm/lme_package",
            "mixedlm": "mixedlm_package glmm/mixedlm_package",
            "pymc": "bambi",
            "pymer4": "pymer4",
        }.items()
    },
}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] != "fixtures")


@cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            if node.module == "pp_compare":
                yield from (f"pp_compare.{alias.name}" for alias in node.names)


def floor(name: str) -> int | None:
    return next((i for i, names in enumerate(ROOMS) if name in names), None)


def upward(path: Path) -> list[str]:
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    mine = floor(own)
    if own == "__init__":
        return []
    assert mine is not None, f"{own} is in no room"
    found = []
    for name in imported(path):
        top = name.split(".")[1] if name.startswith("pp_compare.") else None
        theirs = floor(top) if top else None
        if theirs is not None and theirs > mine:
            found.append(f"{own} imports {top}")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_imports_upward(path: Path) -> None:
    assert upward(path) == []


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_some_libraries_have_one_importer(library: str) -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    allowed = tuple(ONLY_IMPORTERS[library])
    assert {name for name in importers if not name.startswith(allowed)} == set()


def test_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_imports.PACKAGE", tmp_path)
    bad = tmp_path / "model" / "design.py"
    bad.parent.mkdir()
    bad.write_text("from pp_compare import audits\n")
    assert upward(bad) == ["model imports audits"]


def test_a_room_has_no_circle_of_folders() -> None:
    """Inside a room too: of two folders that share something, one stands above the other."""
    arrows: dict[str, set[str]] = {}
    for path in (p for p in modules() if p.parent != PACKAGE):
        own = path.parent.relative_to(PACKAGE).as_posix()
        theirs = {_folder(n) for n in imported(path) if n.startswith("pp_compare.")}
        arrows.setdefault(own, set()).update(theirs - {own, GROUND})
    assert tuple(TopologicalSorter(arrows).static_order())


def _folder(name: str) -> str:
    """The folder that an imported module, or a name in one, comes from."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    while not path.is_dir():
        path = path.parent
    return path.relative_to(PACKAGE).as_posix()


def test_the_house_stays_a_house() -> None:
    doors = {"__init__", "__main__", "errors", "plugin", "resources", "version"}
    assert {path.stem for path in PACKAGE.glob("*.py")} == doors
    folders = {path.parent for path in modules()} - {PACKAGE}
    assert {f.name for f in folders if f.parent == PACKAGE} <= set().union(*ROOMS)
    full = {str(f): n for f in folders if (n := len(list(f.glob("*.py")))) > MOST_FILES}
    assert full == {}
    assert all(
        ast.get_docstring(ast.parse((f / "__init__.py").read_text("utf-8"))) for f in folders
    )


def test_the_package_is_cheap_to_import() -> None:
    names = set(imported(PACKAGE / "__init__.py"))
    assert not {name.split(".")[0] for name in names} & {"statsmodels", "rpy2", "pandas", "flint"}
