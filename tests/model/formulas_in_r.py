"""What R makes of formulas, live or as recorded, and data for formulas that bring none.

python -m tests.model.formulas_in_r     # records tests/model/*.json again, with R
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.model import Dataset
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.matrices import design_matrix
from pp_compare.model.variables import complete_rows, variable_names

HERE = Path(__file__).parent
ROWS = 240
ORDERED = "ordered_"
"""Columns whose name begins so are ordered factors."""

_NAME = re.compile(r"`([^`]+)`|(?<![\w.\"'])([^\W\d_][\w.]*|\.[A-Za-z][\w.]*)(?!\s*[(\w.]|::)")
_INSIDE = r"\([^()]*(?:\([^()]*\)[^()]*)*\)"
_NUMERIC = re.compile(
    r"(?:log\w*|exp\w*|floor|ceiling|trunc|sign|plogis|tan|ifelse|sqrt|I|poly|ns|bs|scale|center|standardize|abs|cos|sin|mean|as\.numeric|np\.\w+"
    rf"|offset|as\.integer|round|pmin|pmax|cut){_INSIDE}"
)
_CODES = re.compile(rf"\b(?:as\.factor|factor|C|as\.ordered|interaction){_INSIDE}")
_LEVEL = re.compile(r"dummy\(\s*(\w+)\s*,\s*[\"'](\w+)[\"']")
_GROUPS = re.compile(r"\|([^()|]*(?:factor\([^()]*\))?[^()|]*)(?:\)|$)")
_WORDS = {"TRUE", "FALSE", "True", "False", "T", "F", "raw", "degree", "df", "ref", "levels"}
_WORDS |= {"reference", "knots", "base", "Sum", "Treatment", "Helmert", "Poly", "intercept"}
_WORDS |= {"include_intercept", "Boundary.knots", "digits", "labels", "in"}


def lines(name: str) -> list[str]:
    """The formulas of a list; a line that begins with # says something about them."""
    text = (HERE / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def names(formula: str) -> list[str]:
    """The words that stand for columns."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", formula)
    found = dict.fromkeys(a or b for a, b in _NAME.findall(bare))
    return [name for name in found if name not in _WORDS and not name.startswith("contr.")]


def data_for(formula: str) -> pd.DataFrame:
    """Data in which every word is a column: groups and every third predictor of text."""
    numeric = set(names(formula.partition("~")[0] + " ~ " + " + ".join(_NUMERIC.findall(formula))))
    codes = set(names(" + ".join(_CODES.findall(formula))))
    groups = {name for part in _GROUPS.findall(formula) for name in names(part)}
    levels = dict(_LEVEL.findall(formula))
    return pd.DataFrame(
        {
            name: _column(name, name in numeric, name in codes, name in groups, levels.get(name))
            for name in names(formula)
        }
    )


def _column(name: str, numeric: bool, codes: bool, group: bool, level: str | None) -> list[Any]:
    draw = random.Random(name)  # the same numbers in every version of Python
    if level is not None:
        return [draw.choice([level, "other", "third"]) for _ in range(ROWS)]
    always = name.startswith(("f_", ORDERED))
    text = always or (not codes and draw.random() < 1 / 3)
    if always or (not numeric and (group or text)):
        levels = "abcd" if group or name.startswith("f_4") else "abc"
        return [draw.choice(levels) for _ in range(ROWS)]
    if codes or group:
        return [draw.randint(1, 4) for _ in range(ROWS)]
    return [round(draw.uniform(0.5, 3), 6) for _ in range(ROWS)]


def as_r_reads(frame: pd.DataFrame) -> pd.DataFrame:
    """The same data with their ordered factors."""
    order = pd.CategoricalDtype(list("abc"), ordered=True)
    return frame.astype({name: order for name in frame if str(name).startswith(ORDERED)})


def in_r(formulas: Sequence[str]) -> list[dict[str, Any]]:
    """R's answers, live."""
    with TemporaryDirectory() as folder:
        Path(folder, "formulas.txt").write_text("\n".join(formulas) + "\n", encoding="utf-8")
        for i, formula in enumerate(formulas):
            frame = data_for(formula)
            frame.to_csv(Path(folder, f"{i + 1}.csv"), index=False)
            ordered = [name for name in frame if str(name).startswith(ORDERED)]
            if ordered:
                Path(folder, f"{i + 1}.ordered").write_text("\n".join(ordered) + "\n")
        command = ["Rscript", "--no-init-file", str(HERE / "r_matrices.R"), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(X: np.ndarray) -> np.ndarray:
    """Each column in one number: its sum over the rows, each times sin(row)."""
    return np.asarray((X * np.sin(np.arange(1, len(X) + 1))[:, None]).sum(axis=0))


def ours(formula: str) -> dict[str, Any]:
    """The same of our design, columns without a label of R's."""
    frame = as_r_reads(data_for(formula))
    if "|" not in formula:  # the model matrix alone, with a random term that changes nothing
        frame["some group"] = list("ab") * (ROWS // 2)
        dataset = Dataset("data", frame)
        left, _, right = formula.partition("~")
        typed = f"{left} ~ (1|`some group`) + {right}"
        spec = parse_formula(typed, columns=tuple(frame.columns[:-1]))
        rows = complete_rows(dataset, spec, "raise")
        values = {name: rows.value(name) for name in variable_names(spec)}
        X, columns = design_matrix(spec.intercept, spec.fixed, values, rows.n)
        return {"X": told(X), "labels": [column.label for column in columns]}
    made = build_design(Dataset("data", frame), parse_formula(formula), rank="drop")
    blocks = made.blocks
    return {
        "X": told(made.X),
        "labels": list(made.labels),
        "Z": [told(block.Z) for block in blocks],
        "groups": [_partition(block.codes) for block in blocks],
        "levels": [len(block.levels) for block in blocks],
    }


def _partition(codes: np.ndarray) -> float:
    first = {code: k + 1 for k, code in enumerate(dict.fromkeys(codes.tolist()))}
    numbers = np.array([first[code] for code in codes.tolist()], dtype=float)
    return float(told(numbers[:, None])[0])


def differences(formula: str, r: Mapping[str, Any]) -> list[str]:
    """Where our matrices are not R's; empty where they are.

    Columns are compared in R's order. Random terms are compared as a whole, each with the rest:
    lme4 sorts them by their numbers of levels.
    """
    found, own = [], ours(formula)
    if not _same(own["X"], np.array(r["X"])):
        found.append(f"X: ours {own['labels']}, R's {r['names']}")
    if "Z" in r:
        theirs = zip(r["groups"], r["levels"], r["Z"], strict=True)
        wanted = sorted(_key(g[0], k[0], np.ravel(z)) for g, k, z in theirs)
        mine = sorted(map(_key, own["groups"], own["levels"], own["Z"]))
        if len(wanted) != len(mine) or not all(map(_same, mine, wanted)):
            found.append(f"Z: ours {mine}, R's {wanted}")
    return found


def _key(group: float, levels: int, Z: np.ndarray) -> tuple[float, ...]:
    return (float(levels), round(group, 6), *sorted(float(z) for z in Z))


def _same(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> bool:
    a, b = np.array(one), np.array(other)
    # Sums of 240 numbers below 1e3, each good to a few eps; polynomials lose two digits more.
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=1e-9))


def record() -> None:
    """Ask R again and write down what it says."""
    for name in ("lmer_formulas", "model_matrices"):
        formulas = lines(f"{name}.txt")
        answers = dict(zip(formulas, in_r(formulas), strict=True))
        text = ",\n".join(f"{json.dumps(f)}: {json.dumps(a)}" for f, a in answers.items())
        (HERE / f"{name}.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
