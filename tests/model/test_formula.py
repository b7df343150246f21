"""lme4's grammar: what is read, and what is refused with its reason."""

import contextlib
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pp_compare.errors import DataError, FormulaError
from pp_compare.model import Dataset, RandomTerm
from pp_compare.model.design import build_design
from pp_compare.model.expression import MOST_CHARACTERS
from pp_compare.model.formula import parse_formula

INTERCEPT = RandomTerm(("g",), True)
X = (("x",),)


def slope(*names: str, intercept: bool = True) -> RandomTerm:
    return RandomTerm(("g",), intercept, tuple((name,) for name in names))


@pytest.mark.parametrize(
    ("text", "intercept", "fixed"),
    [
        ("x", True, X),
        ("1 + x", True, X),
        ("0 + x", False, X),
        ("x - 1", False, X),
        ("-1 + x", False, X),
        ("x + x", True, X),
        ("1", True, ()),
        ("a + b", True, (("a",), ("b",))),
        ("a:b", True, (("a", "b"),)),
        ("a*b", True, (("a",), ("b",), ("a", "b"))),
        ("(a + b)^2", True, (("a",), ("b",), ("a", "b"))),
        ("(a + b)**2", True, (("a",), ("b",), ("a", "b"))),
        ("a/b", True, (("a",), ("a", "b"))),
        ("a*b - a:b", True, (("a",), ("b",))),
        ("a:b + c", True, (("c",), ("a", "b"))),  # lower order first, as R sorts terms
        ("C(x)", True, (("C(x)",),)),
        ("factor(x)", True, (("C(x)",),)),
        ("x:a + a", True, (("a",), ("x", "a"))),  # variables as they first appear
        ("a %in% b", True, (("a", "b"),)),
        ("a/(b + c)", True, (("a",), ("a", "b"), ("a", "c"))),
        ("(a + b)/c", True, (("a",), ("b",), ("a", "b", "c"))),
        ("(a + b + c)^2 - a:b", True, (("a",), ("b",), ("c",), ("a", "c"), ("b", "c"))),
        ("y + x", True, X),  # R takes the response out of the right-hand side
        ("(x == 2)", True, (("x == 2",),)),
        ("log(x) + sqrt(z)", True, (("log(x)",), ("sqrt(z)",))),
        ("I(x^2)", True, (("I(x^2)",),)),
        ("I( x ** 3 )", True, (("I(x^3)",),)),
        ("x.a", True, (("x.a",),)),
        ("`a b`", True, (("a b",),)),
        ("`a|b`", True, (("a|b",),)),
        ("`a~b`", True, (("a~b",),)),
        ("C(`a b`)", True, (("C(`a b`)",),)),
        ("I(`a b`^2)", True, (("I(`a b`^2)",),)),
        ("é", True, (("é",),)),
    ],
)
def test_fixed_part(text: str, intercept: bool, fixed: tuple[tuple[str, ...], ...]):
    spec = parse_formula(f"y ~ {text} + (1|g)")
    assert (spec.intercept, spec.fixed) == (intercept, fixed)
    assert spec.random == (INTERCEPT,)


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("(1|g)", (INTERCEPT,)),
        ("( 1 | g )", (INTERCEPT,)),
        ("(x|g)", (slope("x"),)),
        ("(1 + x|g)", (slope("x"),)),
        ("(0 + x|g)", (slope("x", intercept=False),)),
        ("(x - 1|g)", (slope("x", intercept=False),)),
        ("(x + z|g)", (slope("x", "z"),)),
        ("(x||g)", (INTERCEPT, slope("x", intercept=False))),
        (
            "(x + z||g)",
            (INTERCEPT, slope("x", intercept=False), slope("z", intercept=False)),
        ),
        ("(0 + x||g)", (slope("x", intercept=False),)),
        ("(1|g) + (0 + x|g)", (INTERCEPT, slope("x", intercept=False))),
        ("(log(x)|g)", (slope("log(x)"),)),
        ("(1|a/b)", (RandomTerm(("a",), True), RandomTerm(("a", "b"), True))),
        (
            "(1|a/b/c)",
            tuple(RandomTerm(group, True) for group in (("a",), ("a", "b"), ("a", "b", "c"))),
        ),
        ("(1|a) + (1|b)", (RandomTerm(("a",), True), RandomTerm(("b",), True))),
        ("(1|a:b)", (RandomTerm(("a", "b"), True),)),
        ("(1|factor(g))", (INTERCEPT,)),
        ("(1|`g h`)", (RandomTerm(("g h",), True),)),
        ("(1|g.h)", (RandomTerm(("g.h",), True),)),
    ],
)
def test_random_part(text: str, random: tuple[RandomTerm, ...]):
    assert parse_formula(f"y ~ x + {text}").random == random
    # A random term may stand anywhere in the sum.
    before = parse_formula(f"y ~ {text} + x")
    assert (before.random, before.fixed, before.intercept) == (random, X, True)
    assert parse_formula(f"y ~ {text}").fixed == ()


@pytest.mark.parametrize(
    ("text", "response"),
    [("y", "y"), ("log(y)", "log(y)"), ("`my y`", "my y"), ("I(y^2)", "I(y^2)"), ("y.1", "y.1")],
)
def test_response(text: str, response: str):
    assert parse_formula(f"{text} ~ x + (1|g)").response == response


def test_what_a_spec_says_of_itself():
    spec = parse_formula("  y ~ x + (x||g) + (1|a:b)\n", "ML")
    assert spec.formula == "y ~ x + (x||g) + (1|a:b)"
    assert spec.method == "ML"
    assert spec.groups == ("g", "a:b")
    assert not spec.is_random_intercept
    assert parse_formula("y ~ x + (1|g)").is_random_intercept
    assert parse_formula("y ~ x + (1|g)").method == "REML"


REFUSED = {
    "": "'': needs one '~' with something on either side. A formula looks like 'y ~ x + (1|g)'",
    "y": "'y': needs one '~'",
    "y ~": "'y ~' ends where something should follow",
    "~ x + (1|g)": "'~ x + (1|g)': '~' cannot stand where it stands",
    "y ~ x ~ z + (1|g)": "needs one '~'",
    "y ~ `x + (1|g)": "'`x + (1|g)' is not understood",
    "y ~ x": "'y ~ x': no random term such as (1|g)",
    "y ~ x + (1|g": "'y ~ x + (1|g': a '(' is never closed",
    "y ~ (x + (1|g)": "a '(' is never closed",
    "y ~ log(x": "a '(' is never closed",
    "y ~ x + (1|g))": "'y ~ x + (1|g))': ')' cannot stand where it stands",
    "y ~ x + (1|g)|z": "'(x + (1 | g) | z)': a random term is (effects | group)",
    "y ~ x + (1|g|h)": "'(1 | g | h)': a random term is (effects | group)",
    "y ~ x + (|g)": "'|' cannot stand where it stands",
    "y ~ x + (1|)": "')' cannot stand where it stands",
    "y ~ x + (0|g)": "'(0 | g)': has no random effect",
    "y ~ x*(1|g)": "'1 | g': a random term stands in a sum and nowhere else, + (1|g)",
    "y ~ x + (1|g):z": "a random term stands in a sum and nowhere else",
    "y ~ x - (1|g)": "'(1 | g)': a random term must be joined with '+'",
    "y ~ x + (1|a*b)": "'(1 | a * b)': 'a * b' cannot be a grouping factor, which is a column, a:b",
    "y ~ x + (1|a+b)": "'a + b' cannot be a grouping factor",
    "y ~ x + (1|g^2)": "'g^2' cannot be a grouping factor",
    "y ~ x + (1|g) + (1|g)": "random intercept of g stands twice",
    "y ~ x + (1|g) + (x|g)": "random intercept of g stands twice",
    "y ~ x + (x|g) + (0 + x|g)": "random x of g stands twice",
    "y ~ x + (1|a:b) + (1|b:a)": "random intercept of b:a stands twice",
    "y ~ x + (1|log(g))": "'(1 | log(g))': 'log(g)' cannot be a grouping factor",
    "y ~ x + cs(1 + x | g)": "covariances are unstructured here, (x|g), or those of independent",
    "y + z ~ x + (1|g)": "the response must be one column",
    "y*z ~ x + (1|g)": "the response must be one column",
    "y:z ~ x + (1|g)": "the response must be one column",
    "1 ~ x + (1|g)": "the response must be one column",
    ". ~ x + (1|g)": "the response must be one column",
    "offset(y) ~ x + (1|g)": "the response must be one column",
    "y ~ 2 + x + (1|g)": "'2': a number or a text cannot be part of a term",
    "y ~ 2:x + (1|g)": "'2': a number or a text cannot be part of a term",
    "y ~ x:(1 + 0) + (1|g)": "'(1 + 0)': a number or nothing cannot be part of a term",
    "y ~ x + (1|2)": "'(1 | 2)': '2' cannot be a grouping factor",
    "y ~ x + (1|g) +": "'y ~ x + (1|g) +' ends where something should follow",
    "y ~ x; z + (1|g)": "'; z + (1|g)' is not understood",
    "y ~ x[1] + (1|g)": "a part of a column cannot be taken within a formula; make a column of it",
    "y ~ f(x)(z) + (1|g)": "a part of a column cannot be taken within a formula",
    'y ~ "x" + (1|g)': "a number or a text cannot be part of a term",
    "y ~ (x + z)^-1 + (1|g)": "the power must be a whole number from 1",
    "y ~ (x + z)^w + (1|g)": "the power must be a whole number from 1",
    "y ~ x:offset(z) + (1|g)": "'offset(z)': an offset is added to a sum, + offset(x)",
    "y ~ x - offset(z) + (1|g)": "'offset(z)': an offset is added to a sum, + offset(x)",
    "y ~ x + (1 + offset(z)|g)": "an offset is added to a sum",
    "y ~ rcs(x, 5) + (1|g)": "'rcs' is no function that a formula may use here; make a",
    "y ~ poly(x, z) + (1|g)": "'poly(x, z)': 'z' must be a number, a text or TRUE or FALSE there",
    "y ~ poly(x, 2, 3, 4, 5) + (1|g)": "'poly(x, 2, 3, 4, 5)': too many positional",
    "y ~ relevel(f) + (1|g)": "missing a required argument: 'ref'; 'relevel' takes x, ref",
    "y ~ scale(x, wide = 1) + (1|g)": "'scale' takes x, center, scale",
}


@pytest.mark.parametrize("formula", REFUSED)
def test_refused_with_the_part_that_is_not_understood(formula: str):
    with pytest.raises(FormulaError, match=re.escape(REFUSED[formula])):
        parse_formula(formula)


CODE = [
    "__import__('os').system('touch {file}')",
    "open('{file}', 'w')",
    "system('touch {file}')",
    "eval(open('{file}', 'w'))",
    "log(open('{file}', 'w'))",
    "C(x, open('{file}', 'w'))",
    "I(open('{file}', 'w'))",
    "get('system')('touch {file}')",
    "base::system('touch {file}')",
    "np.fromfile('{file}')",
    "x$y",
    "function(x) x",
    "{{x}}",
    "x <- 1",
    "x := 1",
    "lambda x: x",
    "x if x else z",
]


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize("where", ["y ~ {} + (1|g)", "{} ~ x + (1|g)", "y ~ ({}|g)", "y ~ (1|{})"])
def test_code_is_refused_and_not_run(code: str, where: str, tmp_path: Path):
    file = tmp_path / "touched"
    with pytest.raises(FormulaError):
        parse_formula(where.format(code.format(file=file)))
    assert not file.exists()


BOUNDED = {
    "y ~ " + "*".join(f"x{i}" for i in range(25)) + " + (1|g)": "has more than 500 terms",
    "y ~ (" + " + ".join(f"x{i}" for i in range(40)) + ")^99999 + (1|g)": "has more than 500 terms",
    "y ~ " + "(" * 500 + "x" + ")" * 500 + " + (1|g)": "more than 80 brackets or operators",
    "y ~ I(" + "-" * 500 + "x) + (1|g)": "more than 80 brackets or operators",
    "y ~ I(x" + " - x" * 500 + ") + (1|g)": "has more than 80 operators in a row other than '+'",
    "y ~ " + "^".join("x" * 500) + " + (1|g)": "more than 80",
    "y ~ " + "log(" * 500 + "x" + ")" * 500 + " + (1|g)": "more than 80 brackets or operators",
    "y ~ (1|" + "/".join(f"g{i}" for i in range(60)) + ")": "has 60 random terms; 50 at most",
    "y ~ x" + " + x" * MOST_CHARACTERS + " + (1|g)": "characters; at most 10000 are read",
}


@pytest.mark.parametrize("formula", BOUNDED, ids=range(len(BOUNDED)))
def test_what_a_formula_can_ask_for_is_bounded_before_it_is_done(formula: str):
    started = time.perf_counter()
    with pytest.raises(FormulaError, match=re.escape(BOUNDED[formula])) as caught:
        parse_formula(formula)
    assert len(str(caught.value)) < 400
    assert time.perf_counter() - started < 5  # it takes a tenth of a second, and took for ever


def test_a_large_power_is_as_many_terms_as_there_are():
    assert parse_formula("y ~ (x + g)^99999 + (1|g)").fixed == (("x",), ("g",), ("x", "g"))


def test_a_long_sum_is_no_deep_one():
    names = [f"x{i}" for i in range(400)]
    assert len(parse_formula(f"y ~ {' + '.join(names)} + (1|g)").fixed) == 400


def test_the_dot_is_every_other_column():
    columns = ("y", "x", "a b", "g")
    spec = parse_formula("log(y) ~ . + (x|g)", columns=columns)
    assert spec.fixed == (("x",), ("a b",), ("g",))
    assert parse_formula("y ~ . - x - g + (1|g)", columns=columns).fixed == (("a b",),)
    assert parse_formula("y ~ . + (1|g)").fixed == ((".",),)  # until there are data


def test_offsets_and_weights():
    spec = parse_formula("y ~ x + offset(log(n)) + offset(z) + (1|g)", weights="w")
    assert (spec.fixed, spec.offset, spec.weights) == (X, ("log(n)", "z"), "w")


@pytest.mark.parametrize(
    "text", ["x + 1|g", "(x|g)", "((x|g))", "(1) + ((1 + x|(g)))", "((x) | g)", "1 + (1 + (x) | g)"]
)
def test_a_bar_is_found_where_lmer_finds_it(text: str):
    assert parse_formula(f"y ~ {text}").random == (slope("x"),)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("as.factor(x)", "C(x)"),
        ("factor( x )", "C(x)"),
        ('Q("a b")', "a b"),
        ("log(Q('a b') + 1.50)", "log(`a b` + 1.5)"),
        ("I(x**2 / 10)", "I(x^2/10)"),
        ("C(x, Treatment(reference='b'))", 'C(x, Treatment(reference = "b"))'),
        ("factor(x, levels=['b', \"a\"])", 'factor(x, levels = c("b", "a"))'),
        ("`log(x)`", "`log(x)`"),
        ("poly(x,2,raw=T)", "poly(x, 2, raw = T)"),
    ],
)
def test_a_variable_has_one_spelling(typed: str, known: str):
    assert parse_formula(f"y ~ {typed} + (1|g)").fixed == ((known,),)


TOKENS = (
    "y x g ~ + - * : / | || ( ) 1 0 2 9e9 . , ` `a|b` log(x) C(x) factor I(x %in% { } [ ] \" ' \\ "
    "é ^ ** offset( poly(x, == ! & = ns(x bs Q(\"x\") Treatment('b') np.log -- %% T TRUE NULL c( ::"
)
FRAME = pd.DataFrame(
    {"y": np.sin(np.arange(24.0)), "x": np.arange(24) % 7, "factor": list("abc") * 8}
    | {"g": list("uuvvww") * 4, "a|b": np.arange(24) % 5, "é": list("pq") * 12, "T": [1.5, 2] * 12}
)
PIECES = st.sampled_from(TOKENS.split())


@given(st.one_of(st.text(max_size=25), st.lists(PIECES, max_size=15).map(" ".join)))
def test_any_text_is_read_or_refused(text: str):
    """Nothing but FormulaError leaves the parser, whatever is typed."""
    with contextlib.suppress(FormulaError):
        assert parse_formula(text).random


@given(st.lists(PIECES, max_size=8).map("".join))
def test_any_part_of_a_formula_is_read_or_refused(text: str):
    """And what is read makes a design of data, or is refused with a sentence."""
    with contextlib.suppress(FormulaError, DataError):
        spec = parse_formula(f"y ~ x + {text} + (1|g)")
        assert spec.random
        assert np.isfinite(build_design(Dataset("d", FRAME), spec, rank="drop").X).all()
