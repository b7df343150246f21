"""Partial pooling: the published tables, equation (12.1), and where the identity stops."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from pp_compare.data.corpus import case
from pp_compare.errors import DataError, InputError
from pp_compare.inferences.partial_pooling import (
    PartialPooling,
    cluster_design,
    group_means,
    ols,
    ols_on_predicted_means,
    ols_on_shifted_rows,
    partial_pooling,
    partial_pooling_of,
    pooling_weights,
)
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.resources import resource

PUBLISHED = json.loads(resource("fixtures", "published", "seed.json").read_text())["cases"]
SEEDS = tuple(PUBLISHED)


class Estimates:
    """REML estimates of a random intercept from the textbook, with V written out.

    The score in log(tau2 / sigma2) is solved by bisection, so they are at the optimum to rounding
    (Searle, Casella and McCulloch 1992, *Variance Components*, section 6.6).
    """

    def __init__(self, design: Design) -> None:
        X, y, codes = design.X, design.y, design.blocks[0].codes
        self.Z = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
        self.X, self.y, self.df = X, y, len(y) - X.shape[1]
        rho = np.exp(brentq(self.score, -10, 10, xtol=1e-14))
        V_inv, P = self.matrices(rho)
        self.sigma2 = y @ P @ y / self.df
        self.tau2 = rho * self.sigma2
        self.beta = np.linalg.solve(X.T @ V_inv @ X, X.T @ V_inv @ y)
        self.beta_cov = self.sigma2 * np.linalg.inv(X.T @ V_inv @ X)
        self.blups = rho * self.Z.T @ P @ y

    def matrices(self, rho: float) -> tuple[np.ndarray, np.ndarray]:
        """``V^-1`` and ``P`` in units of sigma2."""
        V_inv = np.linalg.inv(np.eye(len(self.y)) + rho * self.Z @ self.Z.T)
        W = V_inv @ self.X
        return V_inv, V_inv - W @ np.linalg.solve(self.X.T @ W, W.T)

    def score(self, log_rho: float) -> float:
        """Derivative of the REML deviance with respect to rho."""
        _, P = self.matrices(np.exp(log_rho))
        s = self.Z.T @ P @ self.y
        return np.trace(self.Z.T @ P @ self.Z) - self.df * (s @ s) / (self.y @ P @ self.y)

    def deviance(self, log_rho: float) -> float:
        """REML deviance without its constant."""
        V_inv, P = self.matrices(np.exp(log_rho))
        information = self.X.T @ V_inv @ self.X
        return (
            self.df * np.log(self.y @ P @ self.y)
            - np.linalg.slogdet(V_inv)[1]
            + np.linalg.slogdet(information)[1]
        )


def design_of(name: str) -> Design:
    return build_design(case(name).dataset, case(name).spec("REML"))


def at(design: Design, e: Estimates) -> PartialPooling:
    return partial_pooling(design, e.beta, e.tau2, e.sigma2, e.blups)


def small_design(formula: str, **columns: Sequence[object]) -> Design:
    return build_design(Dataset("small", pd.DataFrame(columns)), parse_formula(formula))


def unit(printed: str) -> float:
    """Half a unit in the last printed digit: what printing rounds away."""
    digits = len(printed.partition(".")[2])
    return 0.5 * 10.0**-digits * (1 + 1e-6)  # the 1e-6: a tie may round either way


def assert_printed(values: ArrayLike, printed: str | list[str], slack: float = 0.0) -> None:
    for value, text in zip(np.atleast_1d(values), np.atleast_1d(printed), strict=True):
        assert abs(value - float(text)) <= unit(str(text)) + slack, (value, text)


@pytest.mark.parametrize("name", SEEDS)
def test_published_fixed_effects_of_the_mixed_model(name: str):
    assert_printed(Estimates(design_of(name)).beta, PUBLISHED[name]["lmer"])


@pytest.mark.parametrize("name", SEEDS)
def test_published_coefficients_of_lm(name: str):
    design = design_of(name)
    assert_printed(ols(design.X, design.y), PUBLISHED[name]["lm"])


@pytest.mark.parametrize("column", ["observed", "partially_pooled", "completely_pooled"])
def test_published_shrinkage_table(column: str):
    design = design_of("seed_case1")
    frame, table = at(design, Estimates(design)).frame(), PUBLISHED["seed_case1"]["table"]
    assert list(frame.index) == table["cluster"]
    assert list(frame["n"]) == table["n"]
    assert_printed(frame[column], table[column])


def test_published_shrinkage_to_the_precision_of_the_published_optimum():
    """Shrinkage is printed to more digits than lmer's optimiser has.

    It sees values of the deviance only, so it may stop anywhere within rounding of the lowest:
    log(rho) may be off by sqrt(2 eps deviance / curvature). Shrinkage goes with 1 / rho, so that is
    its relative error.
    """
    design, table = design_of("seed_case1"), PUBLISHED["seed_case1"]["table"]
    e = Estimates(design)
    centre, h = np.log(e.tau2 / e.sigma2), 1e-3
    curvature = (e.score(centre + h) - e.score(centre - h)) / (2 * h) * e.tau2 / e.sigma2
    assert curvature > 0
    stop = np.sqrt(2 * np.finfo(float).eps * abs(e.deviance(centre)) / curvature)
    shrinkage = at(design, e).shrinkage
    for value, printed in zip(shrinkage, table["shrinkage"], strict=True):
        assert_printed(value, printed, slack=stop * abs(value))
    # Far below the seven digits of the rest of the table, so the check says something.
    assert stop < 1e-6


def test_published_group_means():
    means = group_means(design_of("seed_case1"), "predictor")
    published = PUBLISHED["seed_case1"]
    assert means.levels == ("control", "intervention")
    assert_printed(means.plain, list(published["group_means"].values()))
    assert_printed(means.of_cluster_means, list(published["means_of_cluster_means"].values()))


def test_published_marginal_means_of_lm():
    design, table = design_of("seed_case1"), PUBLISHED["seed_case1"]["emmeans"]["lm"]
    beta, df = ols(design.X, design.y), design.n_obs - 2
    residual = design.y - design.X @ beta
    cov = residual @ residual / df * np.linalg.inv(design.X.T @ design.X)
    for row, printed in zip(([1, 0], [1, 1]), table.values(), strict=True):
        mean, se = row @ beta, np.sqrt(row @ cov @ row)
        reach = stats.t.ppf(0.975, df) * se
        assert df == int(printed["df"])
        assert_printed(
            [mean, se, mean - reach, mean + reach],
            [printed[key] for key in ("mean", "se", "lower", "upper")],
        )


def test_published_marginal_means_of_the_mixed_model():
    """Means and SE; the published interval is Kenward-Roger's, whose SE is a little larger."""
    design, table = design_of("seed_case1"), PUBLISHED["seed_case1"]["emmeans"]["lmer"]
    e = Estimates(design)
    for row, printed in zip(([1, 0], [1, 1]), table.values(), strict=True):
        se = np.sqrt(row @ e.beta_cov @ row)
        assert_printed([row @ e.beta, se], [printed["mean"], printed["se"]])


def test_printed_digits_can_fail():
    assert_printed(0.9616124, "0.961612")
    with pytest.raises(AssertionError):
        assert_printed(0.9616126, "0.961612")


def rounding(design: Design, values: np.ndarray) -> float:
    """Bound on what rounding does to a least-squares fit: n eps cond(X)^2 max|values|."""
    X = design.X / np.linalg.norm(design.X, axis=0)
    largest = np.abs(values).max()
    return len(design.y) * np.finfo(float).eps * np.linalg.cond(X) ** 2 * largest


@pytest.mark.parametrize("name", SEEDS)
def test_ols_on_predicted_means_gives_the_fixed_effects(name: str):
    design = design_of(name)
    e = Estimates(design)
    table = at(design, e)
    # 1 + n rho: the condition number of V, which the estimates were solved from.
    tolerance = rounding(design, design.y) * (1 + table.sizes.max() * e.tau2 / e.sigma2)
    found = ols_on_predicted_means(design, table.partially_pooled)
    assert np.abs(found - e.beta).max() <= tolerance
    # On the raw means it is another estimator; on predictions moved by a millionth it fails.
    assert np.abs(ols_on_predicted_means(design, table.observed) - e.beta).max() > 1e6 * tolerance
    moved = table.partially_pooled + 1e-6
    assert np.abs(ols_on_predicted_means(design, moved) - e.beta).max() > tolerance


def test_the_identity_stops_at_a_predictor_that_varies_within_clusters():
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(6), [2, 3, 4, 5, 6, 7])
    x = rng.normal(size=27) + cluster
    y = rng.normal(size=27) + 3 * rng.normal(size=6)[cluster] + x
    design = small_design("y ~ x + (1|g)", y=y, x=x, g=cluster)
    e = Estimates(design)
    found = ols_on_predicted_means(design, at(design, e).partially_pooled)
    assert np.abs(found - e.beta).max() > 1e-3


def pooled_means(table: PartialPooling) -> np.ndarray:
    """Equation (12.1): a weighted mean of a cluster's own mean and the fixed part."""
    return np.asarray(table.weights * table.observed + (1 - table.weights) * table.fixed_part)


@pytest.mark.parametrize("name", [*SEEDS, "Gasoline", "Orthodont_sex"])
def test_equation_12_1_gives_the_predictions_for_any_design(name: str):
    design = design_of(name)
    e = Estimates(design)
    table = at(design, e)
    pooled = pooled_means(table)
    tolerance = rounding(design, design.y) * (1 + table.sizes.max() * e.tau2 / e.sigma2)
    assert np.abs(pooled - table.partially_pooled).max() <= tolerance


@pytest.mark.parametrize("name", SEEDS)
def test_refit_on_shifted_rows_stays_at_complete_pooling(name: str):
    """Where both arms have the same sizes the shifts cancel: the line is lm's."""
    design = design_of(name)
    table = at(design, Estimates(design))
    refit, lm = ols_on_shifted_rows(design, table.partially_pooled), ols(design.X, design.y)
    assert np.abs(refit - lm).max() <= rounding(design, design.y)


def test_refit_on_shifted_rows_by_hand():
    """Clusters {0, 2}, {6}: means 1 and 6 moved to 2 and 5; rows are then 1, 3, 5."""
    design = small_design("y ~ 1 + (1|g)", y=[0.0, 2, 6], g=["a", "a", "b"])
    assert ols_on_shifted_rows(design, np.array([2.0, 5.0])) == pytest.approx([3.0], rel=1e-15)
    assert ols_on_predicted_means(design, np.array([2.0, 5.0])) == pytest.approx([3.5], rel=1e-15)


def test_table_by_hand():
    """tau2 = 2, sigma2 = 4: weights 1/2 and 1/3; beta = 3 and these BLUPs are (12.1)'s."""
    design = small_design("y ~ 1 + (1|g)", y=[0.0, 2, 6], g=["a", "a", "b"])
    table = partial_pooling(design, np.array([3.0]), 2.0, 4.0, np.array([-1.0, 1.0]))
    assert table.clusters == ("a", "b")
    assert table.weights.tolist() == [0.5, 2 / 6]
    assert table.observed.tolist() == [1, 6]
    assert table.completely_pooled == pytest.approx([8 / 3] * 2, rel=1e-15)
    assert table.partially_pooled.tolist() == [2, 4]
    assert table.shrinkage.tolist() == [1, -2]
    pooled = pooled_means(table)
    assert pooled == pytest.approx([2, 4], rel=1e-15)


def test_weights_at_the_limits():
    sizes = np.array([1, 2, 100])
    assert pooling_weights(sizes, 0.0, 1.0).tolist() == [0, 0, 0]
    assert pooling_weights(sizes, 1.0, 0.0).tolist() == [1, 1, 1]


def cluster_weights(W: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """``(W' D W)^-1 W' D``, (p, m): how each cluster's mean counts in each fixed effect."""
    root = np.sqrt(precision)
    return np.asarray(np.linalg.pinv(W * root[:, None]) * root)


def test_cluster_weights_are_what_tells_lm_from_the_mixed_model():
    design = design_of("seed_case2")
    e = Estimates(design)
    table, W = at(design, e), cluster_design(design)
    mixed = cluster_weights(W, 1 / (e.tau2 + e.sigma2 / table.sizes))
    lm = cluster_weights(W, table.sizes.astype(float))
    tolerance = rounding(design, design.y) * (1 + table.sizes.max() * e.tau2 / e.sigma2)
    assert np.abs(mixed @ table.observed - e.beta).max() <= tolerance
    assert np.abs(lm @ table.observed - ols(design.X, design.y)).max() <= tolerance
    means = group_means(design, "predictor").of_cluster_means
    equal = cluster_weights(W, np.ones(8)) @ table.observed
    assert np.abs(equal.cumsum() - means).max() <= tolerance
    # The cluster of 100 rows has most of lm's say in its arm and no more than its share here.
    assert lm[1, 7] == pytest.approx(100 / 122, rel=1e-12)
    assert mixed[1, 7] < 0.3


def test_from_a_fit_everything_goes_by_label():
    design = design_of("seed_case1")
    e, levels = Estimates(design), design.blocks[0].levels
    labels, turned = design.labels[::-1], levels[::-1]
    quantities = (
        Quantity("beta", e.beta[::-1], labels),
        Quantity("sigma", np.sqrt(e.sigma2)),
        Quantity("random_cov[cluster]", [[e.tau2]], ("Intercept",), ("Intercept",)),
        Quantity("blup[cluster]", e.blups[::-1, None], turned, ("Intercept",)),
    )
    fit = Fit("somebody's", "ok", {quantity.name: quantity for quantity in quantities})
    pd.testing.assert_frame_equal(
        partial_pooling_of(design, fit).frame(), at(design, e).frame(), rtol=1e-15
    )


def test_other_models_are_refused():
    design = design_of("sleepstudy")
    with pytest.raises(InputError, match=r"'Reaction ~ Days \+ \(Days\|Subject\)' is not a model"):
        partial_pooling(design, np.zeros(2), 1.0, 1.0, np.zeros(18))


def test_group_means_need_a_factor_of_the_clusters():
    columns = {"y": [1.0, 2, 4, 8], "g": ["a", "a", "b", "b"], "f": ["u", "v", "u", "u"]}
    design = small_design("y ~ f + (1|g)", **columns)
    with pytest.raises(DataError, match="'f' varies within cluster 'a' of 'g'"):
        group_means(design, "f")
    with pytest.raises(InputError, match="'arm' is not a factor of 'y ~ f"):
        group_means(design, "arm")
