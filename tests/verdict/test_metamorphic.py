"""Refits that must agree: they do for sound engines, and a fault breaks its relation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pp_compare.engines import make_engine
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict.metamorphic import RELATIONS, Relation, check_relation
from pp_compare.verdict.probes import scaled_error, score
from tests.broken_engines import Broken, altered
from tests.examples import clusters, corpus_design, design
from tests.faulty_engines import certified
from tests.plain_engine import Plain

BY_ID = {relation.id: relation for relation in RELATIONS}
EACH = pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.id)


def model(method: str = "REML") -> Design:
    """Two predictors and a factor, clusters of many sizes."""
    frame = clusters(11, [2, 5, 9, 3, 7, 4, 6, 8], between=1.5)
    frame["arm"] = np.where(np.arange(len(frame)) % 3 == 0, "low", "high")
    return design(frame, "y ~ x + w + arm + (1|g)", method)


def failed(relation: Relation, engine, data: Design) -> set[str]:
    lines = check_relation(relation, engine, data)
    assert lines, "the relation does not apply"
    return {line.quantity for line in lines if line.verdict != "pass"}


@EACH
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("lme4", marks=pytest.mark.needs_r),
        pytest.param("nlme", marks=pytest.mark.needs_r),
        "certified",
    ],
)
def test_sound_engines_keep_every_relation(relation: Relation, engine: str) -> None:
    method = "ML" if relation.id == "clusters-twice" else "REML"
    # nlme's standard errors under ML have N - p in them: another definition, which N changes.
    allowed = {"beta_se"} if (engine, method) == ("nlme", "ML") else set()
    assert failed(relation, make_engine(engine), model(method)) <= allowed


@EACH
def test_statsmodels_keeps_them_where_it_reaches_its_optimum(relation: Relation) -> None:
    data = corpus_design("seed_case1", "ML")
    lines = check_relation(relation, make_engine("statsmodels:tight"), data)
    if lines is not None:
        # beta_se and beta_cov are those of the joint information, which N changes too.
        off = {line.quantity for line in lines if line.verdict != "pass"}
        assert off <= {"beta_se", "beta_cov"}


def engine(answer: Callable[[Design], Fit]) -> Broken:
    return Broken("candidate", answer)


def _penalised(data: Design) -> Fit:
    """Something that has a unit: a constant added to the variance."""
    group = data.spec.groups[0]
    return altered(certified(data), f"random_cov[{group}]", lambda c: c + 1.0)


def _first_row_counts(data: Design) -> Fit:
    return altered(certified(data), "beta", lambda b: b + 1e-2 * data.y[0])


def _reads_labels(data: Design) -> Fit:
    """Effects in the order in which the labels sort where case does not count."""
    group = data.spec.groups[0]
    order = np.argsort([level.casefold() for level in data.group_levels[group]])
    return altered(certified(data), f"blup[{group}]", lambda u: u[order])


def _counts_rows(data: Design) -> Fit:
    return altered(certified(data), "beta_cov", lambda c: c * data.n_obs / (data.n_obs - 4))


def _first_term_counts(data: Design) -> Fit:
    shrunk = np.where(np.arange(len(data.labels)) == 1, 0.9, 1.0)
    return altered(certified(data), "beta", lambda b: b * shrunk)


def _penalises_coefficients(data: Design) -> Fit:
    """A ridge: the fitted values depend on the coding and on the unit of a predictor."""
    beta = np.linalg.solve(data.X.T @ data.X + 0.1 * np.eye(len(data.labels)), data.X.T @ data.y)
    return altered(
        altered(certified(data), "fitted", lambda _: data.X @ beta), "beta", lambda _: beta
    )


def _takes_every_column(data: Design) -> Fit:
    extra = data.dataset.frame.shape[1]
    return altered(certified(data), "sigma", lambda s: s * np.sqrt(1 - extra / data.n_obs))


FAULTS = [
    ("response-scaled", _penalised, "random_cov[g]"),
    ("response-shifted", _first_row_counts, "beta"),
    ("rows-permuted", _first_row_counts, "beta"),
    ("predictor-scaled", _penalises_coefficients, "beta"),
    ("predictor-shifted", _penalises_coefficients, "beta"),
    ("contrasts-recoded", _penalises_coefficients, "fitted"),
    ("labels-renamed", _reads_labels, "blup[g]"),
    ("formula-reordered", _first_term_counts, "beta"),
    ("column-added", _takes_every_column, "sigma"),
    ("clusters-twice", _counts_rows, "beta_cov"),
]


@pytest.mark.parametrize(("name", "answer", "quantity"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_breaks_the_relation(name: str, answer, quantity: str) -> None:
    method = "ML" if name == "clusters-twice" else "REML"
    assert quantity in failed(BY_ID[name], engine(answer), model(method))


def test_every_relation_has_a_fault_that_breaks_it() -> None:
    assert {name for name, _, _ in FAULTS} == set(BY_ID)


def test_a_plain_implementation_keeps_them_too() -> None:
    for name in ("response-scaled", "rows-permuted", "labels-renamed", "contrasts-recoded"):
        assert failed(BY_ID[name], engine(Plain()), model()) == set()


def test_a_fit_that_fails_on_one_side_only_is_a_failure() -> None:
    def answer(data: Design) -> Fit:
        if "constant_that_no_term_names" in data.dataset.frame:
            return Fit.failed("candidate", "boom")
        return certified(data)

    assert failed(BY_ID["column-added"], engine(answer), model()) == {"fit"}


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_score_of_mixedlm_has_the_wrong_sign_on_the_negative_side(method: str) -> None:
    """A failure here is good news: the sign is repaired."""
    data = corpus_design("seed_case1", method)
    ((right, slope),) = score(0.5, data).answers()
    ((wrong, other),) = score(-0.5, data).answers()
    assert right == pytest.approx(slope, rel=1e-6)  # central differences: 1e-10 and their rounding
    assert other == pytest.approx(-slope, rel=1e-6)  # the log-likelihood is even
    assert wrong == pytest.approx(right, rel=1e-12)  # the score is even too, where it should be odd


def test_the_standard_error_of_a_variance_has_the_wrong_unit_in_mixedlm() -> None:
    """Times 16, a variance grows by 256, its standard error by 16 only."""
    error, scaled = scaled_error(corpus_design("seed_case1")).answers()
    assert scaled / error == pytest.approx(
        16.0, rel=0.01
    )  # two refits, each stopped by its own tolerance
