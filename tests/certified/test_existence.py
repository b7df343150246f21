"""Whether a model has an optimum, and what it identifies, against exact dense linear algebra."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from flint import fmpq, fmpq_mat

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.existence.direction import fitted_in_one_direction
from pp_compare.certified.existence.flat import Flat, flat_directions
from pp_compare.certified.existence.span import Span, span_of
from pp_compare.certified.models import DegenerateModelError, certified_model, existence_of
from pp_compare.engines.certified import CertifiedEngine
from tests.examples import clusters, design

METHODS = ["REML", "ML"]

ONE_ROW_A_CELL = pd.DataFrame(
    {
        "y": [4.1, 6.3, 5.2, 5.9, 6.4, 8.8, 3.3, 6.1, 5.0, 5.6, 7.1, 8.2],
        "t": ["p", "q"] * 6,
        "g": np.repeat(list("abcdef"), 2),
    }
)
LINES = pd.DataFrame(
    {
        "y": [1.0, 3, 5, 3, 4, 5, 2, 5, 8, 5, 7, 9],
        "x": [0.0, 1, 2] * 4,
        "g": np.repeat(list("abcd"), 3),
    }
)


def exact(table) -> fmpq_mat:
    ratios = [[Fraction(float(v)) for v in row] for row in table]
    return fmpq_mat([[fmpq(f.numerator, f.denominator) for f in row] for row in ratios])


def dense_span(y, X, blocks) -> Span:
    Z = [np.where(b.group == k, z, 0.0) for b in blocks for k in range(b.levels) for z in b.Z.T]
    random, both = exact(Z).rank(), exact([*Z, *X.T]).rank()
    return Span(exact([*Z, *X.T, y]).rank() == both, random, both)


def nullity_and_support(matrices) -> tuple[int, set[int]]:
    table = fmpq_mat(
        len(matrices), len(matrices[0].entries()), [v for m in matrices for v in m.entries()]
    )
    rank = table.rank()
    support = set()
    for k in range(len(matrices)):
        rest = [m for i, m in enumerate(matrices) if i != k]
        cells = [v for m in rest for v in m.entries()]
        if fmpq_mat(len(rest), len(matrices[0].entries()), cells).rank() == rank:
            support.add(k)  # it lies in the span of the others, so a null vector moves it
    return len(matrices) - rank, support


def dense_flat(X, blocks, reml, weights=None) -> Flat:
    n, terms, matrices = len(X), [], []
    for b, block in enumerate(blocks):
        same = block.group[:, None] == block.group
        for i in range(block.size):
            for j in range(i + 1):
                one = np.outer(block.Z[:, i], block.Z[:, j])
                matrices.append(exact(same * (one + one.T)))
                terms.append(b)
    matrices.append(exact(np.diag(np.ones(n) if weights is None else weights)).inv())
    terms.append(-1)
    fixed = exact(X)
    off = exact(np.eye(n)) - fixed * (fixed.transpose() * fixed).inv() * fixed.transpose()
    rows, _ = nullity_and_support(matrices)
    half, _ = nullity_and_support([m * off for m in matrices])
    seen, support = nullity_and_support([off * m * off for m in matrices] if reml else matrices)
    moved = {terms[k] for k in support}
    return Flat(tuple(sorted(moved - {-1})), -1 in moved, reml and half < seen, rows < seen, seen)


def small_model(rng):
    """Integers, few of them: every kind of degeneracy turns up."""
    n = rng.integers(4, 10)
    g, h = (np.unique(rng.integers(0, k, n), return_inverse=True)[1] for k in (4, 3))
    x = rng.integers(-1, 3, n).astype(float)
    one, cell = np.ones((n, 1)), np.eye(2)[rng.integers(0, 2, n)]
    both = np.column_stack([one, x])
    X = both if rng.random() < 0.5 and np.ptp(x) else one
    blocks = [
        [RandomBlock(g, both)],
        [RandomBlock(g, one), RandomBlock(g, x[:, None])],
        [RandomBlock(g, one), RandomBlock(h, one)],
        [RandomBlock(g, both), RandomBlock(h, one)],
        [RandomBlock(g, cell)],
        [RandomBlock(g, one), RandomBlock(g, cell)],
    ][rng.integers(6)]
    y = rng.integers(-2, 3, n).astype(float)
    if rng.random() < 0.3:
        y = X @ rng.integers(-2, 3, X.shape[1]) + (both * rng.integers(-2, 3, (4, 2))[g]).sum(1)
    return y, X, blocks


def test_span_and_flat_directions_agree_with_dense_exact_algebra():
    rng = np.random.default_rng(20240611)
    held, flat = set(), set()
    for _ in range(120):
        y, X, blocks = small_model(rng)
        span = dense_span(y, X, blocks)
        assert span_of(y, X, blocks) == span
        held.add(span.holds_response)
        for reml in (False, True):
            wanted = dense_flat(X, blocks, reml)
            assert flat_directions(X, blocks, reml=reml) == wanted
            flat.add((wanted.sigma, wanted.beta, wanted.beta_cov, bool(wanted.dimension)))
    assert held == {True, False}
    assert len(flat) >= 5


def test_one_combination_of_intercept_and_slope_that_fits():
    """Two groups of two rows: Z fits any response, and y = beta + c_g (1 + s x) has a solution."""
    y = [956.8420864956837, 949.1938493367778, 89.12195617198482, 98.96170330827731]
    x = [-0.00099, 0.0001, 0.00127, -0.00174]
    data = pd.DataFrame({"y": y, "x": x, "g": list("aabb")})
    sentence = existence_of(design(data, "y ~ 1 + (x | g)")).sentence
    assert sentence.startswith("one combination of the columns of (Intercept + x | g)")


def test_directions_that_fit_are_the_real_roots_of_a_quadratic():
    """Of four rows in two groups |f, z_a, z_b, y| is a quadratic in s: its discriminant decides."""
    rng = np.random.default_rng(11)
    group, seen = np.array([0, 0, 1, 1]), set()
    for _ in range(80):
        f, x, y = (rng.integers(-4, 5, 4).astype(float) for _ in range(3))
        first, middle, last = (
            round(np.linalg.det(np.column_stack([f, *_of_groups(1 + s * x, group), y])))
            for s in (-1, 0, 1)
        )
        a, b, c = (first + last - 2 * middle) / 2, (last - first) / 2, middle
        if a == 0 or b * b == 4 * a * c:
            continue  # no quadratic, or a double root: [f, z_a, z_b] may be dependent there too
        Z = np.column_stack([np.ones(4), x])
        found = fitted_in_one_direction(y, f[:, None], RandomBlock(group, Z))
        seen.add((b * b > 4 * a * c, found))
    assert {(True, True), (False, False)} <= seen
    assert (False, True) not in seen


def _of_groups(z, group):
    return [np.where(group == k, z, 0.0) for k in (0, 1)]


def test_flat_directions_with_prior_weights():
    """Weights that differ within a level tell sigma from a variance that none told apart."""
    rng = np.random.default_rng(8)
    for _ in range(25):
        _, X, blocks = small_model(rng)
        weights = rng.integers(1, 3, len(X)).astype(float)
        wanted = dense_flat(X, blocks, True, weights)
        assert flat_directions(X, blocks, reml=True, weights=weights) == wanted
    one_row_a_cell = [RandomBlock(np.arange(8) // 2, np.tile(np.eye(2), (4, 1)))]
    X, weights = np.tile(np.eye(2), (4, 1)), np.arange(1.0, 9.0)
    assert flat_directions(X, one_row_a_cell, reml=True).sigma
    assert flat_directions(X, one_row_a_cell, reml=True, weights=weights).dimension == 0


def test_a_wide_component_is_eliminated_like_a_narrow_one(monkeypatch):
    rng = np.random.default_rng(3)
    models = [small_model(rng) for _ in range(40)]
    narrow = [span_of(*model) for model in models]
    monkeypatch.setattr("pp_compare.certified.existence.span.WIDE", 0)
    assert [span_of(*model) for model in models] == narrow


@pytest.mark.parametrize("method", METHODS)
def test_one_row_a_cell(method):
    data = design(ONE_ROW_A_CELL, "y ~ t + (0 + t | g)", method)
    model = certified_model(data)
    assert model.existence.kind == "not identified"
    assert "one row a cell: sigma and the variances cannot be told apart" in model.optimum.reason
    best = model.optimum.quantities
    assert set(best) == {"loglik", "beta", "beta_cov", "beta_se"}
    pairs = ONE_ROW_A_CELL["y"].to_numpy().reshape(6, 2)
    cov = np.cov(pairs.T, ddof=int(method == "REML"))  # of Sigma + sigma2 I: all that is fixed
    move = np.array([[1.0, 0.0], [-1.0, 1.0]])  # to treatment contrasts
    np.testing.assert_allclose(best["beta_cov"].values, move @ cov @ move.T / 6, rtol=1e-9)
    fit = CertifiedEngine().fit(data)
    assert set(fit.not_given) == {"sigma", "random_cov", "blup", "fitted", "cluster_mean"}


def test_two_rows_in_a_cell_identify_the_variances():
    more = pd.concat([ONE_ROW_A_CELL, pd.DataFrame({"y": [4.4], "t": ["p"], "g": ["a"]})])
    assert existence_of(design(more, "y ~ t + (0 + t | g)")).kind == "unique"


@pytest.mark.parametrize("method", METHODS)
def test_groups_on_lines_of_their_own_have_no_optimum_and_known_limits(method):
    data = design(LINES, "y ~ x + (x | g)", method)
    with pytest.raises(DegenerateModelError, match="'g' lies on a line of its own: sigma tends"):
        certified_model(data)
    limits = existence_of(data).limits
    divisor = 3 if method == "REML" else 4
    variances = np.diag(limits["random_cov[g]"].values)
    np.testing.assert_allclose(variances, [8.75 / divisor, 2 / divisor], rtol=1e-12)
    if method == "REML":
        assert limits["beta_se"].values[0] == pytest.approx(0.853913, abs=1e-6)


def test_limits_are_approached_as_sigma_falls():
    nearly = LINES.assign(y=LINES["y"] + 1e-7 * np.array([1.0, -2, 1] * 4))
    best = certified_model(design(nearly, "y ~ x + (x | g)")).optimum.quantities
    for name, limit in existence_of(design(LINES, "y ~ x + (x | g)")).limits.items():
        np.testing.assert_allclose(best[name].values, limit.values, atol=1e-6)


def test_a_line_that_is_missed_by_one_bit_has_an_optimum():
    y = LINES["y"].to_numpy().copy()
    y[4] = np.nextafter(y[4], 9.0)
    existence = existence_of(design(LINES.assign(y=y), "y ~ x + (x | g)"))
    assert existence.kind == "unique"
    assert not existence.sentence


def test_a_constant_response_within_groups():
    data = LINES.assign(y=np.repeat([1.0, 4, 2, 8], 3), h=["u", "v", "w"] * 4)
    sentence = existence_of(design(data, "y ~ x + (1 | g) + (1 | h)")).sentence
    assert sentence.startswith("the response is constant within each group of 'g'")
    sentence = existence_of(design(data.assign(y=data.y + data.x), "y ~ x + (1 | g)")).sentence
    assert "fit the response exactly" in sentence
    assert existence_of(design(data, "y ~ x + (1 | h)")).kind == "unique"


def test_the_fixed_effects_alone_fit_exactly():
    data = LINES.assign(y=2 + 3 * LINES.x)
    sentence = existence_of(design(data, "y ~ x + (x | g)")).sentence
    assert sentence.startswith("the fixed effects fit the response exactly")


def machines() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    worker = np.repeat(np.arange(6), 9)
    machine = np.tile(np.repeat(np.arange(3), 3), 6)
    y = 50 + 4 * machine + 3 * rng.normal(size=(6, 3))[worker, machine] + rng.normal(size=54)
    return pd.DataFrame({"y": y, "m": [f"m{k}" for k in machine], "w": [f"w{k}" for k in worker]})


@pytest.mark.parametrize("method", METHODS)
def test_terms_that_span_the_same(method):
    model = certified_model(design(machines(), "y ~ m + (m || w)", method))
    assert "span the same: their variances cannot be told apart" in model.existence.sentence
    plain = certified_model(design(machines(), "y ~ m + (0 + m | w)", method))
    best, other = model.optimum.quantities, plain.optimum.quantities
    assert set(other) - set(best) == {"random_cov[w]", "blup[w]"}
    for name, quantity in best.items():
        np.testing.assert_allclose(quantity.values, other[name].values, rtol=1e-7, atol=1e-8)
    assert plain.existence.kind == "unique"


def test_a_fixed_part_that_spans_the_groups():
    data = clusters(3, [4, 5, 3])
    model = certified_model(design(data, "y ~ x + g + (1 | g)"))
    assert model.existence.kind == "not identified"
    best = model.optimum.quantities
    assert {"beta", "sigma", "loglik", "fitted"} <= set(best)
    assert not {"beta_cov", "beta_se", "random_cov[g]", "blup[g]"} & set(best)
    one, other = (model.deviance(1.0, {"g": np.array([[t]])}) for t in (0.0, 7.0))
    assert one == pytest.approx(other, abs=1e-10)  # what the answer says
    assert certified_model(design(data, "y ~ x + g + (1 | g)", "ML")).existence.kind == "unique"


def test_a_saturated_design_has_its_optimum_where_the_limit_is_higher():
    data = pd.DataFrame({"y": [20.0, 20, 0], "x": [1.0, 0, 2], "g": ["a", "b", "b"]})
    best = certified_model(design(data, "y ~ 0 + x + (1 | g)")).optimum
    assert best.singular
    assert best.deviance == pytest.approx(19.0574, abs=1e-4)


def test_a_variance_below_zero_by_rounding_is_an_answer():
    for formula in ("y ~ x + (1 | g)", "y ~ x + (x | g)"):
        model = certified_model(design(clusters(1, [5, 6, 7, 4]), formula))
        q = model.optimum.quantities["random_cov[g]"].values.shape[0]
        below = model.deviance(1.0, {"g": -1e-12 * np.eye(q)})
        assert below == model.deviance(1.0, {"g": np.zeros((q, q))})
        assert np.isfinite(model.implied(1.0, {"g": -1e-12 * np.eye(q)})["beta"].values).all()
