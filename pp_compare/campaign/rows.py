"""One row of a campaign: a data set, an engine, what it answered, what became of it.

A data set's rows are made in the process that fits, chunk by chunk: `Fitter` keeps the samples and
the certified optima of a chunk from one engine to the next.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from pp_compare.campaign.batch import fit_batch
from pp_compare.campaign.generate import Sample, generate
from pp_compare.campaign.judge import Judgement, Truth, judge_fit, truth_of
from pp_compare.campaign.plan import Plan
from pp_compare.engines import Engine
from pp_compare.model import Fit
from pp_compare.version import __version__

Row = dict[str, Any]
"""Plain values under the names of `pp_compare.campaign.store.SCHEMA`."""

CERTIFIED = "certified"
MOST_TEXT = 500
"""Characters of an engine's messages that a row keeps."""


def engines_of(plan: Plan) -> tuple[str, ...]:
    """The engines of a plan, the certified optimum before all others: it judges them."""
    return (CERTIFIED, *(engine for engine in plan.engines if engine != CERTIFIED))


class Fitter:
    """Fits and judges data sets of one plan, in this process.

    Parameters
    ----------
    plan : Plan
    make : callable
        Makes an engine from its id.
    """

    def __init__(self, plan: Plan, make: Callable[[str], Engine]) -> None:
        self.plan = plan
        self._engines = {name: make(name) for name in engines_of(plan) if name != CERTIFIED}
        self._samples: dict[int, Sample] = {}
        self._truths: dict[int, Truth | str] = {}

    def rows(self, engine: str, indices: Sequence[int], lost: Mapping[int, str]) -> list[Row]:
        """Rows of one engine.

        Parameters
        ----------
        lost : mapping of int to str
            Why there is no certified optimum, by index, where certifying ended the process.
        """
        samples = self._prepared(indices)
        truths = [self._truth(sample, lost) for sample in samples]
        if engine == CERTIFIED:
            return [certified_row(s, t) for s, t in zip(samples, truths, strict=True)]
        fixed = self.plan.design == "fixed"
        fits = fit_batch(self._engines[engine], [s.design for s in samples], fixed_design=fixed)
        named = [replace(fit, engine=engine) for fit in fits]
        found = zip(samples, truths, named, strict=True)
        return [row_of(s, f, judge_fit(s.design, f, t), t) for s, t, f in found]

    def _prepared(self, indices: Sequence[int]) -> list[Sample]:
        if not set(indices) <= set(self._samples):
            self._samples = {index: generate(self.plan, index) for index in indices}
            self._truths = {}
        return [self._samples[index] for index in indices]

    def _truth(self, sample: Sample, lost: Mapping[int, str]) -> Truth | str:
        if sample.index in lost:
            return lost[sample.index]
        if sample.index not in self._truths:
            self._truths[sample.index] = truth_of(sample.design)
        return self._truths[sample.index]


def certified_row(sample: Sample, truth: Truth | str) -> Row:
    """The certified optimum as a row of its own."""
    if isinstance(truth, str):
        fit = Fit(CERTIFIED, "unsupported", messages=(truth,), versions={CERTIFIED: __version__})
        return row_of(sample, fit, Judgement("unjudged"), truth)
    optimum = truth.model.optimum
    fit = Fit(
        CERTIFIED,
        "ok",
        optimum.quantities,
        singular=optimum.singular,
        messages=(optimum.reason,) if optimum.reason else (),
        versions={CERTIFIED: __version__},
        seconds=truth.seconds,
    )
    judgement = Judgement("right", above=0.0, tolerance=truth.tolerance)
    return row_of(sample, fit, judgement, truth)


def lost_row(sample: Sample, engine: str, reason: str, seconds: float) -> Row:
    """The row of a fit that ended its process."""
    fit = Fit.failed(engine, reason, seconds=seconds)
    return row_of(sample, fit, Judgement("failure"), "") | {"status": "lost"}


def row_of(sample: Sample, fit: Fit, judgement: Judgement, truth: Truth | str) -> Row:
    """All that is kept of one fit."""
    optimum = None if isinstance(truth, str) else truth.model.optimum
    return {
        "index": sample.index,
        "point": sample.point_number,
        "replicate": sample.replicate,
        **vars(sample.point),
        "n_obs": sample.design.n_obs,
        "data_crc": zlib.crc32(np.column_stack([sample.design.y, sample.design.X]).tobytes()),
        "beta_true": sample.beta.tolist(),
        "engine": fit.engine,
        "version": fit.versions.get(fit.engine.partition(":")[0]),
        "status": fit.status,
        "converged": fit.converged,
        "singular": fit.singular,
        "messages": "; ".join(fit.messages)[:MOST_TEXT],
        "seconds": fit.seconds,
        **_estimates(fit),
        "optima": None if optimum is None else len(optimum.optima),
        "boundary": None if optimum is None else optimum.singular,
        **asdict(judgement),
    }


def _estimates(fit: Fit) -> Row:
    """Fixed effects, their errors, variances (lower triangles), sigma, criterion."""
    if fit.status != "ok":
        return dict.fromkeys(("beta", "beta_se", "variances", "sigma", "loglik"))
    covariances = [q for name, q in fit.quantities.items() if name.startswith("random_cov")]
    return {
        "beta": fit["beta"].tolist(),
        "beta_se": fit["beta_se"].tolist(),
        "variances": [value for q in covariances for _, value in q.entries()],
        "sigma": float(fit["sigma"]),
        "loglik": float(fit["loglik"]),
    }
