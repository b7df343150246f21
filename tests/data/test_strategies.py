"""Generated data: always fit for a model, wide enough to find trouble, small when shrunk."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st

from pp_compare.data import strategies
from pp_compare.data.strategies import Example, Ranges
from pp_compare.model.design import Design, build_design

STRATEGIES = {
    "random_intercept_cluster_level": strategies.random_intercept_cluster_level(),
    "random_intercept": strategies.random_intercept(),
    "random_slopes": strategies.random_slopes(),
    "nested": strategies.nested(),
    "crossed": strategies.crossed(),
}
EACH = pytest.mark.parametrize("examples", STRATEGIES.values(), ids=STRATEGIES)
CORE = STRATEGIES["random_intercept_cluster_level"]
# Filtering would show as a health check: none is suppressed but the time of one draw.
QUIET = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def indicators(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.arange(codes.max() + 1)).astype(float)


def components(design: Design) -> list[np.ndarray]:
    """Z of every variance in the model, one for each random effect of each block."""
    return [
        indicators(block.codes) * column[:, None] for block in design.blocks for column in block.Z.T
    ]


@EACH
def test_every_example_can_be_fitted(examples: st.SearchStrategy[Example]):
    """Regular REML information, full rank, a residual that the model cannot take away."""

    @seed(20)
    @settings(QUIET, max_examples=20)
    @given(examples)
    def check(example: Example) -> None:
        design = build_design(*example)  # raises where it refuses
        Z, n = components(design), design.n_obs
        X = design.X / np.linalg.norm(design.X, axis=0)
        assert n > X.shape[1]
        assert np.linalg.cond(X) < 1e7
        P = np.eye(n) - X @ np.linalg.pinv(X)
        parts = np.array([P.ravel(), *((P @ z @ z.T @ P).ravel() for z in Z)])
        parts /= np.linalg.norm(parts, axis=1)[:, None]
        assert np.linalg.matrix_rank(parts, tol=1e-5) == len(parts)
        everything = np.hstack([X, *Z])
        residual = design.y - everything @ np.linalg.lstsq(everything, design.y, rcond=1e-10)[0]
        # The spread left within clusters, seen from the size of the response: far above rounding.
        assert np.abs(residual).max() > 1e-9 * np.abs(design.y).max()

    check()


@seed(21)
@settings(QUIET, max_examples=20)
@given(CORE)
def test_core_examples_have_a_cluster_level_design(example: Example):
    design = build_design(*example)
    assert design.spec.is_random_intercept
    codes = design.blocks[0].codes
    first = np.unique(codes, return_index=True)[1]
    assert np.array_equal(design.X, design.X[first][codes])
    # One cluster more than fixed effects, or the variance between clusters has no information.
    assert len(design.blocks[0].levels) > design.X.shape[1]


@EACH
def test_the_same_seed_gives_the_same_data(examples: st.SearchStrategy[Example]):
    def draws() -> list[tuple[str, str, str]]:
        seen = []

        @seed(5)
        @settings(QUIET, max_examples=20, phases=[Phase.generate])
        @given(examples)
        def collect(example: Example) -> None:
            dataset, spec = example
            seen.append((dataset.sha256(), spec.formula, spec.method))

        collect()
        return seen

    first = draws()
    assert first == draws()
    assert len(set(first)) > 10


def found(examples: st.SearchStrategy[Example], wanted: Callable[[Example], bool]) -> Example:
    """The first example that is as wanted; Hypothesis raises NoSuchExample where there is none."""
    only = settings(QUIET, max_examples=3_000, phases=[Phase.generate])
    return find(examples, wanted, settings=only)


def shrunk(examples: st.SearchStrategy[Example], wanted: Callable[[Example], bool]) -> Example:
    """The simplest such example."""
    return find(examples, wanted, settings=QUIET)


def response(example: Example) -> np.ndarray:
    return example[0].frame["y"].to_numpy()


def sizes(example: Example) -> np.ndarray:
    return example[0].frame["g"].value_counts().to_numpy()


@pytest.mark.parametrize(
    ("name", "rows", "formula"),
    [
        ("random_intercept_cluster_level", 3, "y ~ 1 + (1|g)"),
        pytest.param("random_slopes", 5, "y ~ x + (x|g)", marks=pytest.mark.slow),
        pytest.param("nested", 4, "y ~ 1 + (1|a/b)", marks=pytest.mark.slow),
        pytest.param("crossed", 4, "y ~ 1 + (1|a) + (1|b)", marks=pytest.mark.slow),
    ],
)
def test_anything_shrinks_to_the_smallest_model(name: str, rows: int, formula: str):
    dataset, spec = shrunk(STRATEGIES[name], lambda _: True)
    assert len(dataset.frame) == rows
    assert (spec.formula, spec.method) == (formula, "REML")
    assert set(dataset.frame["y"]) <= {0, 1}


def test_a_fault_that_needs_a_predictor_shrinks_to_one_binary_predictor():
    dataset, spec = shrunk(CORE, lambda example: bool(example[1].fixed))
    assert spec.fixed == (("w1",),)
    assert len(dataset.frame) <= 8
    assert set(dataset.frame["w1"]) == {0, 1}
    assert (response((dataset, spec)) == response((dataset, spec)).round()).all()


REACHED: dict[str, Callable[[Example], bool]] = {
    "many clusters of one row": lambda e: (sizes(e) == 1).sum() >= 3,
    "strong imbalance": lambda e: sizes(e).max() >= 100 * sizes(e).min(),
    "twelve clusters": lambda e: len(sizes(e)) == 12,
    "three predictors": lambda e: len(e[1].fixed) == 3,
    "a factor of four levels": lambda e: any(
        e[0].frame[c].nunique() == 4 for c in e[0].frame if str(e[0].frame[c].dtype) == "category"
    ),
    "a continuous predictor": lambda e: any(
        (e[0].frame[c] != e[0].frame[c].round()).any()
        for c in e[0].frame.select_dtypes("number").columns.drop(["y", "g"], errors="ignore")
    ),
    "no intercept": lambda e: not e[1].intercept,
    "ML": lambda e: e[1].method == "ML",
    "large scale": lambda e: np.ptp(response(e)) > 1e6,
    "small scale": lambda e: np.ptp(response(e)) < 1e-5,
    "large offset": lambda e: np.abs(response(e)).min() > 1e3 * np.ptp(response(e)),
    "negative": lambda e: response(e).max() < 0,
    "ties": lambda e: len(set(response(e))) < len(response(e)) / 4,
    "continuous": lambda e: len(set(response(e))) == len(response(e)) > 40,
    "shuffled rows": lambda e: (np.diff(build_design(*e).blocks[0].codes) < 0).any(),
    "text labels": lambda e: isinstance(e[0].frame["g"].iloc[0], str),
    "labels beyond ASCII": lambda e: not str(e[0].frame["g"].iloc[0]).isascii(),
    "next to no variance between clusters": lambda e: icc(e) < -0.02,
    "next to all variance between clusters": lambda e: icc(e) > 0.999,
}


def icc(example: Example) -> float:
    """Analysis-of-variance estimate of the intraclass correlation, predictors aside."""
    groups = [g.to_numpy() for _, g in example[0].frame.groupby("g", observed=True)["y"]]
    n, J = sum(map(len, groups)), len(groups)
    mean = np.concatenate(groups).mean()
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - J)
    between = sum(len(g) * (g.mean() - mean) ** 2 for g in groups) / (J - 1)
    n0 = (n - sum(len(g) ** 2 for g in groups) / n) / (J - 1)
    return float((between - within) / (between + (n0 - 1) * within))


@pytest.mark.parametrize("what", REACHED)
def test_the_core_strategy_reaches(what: str):
    assert REACHED[what](found(CORE, REACHED[what]))


def test_predictors_within_clusters_on_request():
    def varies(example: Example) -> bool:
        dataset, spec = example
        return any(
            dataset.frame.groupby("g", observed=True)[name].nunique().max() > 1
            for (name,) in spec.fixed
        )

    assert varies(found(STRATEGIES["random_intercept"], varies))


@pytest.mark.parametrize("bar", ["(x|g)", "(x||g)"])
def test_slopes_of_either_kind(bar: str):
    assert found(STRATEGIES["random_slopes"], lambda e: bar in e[1].formula)[1].formula


@pytest.mark.parametrize("random", ["(1|a/b)", "(1|a) + (1|b)"])
def test_nested_labels_of_either_kind(random: str):
    dataset, _ = found(
        STRATEGIES["nested"], lambda e: random in e[1].formula and e[0].frame["a"].nunique() > 2
    )
    repeated = dataset.frame.groupby("b")["a"].nunique().max() > 1
    assert repeated == (random == "(1|a/b)")


def test_ranges_and_methods_are_kept():
    ranges = Ranges(clusters=3, rows=2, crowd=0, predictors=0, scale_decades=0, offset_decades=0)

    @settings(QUIET, max_examples=30)
    @given(strategies.random_intercept(ranges=ranges, methods=("ML",)))
    def check(example: Example) -> None:
        assert len(sizes(example)) <= 3
        assert sizes(example).max() <= 2
        assert example[1].fixed == ()
        assert example[1].method == "ML"
        assert np.abs(response(example)).max() < 100

    check()


@seed(22)
@settings(QUIET, max_examples=20)
@given(CORE, st.sampled_from((0.0, 0.1, 10.0)))
def test_generalised_least_squares_obeys_the_core_identity(example: Example, rho: float):
    """At any variance ratio, from the textbook: these data are fit to judge engines by."""
    design = build_design(*example)
    codes, X, y = design.blocks[0].codes, design.X, design.y
    n = np.bincount(codes)
    first = np.unique(codes, return_index=True)[1]
    W = X[first] / np.linalg.norm(X[first], axis=0)
    means = np.bincount(codes, y) / n
    weight = n / (1 + n * rho)
    root = np.sqrt(weight)[:, None]
    beta = np.linalg.lstsq(root * W, root[:, 0] * means, rcond=None)[0]
    predicted = W @ beta + rho * weight * (means - W @ beta)
    ols = np.linalg.lstsq(W, predicted, rcond=None)[0]
    # Rounding of two least-squares fits: J eps cond^2, on the line, at the size of the response.
    condition = np.linalg.cond(root * W) ** 2
    tolerance = len(n) * np.finfo(float).eps * condition * np.abs(y).max()
    assert np.abs(W @ (ols - beta)).max() <= tolerance
