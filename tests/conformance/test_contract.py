"""A sound adapter keeps the contract; each clause has a broken adapter that fails it, and it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.contract import CONTRACT, Adapter, Clause
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from tests.broken_engines import altered
from tests.plain_engine import Plain

CLAUSES = {clause.id: clause for clause in CONTRACT}


def sound(design: Design) -> Fit:
    """A random intercept in double precision, with the manners of an adapter."""
    if not design.spec.is_random_intercept:
        return Fit.unsupported("candidate", "one random intercept and nothing else")
    return replace(Plain()(design), versions={"candidate": "1"})


class Candidate:
    """An engine that is sound but for what is given."""

    name: Any = "candidate"

    def __init__(self, fit: Callable[[Design], Any] = sound, **other: Any) -> None:
        self._fit = fit
        self._reason = other.pop("unsupported", None)
        self.__dict__.update(other)

    def unsupported(self, design: Design) -> Any:
        if self._reason is not None:
            return self._reason
        return None if design.spec.is_random_intercept else "one random intercept"

    def fit(self, design: Design) -> Any:
        return self._fit(design)


def after(change: Callable[[Fit], Any]) -> Callable[[Design], Any]:
    """The sound fit, changed where there is an answer."""

    def fit(design: Design) -> Any:
        answer = sound(design)
        return change(answer) if answer.status == "ok" else answer

    return fit


def raises(design: Design) -> Fit:
    if not design.blocks[0].codes.any() or design.n_obs < 10:
        raise ZeroDivisionError("float division by zero")
    return sound(design)


def without(name: str) -> Callable[[Fit], Fit]:
    return lambda fit: replace(
        fit, quantities={n: q for n, q in fit.quantities.items() if not n.startswith(name)}
    )


def r_labels(fit: Fit) -> Fit:
    """R's name of the intercept."""
    old = fit.quantities["beta"]
    beta = Quantity("beta", old.values, ("(Intercept)", *old.rows[1:]))
    return replace(fit, quantities={**fit.quantities, "beta": beta})


def centres_in_place(design: Design) -> Fit:
    fit = sound(design)
    design.X[:, -1] -= design.X[:, -1].mean()
    return fit


def renames_a_column(design: Design) -> Fit:
    fit = sound(design)
    frame = design.dataset.frame
    frame[frame.columns[0]] = frame[frame.columns[0]].to_numpy()[::-1]
    return fit


def random_start() -> Callable[[Design], Fit]:
    rng = np.random.default_rng()
    return after(lambda fit: altered(fit, "sigma", lambda s: s * (1 + 1e-13 * rng.random())))


def reads_labels(design: Design) -> Fit:
    """Pastes the names of clusters into a formula."""
    levels = design.blocks[0].levels
    if any("'" in level for level in levels):
        return Fit.failed("candidate", "SyntaxError: unterminated string literal")
    return sound(design)


def sorts_labels(design: Design) -> Fit:
    """Effects in the order of a dictionary of names, under the names as they come."""
    fit = sound(design)
    if fit.status != "ok":
        return fit
    block = design.blocks[0]
    order = np.argsort([level.casefold() for level in block.levels])
    return altered(fit, f"blup[{block.group}]", lambda u: u[order])


def seeds_numpy(design: Design) -> Fit:
    np.random.seed(1)  # noqa: NPY002  # the fault
    return sound(design)


def sets_threads(design: Design) -> Fit:
    os.environ["PP_TEST_THREADS"] = str(int(os.environ.get("PP_TEST_THREADS", "0")) + 1)
    return sound(design)


BROKEN: list[tuple[str, Candidate, str]] = [
    ("name", Candidate(name="my engine"), "name is 'my engine'"),
    ("name", Candidate(after(lambda f: replace(f, engine="other"))), "engine 'other' made it"),
    ("unsupported", Candidate(unsupported=True), "unsupported gives True"),
    ("unsupported", Candidate(unsupported="no"), "but its Fit is ok"),
    ("fit-never-raises", Candidate(raises), "fit raised ZeroDivisionError: float division by zero"),
    ("fit-never-raises", Candidate(lambda _: None), "fit returned a NoneType, not a Fit"),
    ("fit-never-raises", Candidate(lambda _: Fit("candidate", "error")), "without a reason"),
    ("all-quantities", Candidate(after(without("blup"))), "no blup[cluster], and not_given"),
    ("all-quantities", Candidate(lambda _: Fit.failed("candidate", "no")), "fits none of the"),
    ("labels", Candidate(after(r_labels)), "beta is labelled ('(Intercept)', 'predictor[T.int"),
    ("leaves-data-alone", Candidate(centres_in_place), "fit changed the design's X"),
    ("leaves-data-alone", Candidate(renames_a_column), "fit changed the data"),
    ("deterministic", Candidate(random_start()), "sigma is not the same bits the second time"),
    ("odd-labels", Candidate(reads_labels), "SyntaxError: unterminated string literal"),
    ("names-do-not-matter", Candidate(sorts_labels), "the names of the clusters change nothing"),
    (
        "pickles",
        Candidate(after(lambda f: replace(f, extra={"model": lambda: None}))),
        "its Fit does not pickle",
    ),
    (
        "versions",
        Candidate(after(lambda f: replace(f, versions={"R": "4"}))),
        "versions tells of R",
    ),
    ("facts", Candidate(after(lambda f: replace(f, converged="yes"))), "converged 'yes'"),
    ("facts", Candidate(after(lambda f: replace(f, seconds=float("nan")))), "seconds is nan"),
    ("facts", Candidate(after(lambda f: replace(f, design_error=0.5))), "model matrix is not ours"),
    ("leaves-process-alone", Candidate(seeds_numpy), "fit changed the state of numpy.random"),
    ("leaves-process-alone", Candidate(sets_threads), "fit changed the environment"),
]


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_a_sound_adapter_keeps_every_clause(clause: Clause, adapter: Adapter) -> None:
    clause(adapter)


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return Adapter(Candidate())


@pytest.mark.parametrize(("clause", "engine", "words"), BROKEN)
def test_a_broken_adapter_is_told_how(
    clause: str, engine: Candidate, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PP_TEST_THREADS", "0")
    with pytest.raises(ConformanceError) as error:
        CLAUSES[clause](Adapter(engine))
    assert words in str(error.value)


def test_every_clause_has_a_broken_adapter() -> None:
    assert {clause for clause, _, _ in BROKEN} == set(CLAUSES)


@pytest.mark.slow
@pytest.mark.parametrize("engine_id", ["statsmodels", "certified"])
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_the_projects_own_engines_keep_it(clause: Clause, engine_id: str) -> None:
    clause(Adapter(make_engine(engine_id)))


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine_id", ["lme4", "nlme"])
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_so_do_those_of_r(clause: Clause, engine_id: str) -> None:
    clause(Adapter(make_engine(engine_id)))
