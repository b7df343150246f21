"""Many fits in one call: estimates without predictions, and nothing made twice.

lme4, nlme and statsmodels have a short way, which gives the same bits as `Engine.fit` (tests hold
them together); every other engine goes by `Engine.fit`, one data set after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np

from pp_compare.engines import Engine, not_asked
from pp_compare.engines._r import Answer, REngine, Request, ask, read_fit
from pp_compare.errors import EngineError
from pp_compare.model import Fit
from pp_compare.model.design import Design

_BATCH = {"pp_fit_lme4": "pp_batch_lme4", "pp_fit_nlme": "pp_batch_nlme"}


def fit_batch(
    engine: Engine, designs: Sequence[Design], *, fixed_design: bool = False
) -> list[Fit]:
    """Fit every design.

    Parameters
    ----------
    engine : Engine
    designs : sequence of Design
    fixed_design : bool
        Whether neighbours are expected to differ in the response alone; lme4 then does once what
        the design decides. The answers stay the same bits: R looks whether the designs are
        identical, and tries the short way before it trusts it.

    Returns
    -------
    list of Fit
        In order. Fits of the R engines have no predictions and no design of R's own.
    """
    if isinstance(engine, REngine):
        return _fit_in_r(engine, designs, fixed_design)
    if type(engine).__module__ == "pp_compare.engines.statsmodels":
        # Seconds to load, and a process for other engines needs none of it.
        from pp_compare.campaign.mixedlm_batch import fit_in_statsmodels  # noqa: PLC0415

        alike = groupby(designs, key=_kind)
        return [fit for _, group in alike for fit in fit_in_statsmodels(engine, list(group))]
    return [_fit_one(engine, design) for design in designs]


def _fit_one(engine: Engine, design: Design) -> Fit:
    reason = not_asked(engine, design)
    return engine.fit(design) if reason is None else Fit.unsupported(engine.name, reason)


def _kind(design: Design) -> object:
    """What designs have in common that are asked for alike; levels of their groups may differ."""
    return design.spec, tuple((name, v.levels) for name, v in design.variables.items())


def _fit_in_r(engine: REngine, designs: Sequence[Design], fixed_design: bool) -> list[Fit]:
    asked = [ask(engine.name, engine.dialect, design, engine.seconds) for design in designs]
    pairs = zip(designs, asked, strict=True)
    wanted = [(design, request) for design, request in pairs if not isinstance(request, Fit)]
    alike = groupby(wanted, key=lambda pair: _without_data(pair[1]))
    fits = iter([f for _, group in alike for f in _fit_alike(engine, list(group), fixed_design)])
    return [one if isinstance(one, Fit) else next(fits) for one in asked]


def _without_data(request: Request) -> Request:
    """The model that is asked for, and the names of its columns."""
    return {**request, "data": list(request["data"]), "levels": None}


def _fit_alike(
    engine: REngine, wanted: list[tuple[Design, Request]], fixed_design: bool
) -> list[Fit]:
    designs, requests = zip(*wanted, strict=True)
    together = _together(requests) | {"fixed_design": fixed_design}
    try:
        answer = engine.session.call(_BATCH[engine.dialect.function], together)
    except EngineError as error:
        return [Fit.failed(engine.name, str(error)) for _ in designs]
    answers = zip(designs, _unpack(answer), strict=True)
    return [read_fit(engine.name, engine.dialect, design, each) for design, each in answers]


def _together(requests: Sequence[Request]) -> Request:
    """One request: the data of all, one after the other."""
    names = requests[0]["data"]
    data = {name: np.concatenate([r["data"][name] for r in requests]) for name in names}
    rows = [len(next(iter(r["data"].values()))) for r in requests]
    one = requests[0] | {"data": data, "rows": np.array(rows, dtype=np.float64)}
    if all(r["levels"] == one["levels"] for r in requests):
        return one
    return one | {"levels": {}, "levels_of": [r["levels"] for r in requests]}


def _unpack(packed: Answer) -> Iterator[Answer]:
    """The answers, each in the form of ``r/fit.R``."""
    numbers, messages = iter(packed["numbers"].tolist()), iter(packed["messages"])
    shapes = packed["shapes"]
    for shape, count in zip(packed["shape_of"], packed["messages_of"], strict=True):
        answer = _filled(shapes[int(shape) - 1], numbers)
        answer |= {name: [_truth(answer[name][0])] for name in _LOGICAL if name in answer}
        answer["messages"] = list(islice(messages, int(count)))
        answer["versions"] = packed["versions"]
        yield answer


_LOGICAL = ("converged", "singular")


def _truth(number: float) -> bool | None:
    return None if np.isnan(number) else bool(number)


def _filled(shape: Any, numbers: Iterator[float]) -> Any:
    """The shape with the next numbers in the place of each length."""
    if isinstance(shape, dict):
        return {name: _filled(part, numbers) for name, part in shape.items()}
    if isinstance(shape, np.ndarray):
        return np.array(list(islice(numbers, int(shape[0]))))
    if shape and isinstance(shape[0], str):
        return shape
    return [_filled(part, numbers) for part in shape]
