"""Imports go one way: a module may import only modules of lower layers, or of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pp_compare"

LAYERS = [
    {"errors", "resources"},
    {"child_process"},
    {"model"},
    {"formula"},
    {"variables"},
    {"matrices"},
    {"design"},
    {"nist", "numerics", "rounding", "files"},
    {"corpus", "identities", "definitions", "partial_pooling", "strategies"},
    {"engines"},
    {"adapters"},
    {"tolerance", "explain", "inference", "profile"},
    {"r_inference"},
    {"agreement"},
    {"attribution", "deviations", "record"},
    {"report"},
    {"probes", "provenance"},
    {"audit"},
    {"reproduce", "league", "metamorphic", "mixedlm"},
    {"campaign"},
    {"hunts"},
    {"search"},
    {"conformance", "doctor"},
    {"plugin"},
    {"releases"},
    {"cli"},
    {"__main__"},
]
ONLY_IMPORTERS = {
    "rpy2": {"engines/_rpy2.py"},
    "hypothesis": {"strategies.py", "hunts.py", "search.py", "conformance/search.py"},
    "pytest": {"plugin.py", "conformance"},
    "typer": {"cli"},
    "flint": {"engines/certified", "nist.py"},
    "matplotlib": {"report"},
    "pyarrow": {"campaign/store.py"},
    "distributed": {"campaign/cluster.py"},
    "jinja2": {"report"},
    **{
        name: {f"adapters/{module}.py"}
        for name, module in {
            "bambi": "bambi",
            "gpboost": "gpboost",
            "interlace": "interlace",
            "linearmodels": "linearmodels",
            "mixedlm": "mixedlm_package",
            "pymc": "bambi",
            "pymer4": "pymer4",
        }.items()
    },
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


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


def layer(name: str) -> int | None:
    return next((i for i, names in enumerate(LAYERS) if name in names), None)


def upward(path: Path) -> list[str]:
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    mine = layer(own)
    if own == "__init__":
        return []
    assert mine is not None, f"{own} has no layer"
    found = []
    for name in imported(path):
        top = name.split(".")[1] if name.startswith("pp_compare.") else None
        theirs = layer(top) if top else None
        if theirs is not None and top != own and theirs >= mine:
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
    bad = tmp_path / "model.py"
    bad.write_text("from pp_compare import audit\n")
    assert upward(bad) == ["model imports audit"]


def test_the_package_is_cheap_to_import() -> None:
    names = set(imported(PACKAGE / "__init__.py"))
    assert not {name.split(".")[0] for name in names} & {"statsmodels", "rpy2", "pandas", "flint"}
