"""Draw what engines get of the reference set, and tell it in docs/reference-set.md.

``python docs/images/reference_digits.py``, after ``pp-compare reference reference``.
"""

import csv
import re
from pathlib import Path

import numpy as np

from pp_compare.report.digits_map import NO_ANSWER, digits_map
from pp_compare.report.svg import standalone_svg
from pp_compare.resources import write_text

HERE = Path(__file__).parent
ENGINES = HERE.parents[1] / "reference" / "engines"
PAGE = HERE.parent / "reference-set.md"
PANELS = {
    "loglik": "log-likelihood",
    "beta": "fixed effects",
    "sigma": "residual standard deviation",
    "random_cov": "variances and covariances of the random effects",
}
FAR = 0.01
"""Deviance above the least beyond which an engine is not at the optimum."""
Rows = dict[str, dict[str, str]]


def read() -> dict[str, Rows]:
    """The tables of all engines, by item."""
    found = {}
    for path in sorted(ENGINES.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem] = {row["item"]: row for row in csv.DictReader(file)}
    return found


def digits(row: dict[str, str] | None, quantity: str) -> float:
    """A cell of the map."""
    if row is None or row["status"] == "unsupported":
        return np.nan
    if row["status"] == "error":
        return NO_ANSWER
    return float(row[quantity]) if row[quantity] != "-" else np.nan


def panels(tables: dict[str, Rows]) -> dict[str, np.ndarray]:
    """Digits by quantity, (engines, items), the items that are hardest for all to the left."""
    items = sorted({item for rows in tables.values() for item in rows})
    found = {
        title: np.array(
            [[digits(rows.get(item), quantity) for item in items] for rows in tables.values()]
        )
        for quantity, title in PANELS.items()
    }
    everything = np.concatenate(list(found.values()))
    counted = np.where(np.isnan(everything), 0.0, everything).sum(axis=0)
    order = np.argsort(counted / np.maximum((~np.isnan(everything)).sum(axis=0), 1), kind="stable")
    return {title: values[:, order] for title, values in found.items()}


def table(tables: dict[str, Rows]) -> str:
    """One line an engine: how many items, failures and far stops; median and fewest digits."""
    lines = [
        "| engine | items | no answer | not at the optimum | " + " | ".join(PANELS.values()) + " |"
    ]
    lines.append("|---|---:|---:|---:|" + "---:|" * len(PANELS))
    for engine, rows in tables.items():
        asked = [row for row in rows.values() if row["status"] != "unsupported"]
        failed = sum(row["status"] == "error" for row in asked)
        far = sum(row["status"] == "ok" and not _is_near(row) for row in asked)
        cells = [_median(asked, quantity) for quantity in PANELS]
        lines.append(f"| {engine} | {len(asked)} | {failed} | {far} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _is_near(row: dict[str, str]) -> bool:
    above = row["deviance_above"]
    return above != "-" and abs(float(above)) <= FAR


def _median(rows: list[dict[str, str]], quantity: str) -> str:
    values = [float(row[quantity]) for row in rows if row[quantity] != "-"]
    return f"{np.median(values):.1f} ({min(values):.1f})"


def main() -> None:
    """Write the figure and the table."""
    tables = read()
    svg = digits_map(panels(tables), list(tables), "digits")
    write_text(HERE / "reference-digits.svg", standalone_svg(svg))
    page = PAGE.read_text(encoding="utf-8")
    marked = r"(<!-- table -->\n).*?(\n<!-- /table -->)"
    write_text(PAGE, re.sub(marked, rf"\1{table(tables)}\2", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
