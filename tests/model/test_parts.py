"""Columns that engines code otherwise are handed over computed, and dependent ones are let go."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pp_compare.engines import make_engine
from pp_compare.engines.formulas import fixed_formula
from pp_compare.errors import DataError
from pp_compare.model import Dataset
from pp_compare.model.design import Design, build_design, independent_columns
from pp_compare.model.formula import parse_formula


def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 48
    frame = pd.DataFrame(rng.uniform(0.5, 3, (n, 3)), columns=["y", "x", "z"])
    frame["arm"], frame["sex"] = np.tile(["a", "b", "c"], 16), np.repeat(["f", "m"], 24)
    frame["g"] = np.tile(np.repeat(list("pqrstuvw"), 3), 2)
    frame["twice"] = 2 * frame["x"]
    frame["dose"] = pd.Categorical(np.tile(["lo", "mid", "hi"], 16), ["lo", "mid", "hi"], True)
    return frame


def design(formula: str, **more: Any) -> Design:
    return build_design(Dataset("data.csv", data()), parse_formula(formula), **more)


def test_a_formula_that_all_code_alike_stays_what_was_typed():
    made = design("y ~ arm * x + (1 + x|g)")
    assert made.fixed == made.spec.fixed
    assert [block.term for block in made.blocks] == list(made.spec.random)
    assert fixed_formula(made) == "y ~ 1 + arm + x + arm:x"


def test_a_polynomial_becomes_a_variable_a_column_and_factors_stay():
    made = design("y ~ poly(x, 2) * arm + (0 + poly(x, 2)|g)")
    first, second = (made.alias(f"poly(x, 2)[{k}]") for k in (1, 2))
    assert fixed_formula(made) == (f"y ~ 1 + {first} + {second} + arm + {first}:arm + {second}:arm")
    assert made.labels[:4] == ("Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]", "arm[T.b]")
    assert made.labels[5:7] == ("poly(x, 2)[1]:arm[T.b]", "poly(x, 2)[2]:arm[T.b]")
    assert made.blocks[0].labels == ("poly(x, 2)[1]", "poly(x, 2)[2]")
    assert np.array_equal(made.frame[first], made.X[:, 1])


@pytest.mark.parametrize(
    ("formula", "labels"),
    [
        ("y ~ dose + (1|g)", ["dose[.L]", "dose[.Q]"]),
        ("y ~ C(arm, Sum) + (1|g)", ["C(arm, Sum)[S.1]", "C(arm, Sum)[S.2]"]),
        ("y ~ C(arm, contr.helmert):x + (1|g)", [f"C(arm, contr.helmert)[{a}]:x" for a in "abc"]),
    ],
)
def test_other_contrasts_become_a_variable_a_column(formula: str, labels: list[str]):
    made = design(formula)
    assert made.labels == ("Intercept", *labels)
    assert made.fixed == tuple((label,) for label in labels)


DEPENDENT = {
    "y ~ arm:sex + (1|g)": ("arm[c]:sex[m]",),
    "y ~ x + twice + z + (1|g)": ("twice",),
    "y ~ twice + x + (1|g)": ("x",),
    "y ~ 0 + arm + sex + arm:sex + I(0 * x) + (1|g)": ("I(0 * x)",),
    "y ~ C(arm, Sum) + arm + x + (1|g)": ("arm[T.b]", "arm[T.c]"),
    "y ~ poly(x, 2) + x + I(x^2) + I(x^3) + (1|g)": ("x", "I(x^2)"),
}


@pytest.mark.parametrize("formula", DEPENDENT)
def test_dependent_columns_are_refused_with_those_that_lmer_drops(formula: str):
    with pytest.raises(DataError, match=r"(with --rank drop: |is zero in every row)") as said:
        design(formula)
    if "zero" not in str(said.value):
        assert str(said.value).endswith(", ".join(map(repr, DEPENDENT[formula])))
    made = design(formula, rank="drop")
    assert made.columns_dropped == DEPENDENT[formula]
    assert np.linalg.matrix_rank(made.X) == len(made.labels)


@pytest.mark.needs_r
@pytest.mark.parametrize("formula", DEPENDENT)
def test_lmer_drops_the_same_and_all_engines_fit_what_is_left(formula: str):
    """lmer() itself, on every column, against the design without those that are dropped."""
    import rpy2.robjects as ro
    from rpy2.robjects import numpy2ri

    made = design(formula, rank="drop")
    whole = design_with_everything(formula)
    with (ro.default_converter + numpy2ri.converter).context():
        kept = ro.r("""function(X, y, g) {
            colnames(X) <- seq_len(ncol(X)); g <- factor(g)
            as.integer(colnames(suppressMessages(lme4::lFormula(y ~ 0 + X + (1 | g)))$X) |>
              sub(pattern = "^X", replacement = ""))
        }""")(whole, made.y, made.group_codes["g"])
    left = [k for k in range(whole.shape[1]) if k + 1 in np.asarray(kept)]
    assert left == independent_columns(whole)
    fits = [make_engine(name).fit(made) for name in ("lme4", "nlme", "statsmodels")]
    assert [(fit.status, fit.design_error) for fit in fits] == [("ok", 0.0)] * 3
    values = [float(fit["loglik"]) for fit in fits]
    # Each stops where it stops: the deviance of a good stop is within 1e-3 of the best.
    assert max(values) - min(values) < 5e-4


def design_with_everything(formula: str) -> np.ndarray:
    from pp_compare.model.matrices import design_matrix
    from pp_compare.model.variables import complete_rows, variable_names

    spec = parse_formula(formula)
    rows = complete_rows(Dataset("data.csv", data()), spec, "raise")
    values = {name: rows.value(name) for name in variable_names(spec)}
    return design_matrix(spec.intercept, spec.fixed, values, rows.n)[0]


def test_the_dot_stands_for_the_other_columns():
    frame = data()[["y", "x", "arm", "g"]]
    made = build_design(Dataset("few", frame), parse_formula("y ~ . - g + (1|g)"))
    assert made.spec.fixed == (("x",), ("arm",))
    assert made.labels == ("Intercept", "x", "arm[T.b]", "arm[T.c]")


def test_what_depends_on_many_rows_is_computed_over_all_that_have_what_it_needs():
    """As R does: scale() is made before rows are dropped for what other columns miss."""
    frame = data()
    frame.loc[0, "z"] = np.nan
    made = build_design(Dataset("gap", frame), parse_formula("y ~ scale(x) + z + (1|g)"), "drop")
    wanted = (frame["x"] - frame["x"].mean()) / frame["x"].std()
    assert made.n_obs == len(frame) - 1
    assert np.allclose(made.X[:, 1], wanted[1:], rtol=1e-14)


def test_a_name_that_could_be_computed_and_is_a_column_is_asked_about():
    frame = data().assign(**{"log(x)": 1.0})
    with pytest.raises(DataError, match=r"'log\(x\)' can be computed, and d has a column of that"):
        build_design(Dataset("d", frame), parse_formula("y ~ log(x) + (1|g)"))
    frame["log(x)"] = np.arange(48.0)
    made = build_design(Dataset("d", frame), parse_formula("y ~ `log(x)` + (1|g)"))
    assert np.array_equal(made.X[:, 1], np.arange(48.0))
    plain = frame.rename(columns={"z": "pre-post"})
    made = build_design(Dataset("d", plain), parse_formula("y ~ `pre-post` + (1|g)"))
    assert made.labels == ("Intercept", "pre-post")


WIDE = {
    "a factor with a level a row": ("y ~ C(id) + (1|g)", 'about 1501 columns for 1500 rows.*"?id'),
    "a product of two": ("y ~ C(k):C(m) + (1|g)", "about 1521 columns.*meant as a number"),
    "a wide random term": ("y ~ (C(k)|g)", "has 60 correlated effects; at most 50"),
    "a polynomial": ("y ~ poly(x, 99999) + (1|g)", "degree = 99999 is above 100"),
    "a spline": ("y ~ bs(x, df = 1e9) + (1|g)", "is above 100"),
}


@pytest.mark.parametrize("what", WIDE)
def test_what_data_can_ask_for_is_bounded_before_it_is_made(what: str):
    n, (formula, said) = 1500, WIDE[what]
    k = 60 if "wide" in what else 40
    index = np.arange(n)
    frame = pd.DataFrame({"y": np.sin(index), "x": index / n, "id": index, "k": index % k})
    frame["m"], frame["g"] = index // k % 40, index % 7
    with pytest.raises(DataError, match=said):
        build_design(Dataset("wide", frame), parse_formula(formula))
