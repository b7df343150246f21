"""The checked-in set, its verifier as a module, and items with one digit changed."""

from __future__ import annotations

import ast
import csv
import hashlib
import importlib.util
import json
import random
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2] / "reference"
DATA, DOUBLES, ITEM, VALUES = "data.csv", "doubles.csv", "item.json", "values.csv"
TESTS = "inference.csv"


def imports_of_a_short(name: str) -> set[str]:
    """What a verifier of at most 300 lines imports beyond the standard library."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    nodes = list(ast.walk(ast.parse(text)))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return names - sys.stdlib_module_names


def items() -> list[Path]:
    """Folders of all items."""
    return sorted(path.parent for path in ROOT.glob("items*/*/item.json"))


def item(name: str) -> Path:
    """Folder of one."""
    (path,) = ROOT.glob(f"items*/{name}")
    return path


def glmm_items() -> list[Path]:
    """Folders of the generalised models."""
    return sorted(path.parent for path in ROOT.glob("glmm/items*/*/item.json"))


def glmm_item(name: str) -> Path:
    """Folder of one."""
    (path,) = ROOT.glob(f"glmm/items*/{name}")
    return path


def module(path: Path) -> ModuleType:
    """A file of the set as a module."""
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


verify = module(ROOT / "verify.py")
sys.modules["verify"] = verify  # as the file beside it imports it
verify_inference = module(ROOT / "verify_inference.py")
verify_glmm = module(ROOT / "verify_glmm.py")
verify_global = module(ROOT / "verify_global.py")


def copied(folder: Path, to: Path) -> Path:
    """A set of one item, with its checksums."""
    where = to / folder.parent.name / folder.name
    shutil.copytree(folder, where)
    write_checksums(to)
    return where


def write_checksums(root: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}\n"
        for path in sorted(root.glob("items*/*/*"))
    ]
    (root / "CHECKSUMS").write_text("".join(lines), encoding="utf-8")


def change_digit(path: Path, rng: random.Random) -> str:
    """Change one digit of a file; what was changed."""
    text = path.read_text(encoding="utf-8")
    at = rng.choice([m.start() for m in re.finditer(r"\d", text)])
    new = rng.choice([d for d in "0123456789" if d != text[at]])
    path.write_text(text[:at] + new + text[at + 1 :], encoding="utf-8")
    return f"{path.name}[{at}] {text[max(0, at - 20) : at]}>{text[at]}>{new}"


def falsify(folder: Path, rng: random.Random) -> str:
    """Change a digit of the data or of a value wherever it stands, checksums included."""
    path = folder / ITEM
    about = json.loads(path.read_text(encoding="utf-8"))
    if (folder / DATA).is_file() and rng.random() < 0.5:
        what = _falsify_data(folder, rng)
        about["data"]["sha256"] = hashlib.sha256((folder / DATA).read_bytes()).hexdigest()
    else:
        what = _falsify_value(folder, about, rng)
    path.write_text(json.dumps(about), encoding="utf-8")
    return what


def _falsify_data(folder: Path, rng: random.Random) -> str:
    """A number of data.csv; doubles.csv says the same.

    Not a level: where the variance is 0, rows may change their group and every value stays true.
    """
    tables = {}
    for name in (DATA, DOUBLES):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            tables[name] = list(csv.reader(file))
    cells = [
        (i, j)
        for i, row in enumerate(tables[DATA])
        for j, cell in enumerate(row)
        if i and tables[DOUBLES][i][j] != cell
    ]
    i, j = rng.choice(cells)
    old = tables[DATA][i][j]
    new = old
    while float(new) == float(old):  # the last of 17 digits may make the same double
        at = rng.choice([m.start() for m in re.finditer(r"\d", old)])
        new = old[:at] + rng.choice("0123456789") + old[at + 1 :]
    tables[DATA][i][j] = new
    tables[DOUBLES][i][j] = float(new).hex()
    for name, rows in tables.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    return f"row {i}, column {tables[DATA][0][j]}: {old} -> {new}"


def _falsify_value(folder: Path, about: dict, rng: random.Random) -> str:
    """A value or its radius, in item.json and in values.csv, or an optimum's place or depth."""
    tables = about["values"]
    what = falsify_table(tables, rng)
    rows = [[q, *row] for q, t in tables.items() for row in zip(*t.values(), strict=True)]
    with (folder / VALUES).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [["quantity", "row", "column", "value", "radius"], *rows]
        )
    return what


def falsify_table(tables: dict, rng: random.Random) -> str:
    """A digit of a value or of its radius in one of some tables."""
    name = rng.choice(list(tables))
    k, field = rng.randrange(len(tables[name]["row"])), rng.choice(["value", "value", "radius"])
    old = tables[name][field][k]
    at = rng.choice([m.start() for m in re.finditer(r"\d", old)])
    new = old[:at] + rng.choice([d for d in "0123456789" if d != old[at]]) + old[at + 1 :]
    tables[name][field][k] = new
    return f"{name} {field} {k}: {old} -> {new}"
