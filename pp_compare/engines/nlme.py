"""nlme's lme(), called as its users call it: ``lme(y ~ x, data, list(g = ~ 1), method = "ML")``.

lme() has nested grouping factors. Crossed factors can be written as independent effects, one for
each level, of one group that holds all rows (Pinheiro and Bates 2000, section 4.2.2): the same
likelihood, with dense matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.engines._r import (
    Answer,
    Effects,
    REngine,
    Request,
    base_request,
    covariance,
    group_column,
    prediction,
    terms_of,
)
from pp_compare.engines.road import session
from pp_compare.errors import EngineError
from pp_compare.model.design import Block, Design

# EM does not look at the rounded value of the criterion, so it is not held to half the digits of
# the parameters as the optimiser after it is. Over the named cases with an interior optimum the
# random-effects covariance has 14.5 digits in the median, against 7.4 by default; 4.2 at worst,
# where EM converges slowly. A smaller rel.tol only makes nlminb() give up ("false convergence").
_TIGHT: Mapping[str, Any] = {"niterEM": 10_000.0, "msMaxIter": 500.0, "msMaxEval": 2_000.0}

SETTINGS: Mapping[str, Mapping[str, Any]] = {"optim": {"opt": "optim"}, "tight": _TIGHT}
"""Arguments of ``lmeControl()``."""

# A name with a dot is no alias, so no column of the data has it.
_WHOLE = "all.rows"


def make(setting: str | None) -> Engine:
    """Engine factory: the default, or one of `SETTINGS`."""
    return REngine(engine_id("nlme", setting), dialect(setting), session("nlme"))


def dialect(setting: str | None) -> Nlme:
    """The requests of one setting.

    Raises
    ------
    InputError
        For a setting that there is not.
    """
    return Nlme(setting_of("nlme", SETTINGS, setting, {}))


@dataclass(frozen=True)
class Nlme:
    """Requests to ``pp_fit_nlme``, and its names read back."""

    control: Mapping[str, Any]
    function: str = "pp_fit_nlme"

    @property
    def settings(self) -> Mapping[str, str]:
        """Arguments of ``lmeControl()``."""
        return {key: str(value) for key, value in self.control.items()}

    def unsupported(self, design: Design) -> str | None:
        """Why lme() cannot express the model; None where it can."""
        if chain(design) is not None:
            return None
        wide = [block.group for block in design.blocks if len(block.columns) > 1]
        if not wide:
            return None
        return (
            "lme() has nested grouping factors; crossed ones can be written as independent effects "
            f"of one group that holds all rows, but not beside correlated effects of '{wide[0]}'"
        )

    def request(self, design: Design) -> Request:
        """The random part is a list of grouping factors, outermost first, each with its blocks."""
        request = base_request(design)
        # lme() leaves an offset() of its formula out without a word: it is taken off here.
        request["data"][request["response"]] = np.ascontiguousarray(design.y)
        groups = chain(design)
        if groups is not None:
            _refuse_joined(design, groups)
            random = [_level(design, group) for group in groups]
        else:
            request["data"][_WHOLE] = np.ones(design.n_obs, dtype=np.int32)
            request["levels"][_WHOLE] = ["1"]
            blocks = [_identity(design, block) for block in design.blocks]
            random = [{"group": _WHOLE, "blocks": blocks}]
        return request | {"random": random, "control": self.control}

    def covariances(self, design: Design, answer: Answer) -> list[Effects]:
        """One matrix a grouping factor; of crossed factors, one variance a term."""
        if chain(design) is None:
            return _crossed_variances(design, answer["random"][0])
        return [covariance(design, term) for term in answer["random"]]

    def predictions(self, design: Design, answer: Answer) -> list[Effects]:
        """One table a grouping factor; of crossed factors, one a term."""
        if chain(design) is None:
            return _crossed_predictions(design, answer["blup"][0])
        levels = partial(_level_names, design)
        return [prediction(design, table, levels) for table in answer["blup"]]


def chain(design: Design) -> list[str] | None:
    """The grouping factors from the outermost inwards; None where they are not nested."""
    groups = sorted(design.group_levels, key=lambda group: len(design.group_levels[group]))
    nested = all(_nested(design, b, a) for a, b in pairwise(groups))
    return groups if nested else None


def _nested(design: Design, inner: str, outer: str) -> bool:
    """Whether each level of `inner` lies within one level of `outer`."""
    pairs = np.column_stack([design.group_codes[inner], design.group_codes[outer]])
    return len(np.unique(pairs, axis=0)) == len(design.group_levels[inner])


def _blocks(design: Design, group: str) -> list[Block]:
    return [block for block in design.blocks if block.group == group]


def _level(design: Design, group: str) -> Request:
    """A grouping factor with its blocks: pdLogChol, or pdDiag for effects that are all single."""
    blocks = _blocks(design, group)
    column = group_column(design, blocks[0])
    if len(blocks) > 1 and all(len(block.columns) == 1 for block in blocks):
        terms = [term for block in blocks for term in block.term.terms]
        intercept = any(block.term.intercept for block in blocks)
        return {"group": column, "blocks": [_block("pdDiag", intercept, terms_of(design, terms))]}
    return {
        "group": column,
        "blocks": [
            _block("pdLogChol", b.term.intercept, terms_of(design, b.term.terms)) for b in blocks
        ],
    }


def _identity(design: Design, block: Block) -> Request:
    """One effect a level, all of one variance: ``pdIdent(~ 0 + g)`` or ``pdIdent(~ 0 + g:x)``."""
    slope = [design.alias(name) for term in block.term.terms for name in term]
    return _block("pdIdent", False, [[group_column(design, block), *slope]])


def _block(kind: str, intercept: bool, terms: list[list[str]]) -> Request:
    return {"class": kind, "intercept": intercept, "terms": terms}


def _level_names(design: Design, group: str) -> dict[str, str]:
    """Our level by the name lme() gives it: the levels around it and its own, joined by "/"."""
    groups = chain(design) or []
    around = groups[: groups.index(group) + 1]
    first_rows = np.unique(design.group_codes[group], return_index=True)[1]
    return {
        "/".join(design.group_levels[g][design.group_codes[g][row]] for g in around): level
        for level, row in zip(design.group_levels[group], first_rows, strict=True)
    }


def _refuse_joined(design: Design, groups: list[str]) -> None:
    """Refuse levels that lme() would take for one: "a/b" in "c" is "b" in "a/c" once joined."""
    for group in groups:
        if len(_level_names(design, group)) < len(design.group_levels[group]):
            raise EngineError(
                f"lme() would take two levels of '{group}' for one, because it joins nested levels "
                "by '/' and the labels hold that sign; rename them"
            )


def _crossed_names(design: Design, block: Block) -> list[str]:
    """R's name of the effect of each level: ``gA``, or ``gA:x`` where the effect is a slope."""
    column = group_column(design, block)
    slope = "".join(f":{design.alias(name)}" for term in block.term.terms for name in term)
    return [f"{column}{level}{slope}" for level in block.levels]


def _crossed_variances(design: Design, term: Answer) -> list[Effects]:
    size = len(term["effects"])
    variance = dict(zip(term["effects"], np.diag(term["values"].reshape(size, size)), strict=True))
    return [
        Effects(b.group, b.labels, b.labels, variance[_crossed_names(design, b)[0]].reshape(1, 1))
        for b in design.blocks
    ]


def _crossed_predictions(design: Design, table: Answer) -> list[Effects]:
    value = dict(zip(table["columns"], table["values"], strict=True))
    return [
        Effects(
            b.group, b.levels, b.labels, np.array([[value[n]] for n in _crossed_names(design, b)])
        )
        for b in design.blocks
    ]
