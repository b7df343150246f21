"""The tables that R prints, and what two summaries have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pp_compare.errors import InputError
from pp_compare.fitted.numbers import Number, shown_number
from pp_compare.fitted.printed import Kind, Printed

NUMBER = r"[<>]?\s?[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|NA"


def row_of(line: str, columns: int) -> tuple[str, list[str]] | None:
    """The label of a row and its last so many numbers; stars of significance are left out."""
    tail = rf"((?:\s+(?:{NUMBER})){{{columns}}})\s*[*.]{{0,3}}$"
    match = re.match(rf"(.*?\S)??{tail}", line)
    if match is None:
        return None
    cells = [cell.strip() for cell in re.findall(NUMBER, match.group(2))]
    return (match.group(1) or "").strip(), cells


def section(lines: Sequence[str], begins: str) -> list[str]:
    """The lines after the one that begins so, up to an empty one."""
    for i, line in enumerate(lines):
        if line.strip().startswith(begins):
            rest = list(lines[i + 1 :])
            return rest[: rest.index("")] if "" in rest else rest
    return []


def found(lines: Sequence[str], pattern: str) -> re.Match[str] | None:
    """The first match of a pattern in a line."""
    return next((m for m in (re.search(pattern, line) for line in lines) if m), None)


_COEFFICIENTS: dict[str, Kind] = {
    "Estimate": "beta",
    "Value": "beta",
    "Std. Error": "beta_se",
    "Std.Error": "beta_se",
    "t value": "statistic",
    "t-value": "statistic",
    "Pr(>|t|)": "p_t",
    "p-value": "p_t",
}
BELOW = ("---", "Signif", "optimizer", "fit warnings", "Model failed", "boundary", "unable")
"""What R may print right below the coefficients: the legend of stars, and what lmer said."""
_HEADINGS = re.compile(
    r"Estimate|Value|Std\. ?Error|df|DF|t[ -]value|p-value|Pr\(>\|t\|\)", re.IGNORECASE
)


def _coefficients(lines: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of R's table of coefficients, its blocks put side by side again."""
    rows: dict[str, dict[str, str]] = {}
    heads: list[str] = []
    for line in lines:
        found = _HEADINGS.findall(line)
        if found and not re.search(r"\d", _HEADINGS.sub("", line)):
            heads = found
            continue
        row = row_of(line, len(heads)) if heads else None
        if row is None:
            if heads and not line.startswith(BELOW) and re.search(r"\d", line):
                raise InputError(f"a row of the coefficients cannot be read: '{line}'")
            break
        rows.setdefault(row[0], {}).update(zip(heads, row[1], strict=True))
    yield from rows.items()


def fixed_effects(lines: Sequence[str], begins: str) -> Iterator[Printed]:
    """Numbers of the table of coefficients."""
    for label, cells in _coefficients(section(lines, begins)):
        df = cells.get("DF") or cells.get("df")
        for head, text in cells.items():
            kind = _COEFFICIENTS.get(head)
            if kind is None:
                continue
            labels = (label, df) if kind == "p_t" and df else (label,)
            number = _p_value(text) if kind == "p_t" else shown_number(text)
            yield Printed(kind, labels, number, f"{head} of {label}")


def _p_value(text: str) -> Number:
    """R rounds p-values to 4 decimals; a column of zeros shows as 0."""
    return shown_number("0.0000") if text == "0" else shown_number(text)


def correlations_of(lines: Sequence[str], begins: str, labels: Sequence[str]) -> Iterator[Printed]:
    """The lower triangle, by position: R shortens the labels; wide tables come in blocks."""
    first = width = row = 0
    for line in section(lines, begins):
        numbers = re.findall(rf"(?<=\s)(?:{NUMBER})(?=\s|$)", line)
        if not numbers:
            first, width, row = first + width, len(line.split()), first + width
            continue
        row += 1
        for k, text in enumerate(numbers[-min(row - first, width) :]):
            pair = (labels[row], labels[first + k])
            yield Printed(
                "beta_corr", pair, shown_number(text), f"correlation of {' and '.join(pair)}"
            )


def residuals(lines: Sequence[str], begins: str) -> Iterator[Printed]:
    """Quantiles of the scaled residuals, names above numbers."""
    rows = section(lines, begins)
    if len(rows) < 2:
        return
    for name, text in zip(rows[0].split(), rows[1].split(), strict=False):
        yield Printed("residual", (name,), shown_number(text), f"scaled residual {name}")


def fit_statistics(lines: Sequence[str]) -> Iterator[Printed]:
    """``AIC BIC logLik deviance df.resid``, of lmer under ML and of lme."""
    kinds: dict[str, Kind] = {
        "AIC": "aic",
        "BIC": "bic",
        "logLik": "loglik",
        "deviance": "criterion",
        "-2*log(L)": "criterion",
    }
    for i, line in enumerate(lines[:-1]):
        names = line.split()
        if names[:3] == ["AIC", "BIC", "logLik"]:
            for name, text in zip(names, lines[i + 1].split(), strict=False):
                if name in kinds:
                    yield Printed(kinds[name], (), shown_number(text), name)


def following(lines: Sequence[str], begins: str, ends: tuple[str, ...]) -> str | None:
    """What stands after a word, over the lines that R breaks it into."""
    for i, line in enumerate(lines):
        if line.strip().startswith(begins):
            parts = [line.strip().removeprefix(begins)]
            for more in lines[i + 1 :]:
                if not more.strip() or more.strip().startswith(ends):
                    break
                parts.append(more)
            return " ".join(part.strip() for part in parts).strip()
    return None


def count(text: str) -> Number:
    """A count is exact."""
    number = shown_number(text)
    return Number(number.value, 0.0, number.text)


def refuse_incomplete(numbers: Sequence[Printed], program: str) -> None:
    """Refuse a printout of which a whole table is missing."""
    kinds = {each.kind for each in numbers}
    if "beta" not in kinds or not kinds & {"sigma", "sigma2"}:
        missing = "fixed effects" if "beta" not in kinds else "random effects"
        raise InputError(f"the printout of {program} has no table of {missing} that can be read")
