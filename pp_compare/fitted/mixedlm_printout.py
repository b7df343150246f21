"""The printout of statsmodels' ``MixedLMResults.summary()``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pp_compare.errors import InputError
from pp_compare.fitted.numbers import shown_number
from pp_compare.fitted.printed import Kind, Printed, Printout
from pp_compare.fitted.r_tables import (
    NUMBER,
    count,
    found,
    refuse_incomplete,
    row_of,
)
from pp_compare.model import Method


def read_mixedlm(lines: Sequence[str]) -> Printout:
    """Numbers of MixedLM's summary, line by line.

    Raises
    ------
    InputError
        With a row that cannot be read.
    """
    method: Method = "REML" if found(lines, r"Method:\s+REML") else "ML"
    numbers = [*_mixedlm_head(lines), *_mixedlm_table(lines)]
    refuse_incomplete(numbers, "MixedLM")
    said = found(lines, r"Converged:\s+(Yes|No)")
    unchecked = ("Std.Err. of variances",)
    converged = None if said is None else said.group(1) == "Yes"
    return Printout("statsmodels", method, None, tuple(numbers), unchecked, converged)


def _mixedlm_head(lines: Sequence[str]) -> Iterator[Printed]:
    wanted: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
        ("Scale", "sigma2", ()),
        ("Log-Likelihood", "loglik", ()),
        ("No. Observations", "n_obs", ()),
        ("No. Groups", "n_groups", ()),
        ("Min. group size", "group_size", ("min",)),
        ("Max. group size", "group_size", ("max",)),
        ("Mean group size", "group_size", ("mean",)),
    )
    for name, kind, labels in wanted:
        match = found(lines, rf"{re.escape(name)}:\s+({NUMBER})")
        if match is not None:
            exact = kind in {"n_obs", "n_groups"} or labels[:1] in {("min",), ("max",)}
            read = count if exact else shown_number
            yield Printed(kind, labels, read(match.group(1)), name)


_MIXEDLM_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("Coef.", "beta"),
    ("Std.Err.", "beta_se"),
    ("z", "statistic"),
    ("P>|z|", "p_z"),
    ("lower", "lower"),
    ("upper", "upper"),
)


def _mixedlm_table(lines: Sequence[str]) -> Iterator[Printed]:
    start = next((i for i, line in enumerate(lines) if "P>|z|" in line), None)
    if start is None:
        return
    level = re.search(r"\[(0\.\d+)", lines[start])
    for line in lines[start + 1 :]:
        if line.startswith("==="):
            break
        if not line or set(line) <= {"-"}:
            continue
        whole = row_of(line, 6)
        if whole is not None:
            for (name, kind), text in zip(_MIXEDLM_COLUMNS, whole[1], strict=True):
                labels = (
                    (whole[0], level.group(1))
                    if level and name in {"lower", "upper"}
                    else (whole[0],)
                )
                yield Printed(kind, labels, shown_number(text), f"{name} of {whole[0]}")
            continue
        yield from _mixedlm_variance(line)


def _mixedlm_variance(line: str) -> Iterator[Printed]:
    """``g Var  9.447  6.158``; the standard error may be missing."""
    match = re.match(rf"(.+?) (Var|Cov)\s+({NUMBER})(?:\s+({NUMBER}))?$", line)
    if match is None:
        raise InputError(f"a row of MixedLM's table cannot be read: '{line}'")
    name, kind, text = match.group(1), match.group(2), match.group(3)
    if kind == "Var":
        yield Printed("random_variance", ("", name), shown_number(text), f"{name} Var")
    else:
        one, _, other = name.partition(" x ")
        yield Printed("random_cov", ("", one, other), shown_number(text), f"{name} Cov")
