"""Which differences of a generalised model the registry knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pp_compare.identities.glmm_modes import criterion_at_modes
from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation, Fact, facts_of, find
from pp_compare.verdict.digits import excess
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.versions import package_version

Failure = TypeVar("Failure", Comparison, IdentityCheck)


@dataclass(frozen=True)
class Known:
    """Marks the failures of a model that the registry knows.

    Parameters
    ----------
    registry : sequence of Deviation
        Of generalised models.
    design : GlmmDesign
    case : str
        Its name, for the entries that are pinned to it.
    """

    registry: Sequence[Deviation]
    design: GlmmDesign
    case: str

    def marked(
        self,
        fit: Fit,
        judgement: Judgement,
        lines: Sequence[Comparison],
        checks: Sequence[IdentityCheck],
    ) -> tuple[Judgement, tuple[Comparison, ...], tuple[IdentityCheck, ...]]:
        """The judgement of a fit and its evidence, with the entries that know what fails."""
        facts = {**data_facts(self.design), **fit_facts(self.design, fit, lines)}

        def entry(quantity: str, cause: str | None, size: float) -> Deviation | None:
            version = package_version(fit)
            told = {**facts, "excess": size}
            return find(self.registry, fit.engine, version, quantity, cause, told)

        found = tuple(
            _known(line, entry(line.quantity, line.cause, excess(line.error, line.tolerance)))
            if line.verdict == "fail"
            else line
            for line in lines
        )
        # What an identity shows is what the judgement has found: it has no cause of its own.
        checked = tuple(
            _known(
                check,
                entry(
                    f"identity:{check.identity}",
                    judgement.cause,
                    excess(check.error, check.tolerance),
                ),
            )
            if check.verdict == "fail"
            else check
            for check in checks
        )
        ids = dict.fromkeys(line.deviation for line in found if line.deviation)
        news = any(line.verdict == "fail" for line in found)
        return replace(judgement, deviations=tuple(ids), news=news), found, checked

    def stale(
        self,
        fits: Iterable[Fit],
        lines: Iterable[Comparison],
        checks: Iterable[IdentityCheck],
    ) -> tuple[str, ...]:
        """Entries that this case is an example of, and that do not show in it."""
        shown = {line.deviation for line in lines} | {check.deviation for check in checks}
        fits = list(fits)
        return tuple(
            entry.id
            for entry in self._pinned()
            if any(entry.must_show(fit.engine, package_version(fit)) for fit in fits)
            and entry.id not in shown
        )

    def _pinned(self) -> Iterator[Deviation]:
        for entry in self.registry:
            if self.case in {example.case for example in entry.examples}:
                yield entry


def _known(failure: Failure, entry: Deviation | None) -> Failure:
    return replace(failure, verdict="known", deviation=entry.id) if entry else failure


def data_facts(design: GlmmDesign) -> dict[str, Fact]:
    """What the registry may ask of the data.

    Returns
    -------
    dict
        ``family``; ``rows``, ``groups`` and ``random_effects`` as of linear models; ``largest_x``:
        the largest entry of the model matrix, by size.
    """
    inner = design.design
    return {
        "family": design.family,
        "rows": float(inner.n_obs),
        "groups": float(max(len(levels) for levels in inner.group_levels.values())),
        "largest_x": float(np.abs(inner.X).max(initial=0.0)),
        "random_effects": float(sum(len(block.columns) for block in inner.blocks)),
    }


def fit_facts(design: GlmmDesign, fit: Fit, lines: Iterable[Comparison]) -> dict[str, Fact]:
    """What it may ask of an engine's own answer; nan meets no condition.

    Returns
    -------
    dict
        ``definition``: id of the criterion that it names. ``above``: its deviance above the
        optimum. ``misevaluated``: how far its log-likelihood is from its criterion at its own
        estimates. ``modes_share``: the share of that which is there too where the criterion is
        worked out about its own conditional modes, so that its inner iteration is to blame; where
        there is next to none of it, its modes are good, and what it makes of them is not.
        ``zero_se``: whether all its standard errors are 0. `facts_of` has the others.
    """
    named = {line.quantity: line for line in lines if line.quantity in ("criterion", "loglik")}
    facts = {**facts_of(fit), "definition": fit.definition, "zero_se": _zero_se(fit)}
    if "criterion" in named:
        facts["above"] = named["criterion"].candidate_value - named["criterion"].reference_value
    if "loglik" in named:
        line = named["loglik"]
        facts["misevaluated"] = line.error
        off = criterion_at_modes(design, fit) - line.reference_value
        facts["modes_share"] = abs(off) / line.error if line.error else math.nan
    return facts


def _zero_se(fit: Fit) -> bool:
    se = fit.quantities.get("beta_se")
    return se is not None and not bool(np.any(se.values))
