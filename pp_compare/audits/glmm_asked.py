"""Which generalised mixed models the command line asks for: of a user's file, or named ones."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from pp_compare.audits.selection import GlmmSelection
from pp_compare.data.files import read_dataset
from pp_compare.data.glmm_corpus import GlmmCase, glmm_case, glmm_cases
from pp_compare.data.types import ReadAs
from pp_compare.errors import InputError, quoted
from pp_compare.model.design import RankPolicy
from pp_compare.model.glmm import parse_family
from pp_compare.model.variables import NaPolicy


def are_generalised(names: list[str] | None) -> bool:
    """Whether the named cases are generalised ones; some of each are refused later, by name."""
    known = {case.name for case in glmm_cases()}
    return bool(names) and all(name in known for name in names or ())


def generalised(
    names: list[str] | None,
    data: Path | None,
    formula: str | None,
    family: str | None,
    weights: str | None,
    told: ReadAs,
    tags: list[str] | None,
    na: NaPolicy,
    rank: str,
) -> list[GlmmSelection]:
    """The models that the options name.

    Raises
    ------
    InputError
        For options that contradict each other or leave nothing, and for what cannot be read.
    """
    of = parse_family(family) if family else None
    if (data is None) != (formula is None):
        raise InputError("--data and --formula belong together")
    if data is not None and formula is not None:
        if names:
            raise InputError("give either named cases or --data, not both")
        if of is None:
            raise InputError("--data of a generalised model needs its --family")
        dataset = read_dataset(data, told)
        return [GlmmSelection(dataset.name, dataset, formula, of, weights, na=na, rank=_rank(rank))]
    chosen = [glmm_case(name) for name in names] if names else list(glmm_cases())
    found = [
        case
        for case in chosen
        if (of is None or case.family == of) and (not tags or set(tags) & case.tags)
    ]
    if not found:
        raise InputError("no generalised case is left to audit; see pp-compare cases")
    return [selection_of(case) for case in found]


def selection_of(case: GlmmCase) -> GlmmSelection:
    """A named case, to be audited."""
    return GlmmSelection(case.name, case.dataset, case.formula, case.family, why=case.why)


def _rank(rank: str) -> RankPolicy:
    if rank not in get_args(RankPolicy):
        raise InputError(f"--rank is {' or '.join(get_args(RankPolicy))}, not {quoted(rank)}")
    return cast(RankPolicy, rank)
