"""Fits of several Rs at once come in the order of the models, each as soon as it is its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pp_compare.errors import UnavailableError
from pp_compare.model import Fit
from pp_compare.releases.candidate import Effort, RCandidate
from pp_compare.releases.platform import Platform

PLATFORM = Platform("Haswell")
MODELS: list[Any] = list(range(5))


def lme4(fits: Any) -> Iterator[Fit]:
    """Fits of `MODELS` by two Rs that are `fits`."""
    return RCandidate("1", "lme4", ("Rscript",), {}, fits).fits(MODELS, PLATFORM, Effort(1.0, 2))


def test_in_order_and_before_the_rest_is_made() -> None:
    seen = threading.Event()

    def fits(command: Sequence[str], tasks: Sequence[Any], seconds: float) -> Iterator[Fit]:
        assert command[-1] == "Rscript"
        assert "OPENBLAS_CORETYPE=Haswell" in command
        for engine, model in tasks:
            if model > 2:
                assert seen.wait(10.0), "nobody got the first fits"
            yield Fit.failed(engine, f"model {model}")

    made = lme4(fits)
    first = [next(made) for _ in range(3)]
    seen.set()
    assert [fit.messages[0] for fit in [*first, *made]] == [f"model {k}" for k in MODELS]


def test_what_an_r_raises_is_raised_where_fits_are_asked_for() -> None:
    def fits(command: Sequence[str], tasks: Sequence[Any], seconds: float) -> Iterator[Fit]:
        yield Fit.failed("lme4", "first")
        raise UnavailableError("no R here")

    with pytest.raises(UnavailableError, match="no R here"):
        list(lme4(fits))
