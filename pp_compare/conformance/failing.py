"""A bundle of the model that a failing test was about, out of the test's own local variables.

A property test fails in its smallest example: Hypothesis raises what that one raised, so the frames
of the error hold the shrunk data, and no test has to say anything to be reproduced.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from pp_compare.audits.bundles.reproduce import write_bundle
from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.engines import make_engine
from pp_compare.model import Dataset, Fit, ModelSpec
from pp_compare.model.design import Design, build_design


def bundle_of(error: BaseException, root: Path, test: str) -> Path | None:
    """Write a bundle of the model nearest to a failure.

    Parameters
    ----------
    error : BaseException
        What the test raised; of a group the first.
    root : Path
        Folder of the bundles.
    test : str
        Names the one of this test.

    Returns
    -------
    Path or None
        The folder; None where no local variable of the test is a model.
    """
    found = next(_models(error), None)
    if found is None:
        return None
    design, fits = found
    by_engine = {fit.engine: fit for fit in fits} | {
        "certified": make_engine("certified").fit(design)
    }
    selection = Selection(test, design.dataset, design.spec.formula, design.spec.method)
    folder = root / re.sub(r"[^A-Za-z0-9_.-]+", "_", test).strip("_.")
    write_bundle(folder, design, judge(selection, design, by_engine, ()))
    return folder


def _models(error: BaseException) -> Iterator[tuple[Design, list[Fit]]]:
    """Models in the frames of an error, the innermost first, with the fits beside them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        variables = list(frame.f_locals.values())
        design = next(_designs(variables), None)
        if design is not None:
            yield design, [value for value in variables if isinstance(value, Fit)]


def _designs(variables: Iterable[object]) -> Iterator[Design]:
    """Designs, and examples of `pp_compare.data.strategies` that are none yet."""
    for value in variables:
        match value:
            case Design():
                yield value
            case (Dataset() as dataset, ModelSpec() as spec):
                yield build_design(dataset, spec)
