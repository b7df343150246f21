"""lme4's grammar: what is read, and what is refused with its reason."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pp_compare.errors import FormulaError
from pp_compare.model import RandomTerm
from pp_compare.model.formula import parse_factor, parse_formula

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
    "y ~": "'y ~': needs one '~'",
    "~ x + (1|g)": "needs one '~'",
    "y ~ x ~ z + (1|g)": "needs one '~'",
    "y ~ `x + (1|g)": "needs one '~'",
    "y ~ x": "'y ~ x': no random term such as (1|g)",
    "y ~ x + (1|g": "'y ~ x + (1|g': a '(' is never closed",
    "y ~ (x + (1|g)": "a '(' is never closed",
    "y ~ x + (1|g))": "Could not find matching context marker",
    "y ~ x + 1|g": "'y ~ x + 1|g': a random term needs parentheses, (1|g)",
    "y ~ x + (1|g)|z": "a random term needs parentheses",
    "y ~ x + (1|g|h)": "'(1|g|h)': a random term is (effects | group)",
    "y ~ x + (|g)": "'(|g)': a random term is (effects | group)",
    "y ~ x + (1|)": "'(1|)': a random term is (effects | group)",
    "y ~ x + (0|g)": "'(0|g)': has no random effect",
    "y ~ x*(1|g)": "'y ~ x*(1|g)': a random term must be joined with '+'",
    "y ~ x - (1|g)": "a random term must be joined with '+'",
    "y ~ x + (1|g) + (1|g)": "random intercept of g stands twice",
    "y ~ x + (1|g) + (x|g)": "random intercept of g stands twice",
    "y ~ x + (x|g) + (0 + x|g)": "random x of g stands twice",
    "y ~ x + (1|log(g))": "'(1|log(g))': 'log(g)' cannot be a grouping factor",
    "y ~ . + (1|g)": "'.': '.' is not understood; name the columns",
    "y + z ~ x + (1|g)": "the response must be one column",
    "y*z ~ x + (1|g)": "the response must be one column",
    "y:z ~ x + (1|g)": "the response must be one column",
    "1 ~ x + (1|g)": "'1': a number cannot be part of a term",
    "y ~ 2:x + (1|g)": "'2:x': a number cannot be part of a term",
    "y ~ x + (1|2)": "'2': ",
    "y ~ x + (1|g) +": "'x +': Operator `+` has insuffient arguments",
    "y ~ x; z + (1|g)": "Unknown operator ';'",
    "y ~ [x] + (1|g)": "'[x]': square brackets are not understood",
    'y ~ "x" + (1|g)': "String literals are not valid",
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
    "poly(x, 2)",
    "bs(x, df=3)",
    "log(x + 1)",
    "log(log(x))",
    "np.log(x)",
    "I(x + z)",
    "I(x^-1)",
    "I(x^2.5)",
    "offset(z)",
    "C(x, Treatment('b'))",
]


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize("where", ["y ~ {} + (1|g)", "{} ~ x + (1|g)", "y ~ ({}|g)", "y ~ (1|{})"])
def test_code_is_refused_and_not_run(code: str, where: str, tmp_path: Path):
    file = tmp_path / "touched"
    with pytest.raises(FormulaError):
        parse_formula(where.format(code.format(file=file)))
    assert not file.exists()


def test_the_reason_names_what_may_be_used():
    expected = (
        "'poly(x, 2)' is not understood: a formula may use C, factor, exp, log, log10, log2, sqrt "
        "or I(x^k) of one column"
    )
    with pytest.raises(FormulaError, match=re.escape(expected)):
        parse_formula("y ~ poly(x, 2) + (1|g)")


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("C(x)", ("C", "x", 1)),
        ("factor(x)", ("C", "x", 1)),
        ("log(`a b`)", ("log", "a b", 1)),
        ("I(x^2)", ("I", "x", 2)),
        ("I(`a b` ** 3)", ("I", "a b", 3)),
    ],
)
def test_parse_factor(expression: str, parts: tuple[str, str, int]):
    assert parse_factor(expression) == parts


@pytest.mark.parametrize("expression", ["x", "abs(x)", "log()", "log(x, z)", "log(2)", "f(x)(z)"])
def test_parse_factor_refuses(expression: str):
    with pytest.raises(FormulaError, match=re.escape(f"'{expression}' is not understood")):
        parse_factor(expression)


# Without ^: a power of a long sum has as many terms in R, and takes as long.
TOKENS = (
    "y x g ~ + - * : / | || ( ) 1 0 2 . , ` `a|b` log(x) C(x) factor I(x %in% { } [ ] \" ' \\ é"
)
PIECES = st.sampled_from(TOKENS.split())


@given(st.one_of(st.text(max_size=25), st.lists(PIECES, max_size=15).map(" ".join)))
def test_any_text_is_read_or_refused(text: str):
    """Nothing but FormulaError leaves the parser, whatever is typed."""
    with contextlib.suppress(FormulaError):
        assert parse_formula(text).random


@given(st.lists(PIECES, max_size=8).map("".join))
def test_any_part_of_a_formula_is_read_or_refused(text: str):
    with contextlib.suppress(FormulaError):
        assert parse_formula(f"y ~ x + {text} + (1|g)").random
