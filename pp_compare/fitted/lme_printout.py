"""The printout of nlme's ``summary(lme(...))``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pp_compare.errors import InputError
from pp_compare.fitted.numbers import shown_number
from pp_compare.fitted.printed import Printed, Printout
from pp_compare.fitted.r_tables import (
    NUMBER,
    correlations_of,
    count,
    fit_statistics,
    fixed_effects,
    following,
    found,
    refuse_incomplete,
    residuals,
    section,
)
from pp_compare.model import Method


def read_lme(lines: Sequence[str]) -> Printout:
    """Numbers of lme's summary, line by line.

    Raises
    ------
    InputError
        With a row that cannot be read.
    """
    method: Method = "REML" if found(lines, r"fit by REML") else "ML"
    fixed = list(fixed_effects(lines, "Fixed effects:"))
    labels = [each.labels[0] for each in fixed if each.kind == "beta"]
    random, bars = _lme_random(lines)
    numbers = [
        *fit_statistics(lines),
        *random,
        *fixed,
        *correlations_of(lines, "Correlation:", labels),
        *residuals(lines, "Standardized Within-Group Residuals:"),
        *_lme_counts(lines),
    ]
    refuse_incomplete(numbers, "lme")
    text = following(lines, "Fixed effects:", ("Value",))
    fixed_formula = (text or "").strip()
    formula = " + ".join([fixed_formula, *bars]) if "~" in fixed_formula and bars else None
    return Printout("nlme", method, formula, tuple(numbers))


def _lme_random(lines: Sequence[str]) -> tuple[list[Printed], list[str]]:
    """The numbers, and the terms in lme4's grammar, outermost first."""
    start = next((i for i, line in enumerate(lines) if line.startswith("Random effects:")), None)
    end = next((i for i, line in enumerate(lines) if line.startswith("Fixed effects:")), len(lines))
    printed, bars, outer = list[Printed](), list[str](), list[str]()
    block: list[str] = []
    for line in [*lines[(start or 0) + 1 : end], " Formula:"]:
        if line.strip().startswith("Formula:") and block:
            numbers, bar, outer = _lme_block(block, outer)
            printed += numbers
            bars.append(bar)
            block = []
        if line.strip():
            block.append(line)
    return printed, bars


def _lme_block(block: Sequence[str], outer: Sequence[str]) -> tuple[list[Printed], str, list[str]]:
    match = re.match(r"\s*Formula:\s*~\s*(.*?)\s*\|\s*(.+)$", block[0])
    if match is None:
        raise InputError(f"a random term of lme cannot be read: '{block[0].strip()}'")
    effects, group = match.groups()
    structure = " ".join(line for line in block if line.strip().startswith("Structure:"))
    inner = [group.partition("%in%")[0].strip()] if "%in%" in group else [group.strip()]
    groups = [*outer, *inner]
    mark = "||" if "Diagonal" in structure else "|"
    body = [line for line in block[1:] if not line.strip().startswith("Structure:")]
    numbers = list(_lme_column(body, group) if "Corr" in body[0] else _lme_line(body, group))
    return numbers, f"({effects} {mark} {':'.join(groups)})", groups


def _lme_line(body: Sequence[str], group: str) -> Iterator[Printed]:
    """Effects side by side over ``StdDev:``."""
    names: list[str] = []
    for line in body:
        if line.strip().startswith("StdDev:"):
            for name, text in zip(names, line.split()[1:], strict=True):
                yield from _lme_sd(group, name, text)
        else:
            names = line.split()


def _lme_column(body: Sequence[str], group: str) -> Iterator[Printed]:
    """Effects below each other, with their correlations."""
    names: list[str] = []
    for line in body[1:]:
        match = re.match(rf"(.*?)\s+((?:{NUMBER}).*)$", line)
        if match is None:
            raise InputError(f"a row of lme's random effects cannot be read: '{line}'")
        name, numbers = (
            match.group(1).strip(),
            re.findall(rf"(?<!\S)(?:{NUMBER})(?!\S)", match.group(2)),
        )
        yield from _lme_sd(group, name, numbers[0])
        for other, text in zip(names, numbers[1:], strict=False):
            place = f"correlation of {group} {name} and {other}"
            yield Printed("random_corr", (group, name, other), shown_number(text), place)
        names.append(name)


def _lme_sd(group: str, name: str, text: str) -> Iterator[Printed]:
    if name == "Residual":
        yield Printed("sigma", (), shown_number(text), "residual StdDev")
    else:
        yield Printed("random_sd", (group, name), shown_number(text), f"StdDev of {group} {name}")


def _lme_counts(lines: Sequence[str]) -> Iterator[Printed]:
    rows = found(lines, r"Number of Observations:\s*(\d+)")
    if rows:
        yield Printed("n_obs", (), count(rows.group(1)), "Number of Observations")
    one = found(lines, r"Number of Groups:\s*(\d+)")
    if one:
        yield Printed("n_groups", (), count(one.group(1)), "Number of Groups")
        return
    table = section(lines, "Number of Groups:")
    if len(table) >= 2:
        names = re.split(r"\s{2,}|(?<=\S) (?=\S+ %in%)", table[0].strip())
        counts = table[1].split()
        if len(names) == len(counts):
            for name, text in zip(names, counts, strict=True):
                yield Printed("n_groups", (name,), count(text), f"Number of Groups {name}")
