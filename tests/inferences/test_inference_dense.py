"""Kenward-Roger and Satterthwaite of every kind of model against dense matrices at 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from flint import arb, ctx

from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.general.approximations import scaled_f
from pp_compare.certified.inference import BITS
from pp_compare.certified.models import DegenerateModelError
from pp_compare.errors import DataError
from pp_compare.inferences.inference import ModelInference
from tests.inferences.dense_inference import (
    Dense,
    kenward_roger,
    published_f,
    random_design,
    satterthwaite,
)

REL = 1e-12
"""Both are rounded to doubles from some 28 digits."""


def dense_of(found: ModelInference) -> Dense:
    """The point of the balls' midpoints, entries that do not vary as exact zeros."""
    info = found.optimum.info
    free = set(info.face.parameters)
    with ctx.workprec(BITS):
        sigma = found.optimum.effects.scale.sqrt()
        exponents = info.solution.products.coordinates.z_exponents
        T = [
            [
                [
                    text(factor[j, k] * sigma * arb(2) ** -exponents[b][j])
                    if any((p.block, p.row, p.column) == (b, j, k) for p in free)
                    else "0"
                    for k in range(factor.ncols())
                ]
                for j in range(factor.nrows())
            ]
            for b, factor in enumerate(info.factors)
        ]
        return Dense(found.design, text(found.optimum.effects.scale), T)


def text(ball: arb) -> str:
    return str(ball.mid().str(45, radius=False))


def held_against_dense(seed: int) -> str:
    """Compare one model; the reason where there is none to compare."""
    try:
        model = random_design(seed)
        found = ModelInference(model)
    except (DegenerateModelError, DataError) as reason:
        return str(reason)
    if found.model.optimum.claim == "none":
        return "nothing proved"
    dense, p = dense_of(found), len(model.labels)
    L = np.eye(p)[-min(p, 3) :]
    for row in L:
        line = found.satterthwaite("", row)
        assert line.df == pytest.approx(float(satterthwaite(dense, row)), rel=REL)
    if found.reml:
        compare_kenward_roger(found, dense, L)
    return ""


def compare_kenward_roger(found: ModelInference, dense: Dense, L: np.ndarray) -> None:
    with ctx.workprec(BITS):
        for held in (False, True) if found.optimum.singular else (False,):
            way = found.optimum.held if held else found.optimum.kenward
            for rows in (L, *(row[None] for row in L)):
                try:
                    adjusted = way.covariance(rows)
                    A1, A2 = way.sums(rows)
                except NotProvedError:  # not defined on that boundary; the rest has been compared
                    assert held or found.optimum.singular
                    return
                ours, first, second = kenward_roger(dense, rows, held=held)
                wanted = mp.matrix(rows.tolist()) * ours * mp.matrix(rows.T.tolist())
                assert float(adjusted[0, 0]) == pytest.approx(float(wanted[0, 0]), rel=REL)
                assert float(A1) == pytest.approx(float(first), rel=REL)
                assert float(A2) == pytest.approx(float(second), rel=REL)
                if len(rows) > 1:
                    m, scale = scaled_f(A1, A2, len(rows))
                    published = published_f(first, second, len(rows))
                    assert float(m) == pytest.approx(float(published[0]), rel=REL)
                    assert float(scale) == pytest.approx(float(published[1]), rel=REL)


@pytest.mark.parametrize("seed", [1, 4])
def test_correlated_slopes_and_crossed_factors(seed: int):
    held_against_dense(seed)


@pytest.mark.slow
def test_three_hundred_models():
    """At most a tenth has no optimum to stand at; the kinds come in turn."""
    reasons = [held_against_dense(seed) for seed in range(330)]
    assert sum(not reason for reason in reasons) >= 300, reasons
