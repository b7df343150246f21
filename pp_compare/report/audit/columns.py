"""Every number of a report as columns of ranks: small to send, and sorted in linear time.

A column is the sorted list of its distinct values and, for every row, the place of its value in
that list. The page sorts and filters by these places; a value is looked up when it is shown.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pp_compare.identities import IdentityCheck
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.outcome import ProbeCheck

TEXT = (
    "model", "check", "candidate", "reference", "quantity", "label", "verdict", "cause",
    "follows", "deviation",
)  # fmt: skip
NUMBERS = ("candidate value", "reference value", "error", "digits", "tolerance")
COLUMNS = (
    "verdict", "digits", "model", "candidate", "quantity", "label", "candidate value",
    "reference value", "error", "tolerance", "reference", "check", "cause", "follows", "deviation",
)  # fmt: skip
"""As the page shows them: what one looks for stands first, where a wide table keeps it in view."""
SEVERITY = ("fail", "known", "pass", "skip")
SHOWN_DIGITS = 12
"""Significant digits in the page: more than any engine has right; report.json has every bit."""

Row = dict[str, Any]


def packed(report: Report) -> str:
    """All rows as base64 of gzipped JSON: text in which nothing can be taken for HTML."""
    rows = [row for case in report.cases for row in _rows(case)]
    table = {name: _column(name, [row[name] for row in rows]) for name in COLUMNS}
    document = {"rows": len(rows), "text": TEXT, "columns": table}
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # mtime: the same report gives the same page.
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _rows(case: CaseReport) -> Iterator[Row]:
    for check in case.identities:
        yield {"model": case.title, **_identity(check)}
    for line in case.comparisons:
        yield {"model": case.title, **_comparison(line)}
    for asked in case.probes:
        yield _probe(asked) | {"model": case.title}


def _identity(check: IdentityCheck) -> Row:
    nothing = {"label": "", "cause": "", "follows": "", "digits": math.nan}
    return nothing | {
        "check": "identity",
        "candidate": check.engine,
        "reference": "algebra",
        "quantity": check.identity,
        "candidate value": math.nan,
        "reference value": math.nan,
        "error": _significant(check.error, 3),
        "tolerance": _significant(check.tolerance, 3),
        "verdict": check.verdict,
        "deviation": check.deviation or "",
    }


def _probe(check: ProbeCheck) -> Row:
    texts = dict.fromkeys(TEXT, "") | dict.fromkeys(NUMBERS, math.nan)
    return texts | {
        "check": "probe",
        "candidate": check.engine,
        "quantity": check.probe,
        "label": check.text,
        "verdict": check.verdict,
        "deviation": check.deviation,
    }


def _comparison(line: Comparison) -> Row:
    label = line.label if line.count <= 1 else f"{line.label} (worst of {line.count})"
    return {
        "check": line.kind,
        "candidate": line.candidate,
        "reference": line.reference,
        "quantity": line.quantity,
        "label": label,
        "candidate value": _significant(line.candidate_value, SHOWN_DIGITS),
        "reference value": _significant(line.reference_value, SHOWN_DIGITS),
        "error": _significant(line.error, 3),
        "digits": round(line.digits, 1),
        "tolerance": _significant(line.tolerance, 3),
        "verdict": line.verdict,
        "cause": line.cause or "",
        "follows": line.follows or "",
        "deviation": line.deviation or "",
    }


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _column(name: str, values: Sequence[Any]) -> dict[str, Any]:
    # NaN is not equal to itself and would never be found again; None is.
    keys = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    levels = _sorted(name, dict.fromkeys(keys))
    place = {level: i for i, level in enumerate(levels)}
    return {"levels": [_plain(level) for level in levels], "codes": [place[key] for key in keys]}


def _sorted(name: str, distinct: Iterable[Any]) -> list[Any]:
    if name == "model":
        return list(distinct)
    if name == "verdict":
        return sorted(distinct, key=SEVERITY.index)
    if name in NUMBERS:
        return sorted(distinct, key=lambda x: math.inf if x is None else x)
    return sorted(distinct)


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value
