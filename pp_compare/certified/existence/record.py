"""`Existence`: whether a model has an optimum on its data, and what that optimum fixes.

A criterion has a lowest value where the response lies outside the span of [X Z]: the residual sum
of squares then stays away from 0 while the determinant grows with the variances. Where it lies
inside and [X Z] (under ML, Z) has fewer dimensions than there are rows, the deviance falls without
bound as sigma goes to 0. The optimum is fixed where the variances are by the rows' covariance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.existence.direction import fitted_in_one_direction
from pp_compare.certified.existence.flat import Flat, flat_directions
from pp_compare.certified.existence.limits import limits_of
from pp_compare.certified.existence.span import Span, UnprovedError, span_of
from pp_compare.certified.intercept.degenerate import FLAT, Degeneracy, degeneracy
from pp_compare.certified.intercept.saturated import saturated_points
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.model import Quantity
from pp_compare.model.design import Block, Design

Kind = Literal["unique", "not identified", "no optimum", "undecided"]


@dataclass(frozen=True, eq=False)
class Existence:
    """Whether there is an optimum, and what it fixes.

    Attributes
    ----------
    kind : {"unique", "not identified", "no optimum", "undecided"}
        ``unique``: the criterion has a lowest value and the variances there are fixed by it (two
        optima may still be equally deep). ``not identified``: it has one, and several variances
        reach it. ``no optimum``: it falls without bound, or its lowest value lies at sigma = 0.
        ``undecided``: [X Z] fits any response, and whether the criterion falls without bound was
        not decided by algebra.
    sentence : str
        Why, from the data; empty for ``unique``.
    identified : tuple of str
        Names of the quantities that may be compared, ``random_cov[g]`` with their group.
    limits : mapping of str to Quantity
        Where there is no optimum: what the estimates tend to, where that is known; float64.
    """

    kind: Kind
    sentence: str
    identified: tuple[str, ...]
    limits: Mapping[str, Quantity] = field(default_factory=dict)

    def not_given(self, names: Iterable[str]) -> dict[str, str]:
        """Why there is no certified value, by kind, of those of `names` that are not identified."""
        missing = [name for name in names if name not in self.identified]
        return {name.partition("[")[0]: self.sentence for name in missing}


def existence_of(design: Design) -> Existence:
    """Decide whether the model of a design has an optimum, exactly."""
    if design.spec.is_random_intercept and design.weights is None:
        codes = design.blocks[0].codes
        return intercept_existence(
            design, InterceptStatistics.from_arrays(design.y, design.X, codes)
        )
    blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
    reml = design.spec.method == "REML"
    undecided = ""
    try:
        falls = _falls(design, blocks, reml)
    except UnprovedError:
        falls, undecided = None, "whether they fit the response exactly could not be decided"
    if falls:
        sentence = f"{falls}: sigma tends to 0, the likelihood has no maximum"
        alone = len(blocks) == 1 and _spanned_within(design, design.blocks[0])
        return Existence("no optimum", sentence, (), limits_of(design) if alone else {})
    flat = flat_directions(design.X, blocks, reml=reml, weights=design.weights)
    if flat.dimension:
        return Existence("not identified", _why_flat(design, flat), _identified(design, flat))
    everything = _identified(design, Flat())
    if falls is None:
        reason = undecided or (
            "the fixed and random effects together fit any response, so sigma may tend to 0"
        )
        return Existence("undecided", reason, everything)
    return Existence("unique", "", everything)


def _falls(design: Design, blocks: list[RandomBlock], reml: bool) -> str | None:
    """Why the criterion falls without bound; empty where it does not, None where that is open."""
    y, X = design.y, design.X
    if not span_of(y, X, blocks).holds_response:
        return ""
    for count in range(len(blocks) + 1):  # the fewest terms say it best
        for chosen in combinations(range(len(blocks)), count):
            part = span_of(y, X, [blocks[b] for b in chosen])
            if part.holds_response and _leaves_room(part, len(y), reml):
                return _why_exact(design, tuple(design.blocks[b] for b in chosen))
    for block, random in zip(design.blocks, blocks, strict=True):
        if fitted_in_one_direction(y, X, random):
            return f"one combination of the columns of {_title(block)} fits the response exactly"
    return None


def _leaves_room(span: Span, n: int, reml: bool) -> bool:
    """Whether some combination of rows is left to sigma alone."""
    return (span.rank_both if reml else span.rank_random) < n


def _why_exact(design: Design, blocks: tuple[Block, ...]) -> str:
    """What fits the response exactly, in words of the data."""
    if not blocks:
        return "the fixed effects fit the response exactly"
    if len(blocks) == 1 and _spanned_within(design, blocks[0]):
        (block,) = blocks
        if block.labels == ("Intercept",):
            return f"the response is constant within each group of '{block.group}'"
        if _is_line(block):
            return f"each group of '{block.group}' lies on a line of its own"
        return f"each group of '{block.group}' is fitted exactly by random effects of its own"
    terms = " and ".join(_title(block) for block in blocks)
    return f"the fixed effects and the random effects of {terms} together fit the response exactly"


def _is_line(block: Block) -> bool:
    """An intercept and one numeric column."""
    return block.Z.shape[1] == 2 and bool((block.Z[:, 0] == 1).all())


def _spanned_within(design: Design, block: Block) -> bool:
    """Whether the random effects of one term fit the response without the fixed ones."""
    alone = span_of(design.y, design.X[:, :0], [RandomBlock(block.codes, block.Z)])
    return alone.holds_response


def _title(block: Block) -> str:
    return f"({' + '.join(block.labels)} | {block.group})"


def _why_flat(design: Design, flat: Flat) -> str:
    """Which variances cannot be told apart, and why."""
    terms = [design.blocks[b] for b in flat.terms]
    names = " and ".join(_title(block) for block in terms)
    one_row = [b for b in terms if _one_row_a_cell(b)]
    if flat.sigma and len(terms) == 1 and one_row:
        return (
            f"each group of '{terms[0].group}' has one row a cell: sigma and the variances cannot "
            "be told apart"
        )
    what = f"sigma and the variances of {names}" if flat.sigma else f"the variances of {names}"
    if flat.beta_cov:
        return f"what is left of the rows once X is fitted does not tell {what} apart"
    if len(terms) > 1 and not flat.sigma and _one_spans_all(design, terms):
        return f"the random effects of {names} span the same: their variances cannot be told apart"
    return f"different values of {what} give the rows the same covariance"


def _one_spans_all(design: Design, terms: list[Block]) -> bool:
    """Whether one of the terms spans what all of them span."""
    blocks = [RandomBlock(block.codes, block.Z) for block in terms]
    whole = span_of(design.y, design.X[:, :0], blocks).rank_random
    alone = [span_of(design.y, design.X[:, :0], [block]).rank_random for block in blocks]
    return whole in alone


def _one_row_a_cell(block: Block) -> bool:
    """Whether each row has one indicator, and no two rows of a group have the same."""
    Z = block.Z
    if not (((Z == 0) | (Z == 1)).all() and (Z.sum(axis=1) == 1).all()):
        return False
    cells = block.codes * Z.shape[1] + Z.argmax(axis=1)
    return len(np.unique(cells)) == len(cells)


def _identified(design: Design, flat: Flat) -> tuple[str, ...]:
    """Names of the quantities that the criterion fixes.

    The prediction y - sigma2 V^-1(y - X beta) needs sigma and what REML sees of V; the random
    effects D Z'V^-1(y - X beta) need the term's own covariance.
    """
    moved = {design.blocks[b].group for b in flat.terms}
    found = ["loglik"]
    found += [] if flat.beta else ["beta"]
    found += [] if flat.beta_cov else ["beta_cov", "beta_se"]
    found += [] if flat.sigma else ["sigma", "fitted"]
    for group in design.group_levels:
        found += [] if group in moved else [f"random_cov[{group}]", f"blup[{group}]"]
        found += [] if flat.sigma else [f"cluster_mean[{group}]"]
    return tuple(found)


def intercept_existence(design: Design, statistics: InterceptStatistics) -> Existence:
    """Decide the same for a single random intercept, from its sufficient statistics."""
    reml = design.spec.method == "REML"
    reason = degeneracy(statistics, reml=reml)
    if reason in FLAT:
        blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
        flat = flat_directions(design.X, blocks, reml=reml, weights=design.weights)
        return Existence("not identified", reason.value, _identified(design, flat))
    if reason is None or (
        reason is Degeneracy.SATURATED and saturated_points(statistics) is not None
    ):
        return Existence("unique", "", _identified(design, Flat()))
    return Existence("no optimum", reason.value, ())
