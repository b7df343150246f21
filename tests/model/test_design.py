"""The design: rows, levels, columns, and every reason to refuse data."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pp_compare.errors import DataError, FormulaError
from pp_compare.model import Dataset
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.variables import NaPolicy

Y = [1.0, 2.0, 4.0, 7.0, 3.0, 5.0]
GROUP = list("aabbcc")
NUMBERS = [0.0, 1.0, 2.0, 0.0, 1.0, 5.0]


def design(formula: str, na: NaPolicy = "raise", **columns: Sequence[Any]) -> Design:
    """Six rows in three clusters, with columns replaced or added."""
    frame = pd.DataFrame({"y": Y, "x": NUMBERS, "g": GROUP, **columns})
    return build_design(Dataset("data.csv", frame), parse_formula(formula), na)


def refused(message: str, formula: str, na: NaPolicy = "raise", **columns: Sequence[Any]) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        design(formula, na, **columns)


def test_a_plain_design():
    made = design("y ~ x + (1|g)")
    assert made.labels == ("Intercept", "x")
    assert made.X.tolist() == [[1, x] for x in NUMBERS]
    assert made.y.tolist() == Y
    assert made.n_obs == 6
    assert made.rows_dropped == 0
    assert made.group_levels == {"g": ("a", "b", "c")}
    assert made.group_codes["g"].tolist() == [0, 0, 1, 1, 2, 2]
    assert made.random_labels("g") == ("Intercept",)
    assert list(made.frame.columns) == ["y", "x", "g"]


@pytest.mark.parametrize(
    ("formula", "labels"),
    [
        ("y ~ f + (1|g)", ["Intercept", "f[T.v]"]),
        ("y ~ 0 + f + (1|g)", ["f[u]", "f[v]"]),
        ("y ~ f*x + (1|g)", ["Intercept", "f[T.v]", "x", "f[T.v]:x"]),
        ("y ~ f*k + (1|g)", ["Intercept", "f[T.v]", "k[T.q]", "f[T.v]:k[T.q]"]),
        ("y ~ f:x + (1|g)", ["Intercept", "f[u]:x", "f[v]:x"]),
        ("y ~ 0 + f:k + (1|g)", ["f[u]:k[p]", "f[v]:k[p]", "f[u]:k[q]", "f[v]:k[q]"]),
        ("y ~ I(x^2) + (1|g)", ["Intercept", "I(x^2)"]),
        ("y ~ C(z) + (1|g)", ["Intercept", "C(z)[T.2]"]),
        ("y ~ b + (1|g)", ["Intercept", "b[T.True]"]),
    ],
)
def test_treatment_contrasts(formula: str, labels: list[str]):
    made = design(
        formula, f=list("uvuvvu"), k=list("ppqqqp"), z=[1, 2, 2, 1, 1, 2], b=[True, False] * 3
    )
    assert list(made.labels) == labels
    assert np.linalg.matrix_rank(made.X) == len(labels)


def test_columns_are_the_products_of_their_factors():
    made = design("y ~ f*x + (1|g)", f=list("uvuvvu"))
    in_v = np.array([level == "v" for level in "uvuvvu"], dtype=float)
    expected = np.column_stack([np.ones(6), in_v, NUMBERS, in_v * NUMBERS])
    assert np.array_equal(made.X, expected)


def test_functions_of_a_column():
    made = design("log(y) ~ I(x^2) + sqrt(x) + (1|g)")
    assert np.array_equal(made.y, np.log(Y))
    assert np.array_equal(made.X[:, 1], np.square(NUMBERS))
    assert np.array_equal(made.X[:, 2], np.sqrt(NUMBERS))


def test_the_first_level_is_the_reference():
    order = pd.CategoricalDtype(["v", "w", "u"])  # w does not occur
    made = design("y ~ f + (1|g)", f=pd.Series(list("uvuvuv"), dtype=order))
    assert made.labels == ("Intercept", "f[T.u]")
    assert made.variables["f"].levels == ("v", "u")


def test_an_ordered_factor_has_polynomial_contrasts():
    order = pd.CategoricalDtype(["v", "u"], ordered=True)
    made = design("y ~ f + (1|g)", f=pd.Series(list("uvuvuv"), dtype=order))
    assert made.labels == ("Intercept", "f[.L]")
    assert np.allclose(made.X[:, 1], np.array([1, -1] * 3) / np.sqrt(2))


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([10, 10, 9, 9, 1, 1], ("1", "9", "10")),
        ([1.0, 1.0, 2.5, 2.5, 3.0, 3.0], ("1", "2.5", "3")),
        ([0.3, 0.3, 0.1 + 0.2, 0.1 + 0.2, 1, 1], ("0.3", "0.30000000000000004", "1")),
        ([2**60, 2**60, 2**60 + 1, 2**60 + 1, 3, 3], ("3", str(2**60), str(2**60 + 1))),
        (list("BBaaÄÄ"), ("B", "a", "Ä")),
        ([True, False] * 3, ("False", "True")),
    ],
)
def test_group_labels(values: list[Any], levels: tuple[str, ...]):
    """Numbers in their own order and exactly, text by code point."""
    assert design("y ~ x + (1|g)", g=values).group_levels["g"] == levels


def test_nested_and_crossed_groups():
    made = design("y ~ x + (1|g/h)", h=list("uuuvvv"))
    assert made.group_levels == {"g": ("a", "b", "c"), "g:h": ("a:u", "b:u", "b:v", "c:v")}
    assert made.group_codes["g:h"].tolist() == [0, 0, 1, 2, 3, 3]


def test_blocks_of_random_effects():
    made = design("y ~ x + (x||g) + (0 + f|h)", f=list("uvuvuv"), h=list("uuuvvv"))
    assert [block.labels for block in made.blocks] == [("Intercept",), ("x",), ("f[u]", "f[v]")]
    assert made.random_labels("g") == ("Intercept", "x")
    assert made.blocks[1].Z[:, 0].tolist() == NUMBERS
    assert np.array_equal(made.blocks[2].Z.sum(axis=1), np.ones(6))


def test_names_that_are_no_plain_words_get_an_alias():
    frame = pd.DataFrame({"my y": Y, "if": NUMBERS, "v1": [1, 0, 0, 1, 0, 1], "g h": GROUP})
    spec = parse_formula("`my y` ~ `if` + v1 + (1|`g h`)")
    made = build_design(Dataset("odd", frame), spec)
    assert made.labels == ("Intercept", "if", "v1")
    names = [made.alias(name) for name in ("my y", "if", "v1")] + [made.groups["g h"].alias]
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"[A-Za-z]\w*", name) for name in names)
    assert "if" not in names
    assert set(made.frame.columns) == set(names)


@pytest.mark.parametrize("name", ["group_0", "all_rows", "vc000"])
def test_names_that_engines_give_to_columns_of_their_own(name: str):
    made = design(f"y ~ {name} + (1|g)", **{name: NUMBERS})
    assert made.labels == ("Intercept", name)
    assert made.alias(name) != name


def test_a_column_that_is_predictor_and_group():
    made = design("y ~ n + (1|n)", n=[1, 1, 2, 2, 3, 3])
    assert made.frame["n"].tolist() == [1, 1, 2, 2, 3, 3]
    assert made.frame[made.groups["n"].alias].tolist() == list("112233")


@pytest.mark.parametrize(
    ("formula", "column"),
    [
        ("y ~ z + (1|g)", "z"),
        ("y ~ x + (1|h)", "h"),
        ("z ~ x + (1|g)", "z"),
        ("y ~ C(z) + (1|g)", "z"),
        ("log(z) ~ x + (1|g)", "z"),
        ("y ~ x + (z|g)", "z"),
        ("y ~ `two words` + (1|g)", "two words"),
    ],
)
def test_missing_column(formula: str, column: str):
    refused(f"no column '{column}' in data.csv; its columns are: y, x, g", formula)


def test_a_column_that_stands_twice():
    frame = pd.DataFrame([[1, 2, 3, "a"], [2, 2, 4, "b"]], columns=["y", "x", "x", "g"])
    with pytest.raises(DataError, match=r"^column 'x' stands more than once in data.csv"):
        build_design(Dataset("data.csv", frame), parse_formula("y ~ x + (1|g)"))


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (["1", "2", "three", "4", "5", "6"], "row 3 holds 'three'"),
        (["1", "2", "3", "4", "5", "6"], "row 1 holds '1'"),
        ([True, False] * 3, "row 1 holds 'True'"),
        (pd.Categorical([1, 2, 3, 4, 5, 6]), "row 1 holds '1'"),
        (np.array(Y) + 1j, "row 1 holds '(1+1j)'"),
    ],
)
def test_a_response_that_is_not_numeric(values: Sequence[Any], where: str):
    refused(f"the response 'y' is not numeric: {where}", "y ~ x + (1|g)", y=values)


def test_a_function_of_text():
    refused("'log(g)': column 'g' is not numeric", "y ~ log(g) + (1|g)")


@pytest.mark.parametrize(
    ("expression", "row", "value"), [("log(x)", 1, "0.0"), ("sqrt(z)", 2, "-1.0")]
)
def test_a_function_that_is_not_finite(expression: str, row: int, value: str):
    name = expression[-2]
    message = f"'{expression}' is not finite in row {row}, where {name} = {value}"
    refused(message, f"y ~ {expression} + (1|g)", z=[1, -1, 2, 3, 4, 5])


BAD = {
    "NaN in the response": ({"y": [1, np.nan, 4, 7, 3, 5]}, "1 of 6", "'y': 1; first in row 2"),
    "inf in a predictor": (
        {"x": [1, 2, np.inf, np.nan, 3, -np.inf]},
        "3 of 6",
        "'x': 3; first in row 3",
    ),
    "no group": ({"g": ["a", "a", "b", "b", None, "c"]}, "1 of 6", "'g': 1; first in row 5"),
    "NaN as group": ({"g": [1, 1, np.nan, 2, 2, 2]}, "1 of 6", "'g': 1; first in row 3"),
    "in two columns": (
        {"y": [np.nan, 2, 4, 7, 3, 5], "x": [np.nan, 1, 2, 0, np.nan, 5]},
        "2 of 6",
        "'y': 1, 'x': 2; first in row 1",
    ),
    "nullable integers": (
        {"x": pd.array([1, 2, None, 4, 5, 7], dtype="Int64")},
        "1 of 6",
        "'x': 1; first in row 3",
    ),
    "nullable booleans": (
        {"x": pd.array([True, False, None, True, True, False], dtype="boolean")},
        "1 of 6",
        "'x': 1; first in row 3",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_missing_and_infinite_values(what: str):
    columns, count, where = BAD[what]
    message = (
        f"{count} rows have a missing or infinite value ({where}); "
        "drop them for all engines alike with --na drop"
    )
    refused(message, "y ~ x + (1|g)", **columns)
    made = design("y ~ x + (1|g)", "drop", **columns)
    assert made.rows_dropped == int(count[0])
    assert made.n_obs == 6 - made.rows_dropped
    assert np.isfinite(made.X).all()
    assert np.isfinite(made.y).all()


def test_missing_values_elsewhere_do_not_count():
    assert design("y ~ x + (1|g)", other=[np.nan] * 6).n_obs == 6


def test_dropping_keeps_the_other_rows_and_loses_their_levels():
    made = design("y ~ x + (1|g)", "drop", y=[1.0, 2.0, 4.0, 7.0, np.nan, np.nan])
    assert made.y.tolist() == [1, 2, 4, 7]
    assert made.X[:, 1].tolist() == NUMBERS[:4]
    assert made.group_levels["g"] == ("a", "b")


def test_nothing_left():
    message = "data.csv: no row is left after dropping 6"
    refused(message, "y ~ x + (1|g)", "drop", y=[np.nan] * 6)


def test_one_cluster():
    message = "grouping factor 'g' has one level, 'a'; a random effect needs two"
    refused(message, "y ~ x + (1|g)", g=["a"] * 6)


def test_clusters_of_one_row_each():
    message = "every level of 'g' has one row (6 levels, 6 rows); its variance cannot be told"
    refused(message, "y ~ x + (1|g)", g=list("abcdef"))
    message = "every level of 'g:h' has one row"
    refused(message, "y ~ x + (1|g/h)", h=list("ababab"))


def test_one_cluster_of_two_rows_is_enough():
    assert len(design("y ~ 1 + (1|g)", g=list("aabcde")).group_levels["g"]) == 5


def test_a_constant_response():
    message = "the response 'y' is constant: 2.5 in all 6 rows"
    refused(message, "y ~ x + (1|g)", y=[2.5] * 6)


@pytest.mark.parametrize("formula", ["y ~ f + (1|g)", "y ~ 0 + f + (1|g)", "y ~ (f|g)"])
def test_a_factor_of_one_level(formula: str):
    refused("factor 'f' has one level, 'u'; a contrast needs two", formula, f=["u"] * 6)


def test_labels_that_cannot_be_told_apart():
    message = "two columns of the design are called 'Intercept'"
    refused(message, "y ~ Intercept + (1|g)", Intercept=NUMBERS)
    mixed = pd.Categorical([1, "1", 2, 1, "1", 2])
    refused("two levels of 'f' are called '1'", "y ~ f + (1|g)", f=mixed)
    refused("two levels of 'f' are called '1'", "y ~ x + (1|f)", f=mixed)
    parts = {"a": ["x:y", "x:y", "x", "x", "q", "q"], "b": ["z", "z", "y:z", "y:z", "z", "z"]}
    refused("two levels of 'a:b' are called 'x:y:z'", "y ~ x + (1|a:b)", **parts)


def test_no_fixed_effect():
    message = "'y ~ 0 + (1|g)' has no fixed effect; at least an intercept is needed"
    refused(message, "y ~ 0 + (1|g)")


@pytest.mark.parametrize(
    ("z", "extra"),
    [
        ([3.0] * 6, "'z'"),
        ([2 * x + 1 for x in NUMBERS], "'z'"),
        ([0.1 * x + 0.7 for x in NUMBERS], "'z'"),  # only up to rounding
    ],
)
def test_a_rank_deficient_design(z: list[float], extra: str):
    message = (
        f"the design matrix has 3 columns but rank 2: {extra} can be written as a sum of the "
        "other columns; leave a term out"
    )
    refused(message, "y ~ x + z + (1|g)", z=z)


def test_a_factor_and_what_it_is_made_of():
    refused("the design matrix has 5 columns but rank 4: 'x' can be", "y ~ C(x) + x + (1|g)")


def test_a_column_of_zeros():
    message = "column 'x' of the design is zero in every row"
    refused(message, "y ~ x + (1|g)", x=[0.0] * 6)


def test_as_many_fixed_effects_as_rows():
    message = "6 fixed effects for 6 rows leave nothing to estimate variances from"
    refused(message, "y ~ C(x) + (1|g)", x=[1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_scale_is_no_reason_to_refuse(scale: float):
    made = design("y ~ x + (1|g)", x=[scale * x for x in NUMBERS])
    assert made.labels == ("Intercept", "x")


def test_nearly_dependent_columns_are_not_refused():
    """One part in 10^9 apart is far beyond rounding."""
    nearly = [x + 1e-9 * (i == 4) for i, x in enumerate(NUMBERS)]
    assert len(design("y ~ x + z + (1|g)", z=nearly).labels) == 3


def test_names_of_columns_are_never_run(tmp_path: Any):
    file = tmp_path / "touched"
    name = f"__import__('os').system('touch {file}')"
    made = design(f"y ~ `{name}` + (1|g)", **{name: NUMBERS})
    assert made.labels == ("Intercept", name)
    assert not file.exists()
    with pytest.raises(FormulaError):
        design(f"y ~ {name} + (1|g)")


def test_levels_that_look_like_code_or_labels():
    levels = ["a[T.b]", "v0", "system('x')", "a[T.b]", "v0", "system('x')"]
    made = design("y ~ f + (1|g)", f=levels)
    assert made.labels == ("Intercept", "f[T.system('x')]", "f[T.v0]")
