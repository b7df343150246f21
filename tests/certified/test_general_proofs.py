"""What the general core proves and what it refuses to prove."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import cross_products
from pp_compare.certified.equations.krawczyk import NotProvedError, certified_minimum, cholesky
from pp_compare.certified.general import optimum
from pp_compare.certified.general.face import Face, candidate_faces
from pp_compare.certified.general.optimum import _certify, general_optimum
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.multistart import search
from pp_compare.errors import DataError
from tests.certified.general_models import (
    DPS,
    Model,
    entries,
    factor_matrices,
    profiled_deviance,
    slopes,
)


def column(*values):
    return arb_mat([[arb(v)] for v in values])


def prove(gradient, hessian, *start):
    """Run the prover on a function of two variables given by its derivatives."""

    def derivatives(x):
        a, b = x[0, 0], x[1, 0]
        return arb_mat([[g] for g in gradient(a, b)]), arb_mat(hessian(a, b))

    with ctx.workprec(256):
        return certified_minimum(derivatives, column(*start), digits=30)


def test_a_known_minimum_is_enclosed():
    # (a^2 - 2)^2 + (b - a)^2 has the minimum (sqrt 2, sqrt 2)
    found = prove(
        lambda a, b: (4 * a * (a * a - 2) - 2 * (b - a), 2 * (b - a)),
        lambda a, b: [[12 * a * a - 8 + 2, -2], [-2, 2]],
        1.41,
        1.41,
    )
    with ctx.workprec(256):
        root = arb(2).sqrt()
        for i in range(2):
            assert found.point[i, 0].overlaps(root)
            assert found.point[i, 0].rad() < 1e-30
            assert found.box[i, 0].contains(found.point[i, 0])
    assert float(found.box[0, 0].rad()) > 1e-3


@pytest.mark.parametrize(
    ("gradient", "hessian"),
    [
        pytest.param(lambda a, b: (2 * a, -2 * b), lambda a, b: [[2, 0], [0, -2]], id="saddle"),
        pytest.param(lambda a, b: (-a, -b), lambda a, b: [[-1, 0], [0, -1]], id="maximum"),
        pytest.param(lambda a, b: (a, 0 * b), lambda a, b: [[1, 0], [0, 0]], id="valley"),
        pytest.param(
            lambda a, b: (4 * a * a * a, b), lambda a, b: [[12 * a * a, 0], [0, 1]], id="quartic"
        ),
        pytest.param(lambda a, b: (a.exp(), b), lambda a, b: [[a.exp(), 0], [0, 1]], id="no zero"),
        pytest.param(
            lambda a, b: (a + 1, b), lambda a, b: [[arb(0.1), 0], [0, arb(0.1)]], id="wrong Hessian"
        ),
    ],
)
def test_what_is_no_proper_minimum_is_not_certified(gradient, hessian):
    with pytest.raises(NotProvedError):
        prove(gradient, hessian, 0.01, 0.02)


def test_a_box_that_the_operator_does_not_map_into_itself_proves_nothing():
    """Newton converges and the Hessian is positive over every box, but known far too poorly."""

    def hessian(a, b):
        poor = arb(1) if a.is_exact() else arb(1).union(arb(1000))
        return [[poor, 0], [0, 1]]

    with pytest.raises(NotProvedError, match="Krawczyk"):
        prove(lambda a, b: (a, b), hessian, 0.01, 0.02)


def test_a_gradient_known_to_few_digits_is_not_certified():
    noise = arb(0, 1e-20)
    with pytest.raises(NotProvedError, match="digits"):
        prove(lambda a, b: (a + noise, b), lambda a, b: [[1, 0], [0, 1]], 0.01, 0.02)


def test_cholesky_proves_only_what_every_enclosed_matrix_satisfies():
    wide = arb(0, 1)
    assert cholesky(arb_mat([[3, wide], [wide, 3]])).nrows() == 2
    with pytest.raises(NotProvedError):
        cholesky(arb_mat([[1, wide], [wide, 1]]))


# --- boundaries -------------------------------------------------------------------------------


def no_cluster_effect():
    """Every cluster is the same: less variation between clusters than chance would give."""
    x = np.tile([-1.0, 0.0, 1.5], 3)
    X = np.column_stack([np.ones(9), x])
    y = np.tile([1.0, 3.0, 2.0], 3)
    return Model("none", y, X, (RandomBlock(np.repeat(np.arange(3), 3), X),))


def proportional_effects():
    """Slopes exactly proportional to intercepts: the correlation is estimated as one."""
    group = np.repeat(np.arange(6), 4)
    x = np.tile([0.0, 1.0, 2.0, 3.0], 6)
    X = np.column_stack([np.ones(24), x])
    effect = np.array([2.0, -3.0, 0.5, 1.0, -1.5, 4.0])
    y = effect[group] * (1 + 0.75 * x) + np.tile([1.0, -2.0, 1.5, -0.5], 6)
    return Model("proportional", y, X, (RandomBlock(group, X),))


def one_of_two():
    """Uncorrelated terms, a slope that varies and an intercept that does not."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(5), 4)
    x = np.tile([-3.0, -1.0, 1.0, 3.0], 5)
    one = np.ones((20, 1))
    noise = rng.normal(size=20)
    noise -= np.repeat(noise.reshape(5, 4).mean(1), 4)
    y = 1 + rng.normal(size=5)[group] * x + noise
    return Model("half", y, one, (RandomBlock(group, one), RandomBlock(group, x[:, None])))


BOUNDARY = [
    (no_cluster_effect(), (0,)),
    (proportional_effects(), (1,)),
    (one_of_two(), (0, 1)),
]


@pytest.mark.parametrize(("model", "ranks"), BOUNDARY, ids=[m.name for m, _ in BOUNDARY])
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_boundary_optimum_is_proved_and_is_a_minimum_over_the_cone(model, ranks, reml):
    found = general_optimum(*model.data, reml=reml)
    assert (found.claim, found.ranks, found.singular) == ("local", ranks, True), found.reason
    rng = np.random.default_rng(1)
    with mp.workdps(DPS):
        G = [t * t.T for t in factor_matrices(model, entries(found.theta))]
        best = profiled_deviance(model, G, reml)
        for _ in range(10):
            # random directions into the cone: every one of them must rise
            add = [np.tril(rng.normal(size=(len(g), len(g)))) for g in G]
            moved = [
                g + mp.mpf(10) ** -8 * mp.matrix((a @ a.T).tolist())
                for g, a in zip(G, add, strict=True)
            ]
            assert profiled_deviance(model, moved, reml) > best


def test_boundary_point_from_which_the_deviance_falls_is_not_certified():
    """Zero is stationary for every model, by symmetry; here it is a maximum."""
    model = slopes(0, effect=3.0)
    products = cross_products(*model.data)
    criterion = FloatCriterion(products, reml=True)
    _, slope, curvature = criterion(np.zeros(3))
    assert np.abs(slope).max() < 1e-9
    assert np.linalg.eigvalsh(curvature).min() < 0
    found = general_optimum(*model.data, reml=True, starts=[np.zeros(3)])
    assert found.claim == "local"
    assert found.ranks != (0,)


def test_the_first_face_tried_is_rejected_where_it_is_wrong():
    """A small but positive variance: the boundary is tried first and refused by its slope."""
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(40), 60)
    one = np.ones((2400, 1))
    effect = np.linspace(-1, 1, 40)
    noise = rng.normal(size=2400)
    noise -= np.repeat(noise.reshape(40, 60).mean(1), 60)
    noise /= np.sqrt((noise**2).sum() / 2360)
    # mean squares of cluster means that exceed what chance gives by a hair
    y = noise + (effect * np.sqrt(1.00003 / 60 / effect.var(ddof=1)))[group]
    found = general_optimum(y, one, [RandomBlock(group, one)], reml=True)
    assert (found.claim, found.ranks) == ("local", (1,)), found.reason
    assert 0 < float(found.theta[0, 0]) ** 2 < 1e-6


def test_a_worse_minimum_than_the_search_has_seen_is_not_claimed(monkeypatch):
    criterion = FloatCriterion(cross_products(*slopes(0).data), reml=True)
    best = search(criterion, [], seed=0)[0][0]
    assert not _certify(criterion, best, 30, 300).reason
    deeper = replace(best, deviance=best.deviance - 0.01)
    assert not _certify(criterion, deeper, 30, 300).reason  # what float64 made of it is no reason
    monkeypatch.setattr(optimum, "_seen", lambda *_: deeper.deviance)
    assert "the search has seen" in _certify(criterion, deeper, 30, 300).reason


def test_faces_are_tried_from_the_lowest_rank():
    factors = [np.array([[1.0, 0.0], [0.5, 1e-5]]), np.array([[1e-4]])]
    faces = [face.pivots for face, _ in candidate_faces(factors)]
    assert faces == [((0,), ()), ((0, 1), (0,))]


def test_a_pivot_that_may_be_zero_is_refused():
    face = Face((1,), ((0,),))
    face.require_positive_pivots([arb_mat([[arb(1)]])])
    with pytest.raises(NotProvedError, match="not certain"):
        face.require_positive_pivots([arb_mat([[arb(0, 1e-9)]])])


def test_a_face_without_a_lower_triangular_form_is_refused():
    with pytest.raises(NotProvedError, match="independent"):
        Face((3,), ((1, 2),)).require_lower_triangular()


# --- models without an optimum ----------------------------------------------------------------


def test_as_many_levels_as_rows_is_flat():
    model = slopes(1)
    flat = RandomBlock(np.arange(len(model.y)), np.ones((len(model.y), 1)))
    found = general_optimum(model.y, model.X, [flat], reml=True)
    assert found.claim == "none"
    assert "Hessian" in found.reason


def test_residual_variance_zero_has_no_optimum():
    group = np.repeat(np.arange(4), 3)
    one = np.ones((12, 1))
    found = general_optimum(
        np.array([1.0, 3, 2, 7])[group], one, [RandomBlock(group, one)], reml=False
    )
    assert found.claim == "none"
    assert "ran off" in found.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, X, b: (y, np.column_stack([X, X[:, 0] + 3 * X[:, 1]]), b), "linearly dependent"),
        (lambda y, X, b: (2 * X[:, 0] - X[:, 1], X, b), "exact linear combination"),
        (lambda y, X, b: (np.where(y == y[0], np.nan, y), X, b), "NaN"),
        (lambda y, X, b: (y, X, []), "at least one random term"),
        (lambda y, X, b: (y, X[1:], b), "rows"),
        (lambda y, X, b: (y, X, [RandomBlock(b[0].group - 1, b[0].Z)]), "group code"),
        (lambda y, X, b: (y, X, [RandomBlock(b[0].group[1:], b[0].Z)]), "Random term 1"),
    ],
)
def test_unusable_input_is_refused_with_its_reason(change, message):
    # integers, so that the linear combinations above are exact
    group = np.repeat(np.arange(3), 3)
    X = np.column_stack([np.ones(9), np.arange(9.0) ** 2])
    y = np.array([1.0, 5, 2, 4, 4, 7, 1, 0, 3])
    y, X, blocks = change(y, X, [RandomBlock(group, X[:, :1])])
    with pytest.raises(DataError, match=message):
        general_optimum(y, X, blocks, reml=True)


def test_a_theta_of_the_wrong_length_is_refused():
    model = slopes(0)
    with pytest.raises(DataError, match="3 entries"):
        general_optimum(*model.data, reml=True, starts=[np.ones(2)])
