"""A fresh search for trouble: no registry, no known example, only generated data.

Each hunt has a kind of data, a measure of badness (1 is where the tolerance ends) and a share of
the time. Hypothesis climbs towards the worst (`hypothesis.target`) and shrinks what it finds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, find, settings, target
from hypothesis.errors import NoSuchExample

from pp_compare.audits.bundles.reproduce import write_bundle, write_script_bundle
from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import DegenerateModelError
from pp_compare.data.strategies import Example
from pp_compare.engines import Engine, make_engine
from pp_compare.errors import DataError
from pp_compare.model.design import build_design
from pp_compare.search import mixedlm
from pp_compare.search.hunts import HUNTS, Hunt

BATCH = 200
"""Examples of one seed; then the next seed, so that no unlucky one takes all the time."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What a hunt brought back.

    `seconds` is the time until the first example, `tried` the number of data sets altogether.
    """

    hunt: Hunt
    engine: str
    example: Example
    badness: float
    seconds: float
    tried: int


class _OutOfTime(BaseException):  # not an error; a BaseException, so that Hypothesis lets it pass
    """The hunt's share of the time is over."""


def search(
    engine: str, seconds: float, seed: int, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """Hunt for everything, one after the other; what a hunt leaves of its time is the next one's.

    Parameters
    ----------
    engine : str
        Engine id. For statsmodels its own hunts are added.
    seconds : float
        For all hunts together.
    seed : int
    progress : callable
        Called with the title of each hunt as it begins.
    """
    hunts = [h for h in HUNTS if h.engine.partition(":")[0] in ("", engine)]
    end = time.monotonic() + seconds
    for k, hunt in enumerate(hunts):
        share = (end - time.monotonic()) / (len(hunts) - k)
        hunted = hunt.engine if ":" in hunt.engine else engine
        progress(hunt.title.format(engine=hunted))
        found = _hunt(hunt, hunted, share, seed)
        if found is not None:
            yield found


def bundle(folder: Path, finding: Finding) -> None:
    """Write what reproduces a finding."""
    hunt, design = finding.hunt, finding.hunt.shown(build_design(*finding.example))
    title = hunt.title.format(engine=finding.engine)
    if hunt.script:
        files = mixedlm.plain_script(hunt.script, design)
        write_script_bundle(folder / hunt.id, design, files, title, hunt.expected)
        return
    fits = {name: make_engine(name).fit(design) for name in (finding.engine, "certified")}
    selection = Selection(hunt.id, design.dataset, design.spec.formula, design.spec.method)
    write_bundle(folder / hunt.id, design, judge(selection, design, fits, ()), title)


def _hunt(hunt: Hunt, engine_id: str, seconds: float, seed: int) -> Finding | None:
    engine, start = make_engine(engine_id), time.monotonic()
    best: list[Finding] = []
    tried = 0

    def bad(example: Example) -> bool:
        nonlocal tried
        elapsed = time.monotonic() - start
        if elapsed > seconds:
            raise _OutOfTime
        tried += 1
        badness = _measured(hunt, engine, example)
        if not best:
            target(min(badness, 1e6))
        if badness <= 1:
            return False
        if not best or _size(example) <= _size(best[-1].example):
            first = best[0].seconds if best else time.monotonic() - start
            best.append(Finding(hunt, engine_id, example, badness, first, tried))
        return True

    quiet = settings(
        max_examples=BATCH, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    try:
        for batch in range(1_000_000):
            rng = random.Random(f"{seed} {hunt.id} {batch}")  # noqa: S311  # data, not secrets
            try:
                find(hunt.examples, bad, settings=quiet, random=rng)
                break
            except NoSuchExample:
                continue
    except _OutOfTime:
        pass
    return replace(best[-1], tried=tried) if best else None


def _measured(hunt: Hunt, engine: Engine, example: Example) -> float:
    """Badness of an example; 0 where it has no optimum, or cannot be asked."""
    try:
        design = build_design(*example)
        if engine.unsupported(design):
            return 0.0
        with np.errstate(all="ignore"):
            badness = hunt.badness(engine, design)
    except (DegenerateModelError, DataError):
        return 0.0
    return badness if np.isfinite(badness) else 0.0


def _size(example: Example) -> int:
    return example[0].frame.size
