"""The printout of lme4's ``summary(lmer(...))``."""

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


def read_lmer(lines: Sequence[str]) -> Printout:
    """Numbers of lmer's summary, line by line.

    Raises
    ------
    InputError
        With a row that cannot be read.
    """
    method: Method = "REML" if found(lines, r"fit by REML") else "ML"
    formula = following(lines, "Formula:", ("Data:", "REML", "Weights:", "Control:", "Subset:"))
    fixed = list(fixed_effects(lines, "Fixed effects:"))
    labels = [each.labels[0] for each in fixed if each.kind == "beta"]
    numbers = [
        *_criterion(lines),
        *fit_statistics(lines),
        *residuals(lines, "Scaled residuals:"),
        *_lmer_random(lines),
        *_lmer_counts(lines),
        *fixed,
        *correlations_of(lines, "Correlation of Fixed Effects", labels),
    ]
    refuse_incomplete(numbers, "lmer")
    unchecked = ("df (Satterthwaite)",) if found(lines, r"Std\. Error\s+df") else ()
    failed = found(lines, r"failed to converge|convergence code: [1-9-]")
    return Printout(
        "lme4",
        method,
        unwrapped(formula) if formula else None,
        tuple(_checked(numbers, unchecked)),
        unchecked,
        not failed,
    )


def _checked(found: Sequence[Printed], unchecked: Sequence[str]) -> Iterator[Printed]:
    """Without p-values whose degrees of freedom nothing here computes."""
    return (each for each in found if not (unchecked and each.kind == "p_t"))


def _criterion(lines: Sequence[str]) -> Iterator[Printed]:
    match = found(lines, rf"REML criterion at convergence:\s*({NUMBER})")
    if match:
        yield Printed("criterion", (), shown_number(match.group(1)), "REML criterion")


def _lmer_random(lines: Sequence[str]) -> Iterator[Printed]:
    rows = section(lines, "Random effects:")
    if not rows:
        return
    head = rows[0]
    at_name, at_variance = head.find("Name"), head.find("Variance")
    if at_name < 0 or at_variance < 0:
        raise InputError(
            f"the table of random effects has no heading 'Name' and 'Variance': '{head}'"
        )
    group, names = "", list[str]()
    for line in rows[1:]:
        if line.startswith("Number of obs"):
            break
        here = line[:at_name].strip()
        if here and here != group:
            group, names = here, []
        yield from _lmer_effect(group, line[at_name:at_variance].strip(), names, line[at_variance:])


def _lmer_effect(group: str, name: str, names: list[str], rest: str) -> Iterator[Printed]:
    numbers = rest.split()
    if len(numbers) < 2:
        raise InputError(f"a row of the random effects has no variance and Std.Dev.: '{rest}'")
    variance, sd, *correlations = map(shown_number, numbers)
    if correlations and len(correlations) != len(names):
        raise InputError(f"a row of the random effects has not {len(names)} correlations: '{rest}'")
    if group == "Residual":
        yield Printed("sigma2", (), variance, "residual variance")
        yield Printed("sigma", (), sd, "residual Std.Dev.")
        return
    yield Printed("random_variance", (group, name), variance, f"variance of {group} {name}")
    yield Printed("random_sd", (group, name), sd, f"Std.Dev. of {group} {name}")
    for other, number in zip(names if correlations else [], correlations, strict=True):
        place = f"correlation of {group} {name} and {other}"
        yield Printed("random_corr", (group, name, other), number, place)
    names.append(name)


def _lmer_counts(lines: Sequence[str]) -> Iterator[Printed]:
    text = following(lines, "Number of obs:", ("Fixed effects:",))
    if text is None:
        return
    rows, _, groups = text.partition(", groups:")
    yield Printed("n_obs", (), count(rows), "number of obs")
    for part in groups.split(";"):
        name, _, number = part.rpartition(",")
        yield Printed(
            "n_groups", (name.strip(),), count(number), f"number of groups {name.strip()}"
        )


_SUM_OF_BARS = re.compile(r"\((\([^()]*\|[^()]*\)(?:\s*\+\s*\([^()]*\|[^()]*\))+)\)")


def unwrapped(formula: str) -> str:
    """lme4 prints ``(x || g)`` as ``((1 | g) + (0 + x | g))``."""
    return _SUM_OF_BARS.sub(r"\1", formula)
