"""lme4's formula grammar, read into a ModelSpec. Formulas are parsed, never evaluated.

`expression` reads R's expressions, `terms` has their algebra, `evaluate` knows the functions; here
are the two sides, the bars (Bates et al. 2015, *J. Stat. Softw.* 67(1), table 2) and the offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pp_compare.errors import FormulaError
from pp_compare.model import Method, ModelSpec, RandomTerm, Term
from pp_compare.model.evaluate import check, data_columns
from pp_compare.model.expression import OPERATORS, Call, Name, Node, parse, shown, written
from pp_compare.model.terms import Terms, known_as, signed

_EXAMPLE = "A formula looks like 'y ~ x + (1|g)'."
MOST_RANDOM = 50
"""Random terms of a formula, after ``a/b`` and ``||`` are written out."""


def parse_formula(
    formula: str,
    method: Method = "REML",
    weights: str | None = None,
    columns: Sequence[str] | None = None,
) -> ModelSpec:
    """Read a formula in lme4's grammar.

    Parameters
    ----------
    formula : str
        ``y ~ x + (1|g)``, ``(1 + x|g)``, ``(x||g)``, ``(1|a/b)``, ``(1|a) + (1|b)``; ``0 +``,
        ``a:b``, ``a*b``, ``(a + b)^2``, ``a/b``, ``a %in% b``, ``offset(z)``, ``.``; of columns
        the functions of `pp_compare.model.words.WORDS`, arithmetic within ``I()``. A column whose
        name is not a plain word stands in backticks or in patsy's ``Q("...")``.
    method : {"REML", "ML"}
    weights : str, optional
        A column of prior weights: the residual variance of row i is sigma^2 / w_i.
    columns : sequence of str, optional
        Those of the data, for which ``.`` stands; without them it is left for `build_design`.

    Raises
    ------
    FormulaError
        With the part of the formula that is not understood, and what to do instead.
    """
    return _parsed(formula, method, weights, None if columns is None else tuple(columns))


@lru_cache(maxsize=1024)
def _parsed(
    formula: str, method: Method, weights: str | None, columns: tuple[str, ...] | None
) -> ModelSpec:
    """Generated data ask for the same few formulas again and again."""
    left, right = sides(formula)
    response = _response(left, formula)
    if columns is not None:
        own = data_columns(left)
        columns = tuple(name for name in columns if name not in own)
    fixed, random = Terms(columns=columns), []
    # R counts the response as the first variable and takes it out of the right-hand side.
    fixed.variables[response] = 0
    for sign, node in signed(right):
        if isinstance(node, Call) and node.function in {"|", "||"}:
            random += _random_terms(node, sign, columns)
        elif isinstance(node, Call) and node.function == "offset":
            fixed.offsets.append(_offset(node, sign))
        else:
            fixed.add(sign, node)
    if not random:
        raise FormulaError(f"{shown(formula)}: no random term such as (1|g). {_EXAMPLE}")
    if len(random) > MOST_RANDOM:
        raise FormulaError(
            f"{shown(formula)} has {len(random)} random terms; {MOST_RANDOM} at most"
        )
    _refuse_repeated(tuple(random), formula)
    terms = tuple(term for term in fixed.ordered if term != (response,))
    return ModelSpec(
        formula.strip(), response, fixed.intercept, terms, tuple(random), method,
        tuple(fixed.offsets), weights,
    )  # fmt: skip


def sides(formula: str) -> tuple[Node, Node]:
    """Left and right of the one '~'.

    Raises
    ------
    FormulaError
        Where there is not one, with something on either side.
    """
    node = parse(formula) if formula.strip() else None
    match node:
        case Call("~", ((_, left), (_, right))) if not _has_tilde(left) and not _has_tilde(right):
            return left, right
    raise FormulaError(f"{shown(formula)}: needs one '~' with something on either side. {_EXAMPLE}")


def _has_tilde(node: Node) -> bool:
    return isinstance(node, Call) and (node.function == "~" or any(map(_has_tilde, node.nodes)))


def _response(left: Node, formula: str) -> str:
    if not data_like(left) or not _takes_data(left):
        raise FormulaError(
            f"{shown(formula)}: the response must be one column, or a function of columns such as "
            f"log(y). {_EXAMPLE}"
        )
    found = Terms()
    found.add(1, left)
    ((name,),) = found.ordered
    return name


def _takes_data(node: Node) -> bool:
    check(node)
    return bool(data_columns(node))


def data_like(node: Node) -> bool:
    """Whether a node is one variable: no sum, product or number of a formula."""
    if isinstance(node, Call):
        return node.function not in {"+", "-", "*", "/", "^", ":", "%in%", "|", "||", "(", "offset"}
    return isinstance(node, Name) and (node.name != "." or node.quoted)


def _offset(node: Call, sign: int) -> str:
    if sign < 0 or len(node.nodes) != 1:
        raise FormulaError(f"'{written(node)}': an offset is added to a sum, + offset(x)")
    inner = node.nodes[0]
    check(inner)
    # Arithmetic goes by I(), as it does in the rest of a formula: a name is not to be mistaken.
    is_sum = isinstance(inner, Call) and inner.function in OPERATORS | {"("}
    return known_as(Call("I", ((None, inner),)) if is_sum else inner)


def _random_terms(bar: Call, sign: int, columns: tuple[str, ...] | None) -> list[RandomTerm]:
    said = shown(f"({written(bar)})")
    if sign < 0:
        raise FormulaError(f"{said}: a random term must be joined with '+'")
    effects = Terms(columns=columns)
    for inner, part in signed(bar.nodes[0]):
        if isinstance(part, Call) and part.function in {"|", "||"}:
            raise FormulaError(f"{said}: a random term is (effects | group)")
        effects.add(inner, part)
    if effects.offsets:
        raise FormulaError(f"{said}: an offset has no place in a random term")
    if not effects.intercept and not effects.parts:
        raise FormulaError(f"{said}: has no random effect")
    uncorrelated = bar.function == "||"
    groups = _groups(bar.nodes[1], said)
    return [
        term
        for group in groups
        for term in _expand(group, effects.intercept, effects.ordered, uncorrelated)
    ]


def _expand(
    group: tuple[str, ...], intercept: bool, slopes: tuple[Term, ...], uncorrelated: bool
) -> list[RandomTerm]:
    """``||`` as lme4 expands it: one term for the intercept, one for each slope."""
    if not uncorrelated:
        return [RandomTerm(group, intercept, slopes)]
    first = [RandomTerm(group, True)] if intercept else []
    return first + [RandomTerm(group, False, (slope,)) for slope in slopes]


def _groups(node: Node, said: str) -> list[tuple[str, ...]]:
    """The grouping factors of one bar: ``a``, ``a:b``, or ``a/b`` for ``a`` and ``a:b``."""
    match node:
        case Call("(", ((_, inner),)):
            return _groups(inner, said)
        case Call("/", ((_, left), (_, right))):
            outer = _groups(left, said)
            return [*outer, *(_within(outer[-1], inner) for inner in _groups(right, said))]
        case Call(":", ((_, left), (_, right))):
            return [_within(_group(left, said), _group(right, said))]
    return [_group(node, said)]


def _group(node: Node, said: str) -> tuple[str, ...]:
    match node:
        case Name(name, quoted) if quoted or name != ".":
            return (name,)
        case Call("(", ((_, inner),)):
            return _group(inner, said)
        case Call(":", ((_, left), (_, right))):
            return _within(_group(left, said), _group(right, said))
        case Call("factor" | "as.factor" | "C", ((_, Name() as column),)):
            return (column.name,)
    raise FormulaError(
        f"{said}: '{written(node)}' cannot be a grouping factor, which is a column, a:b or a/b; "
        "make a column of it in the data and use its name"
    )


def _within(outer: tuple[str, ...], inner: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*outer, *inner]))


def _refuse_repeated(random: tuple[RandomTerm, ...], formula: str) -> None:
    """The same random effect twice on one group cannot be told apart."""
    seen: set[tuple[frozenset[str], frozenset[str]]] = set()
    for term in random:
        effects: list[Term] = [()] if term.intercept else []
        for effect in effects + list(term.terms):
            key = frozenset(term.group), frozenset(effect)
            if key in seen:
                name = ":".join(effect) or "intercept"
                raise FormulaError(
                    f"{shown(formula)}: random {name} of {term.group_name} stands twice, and its "
                    "variances cannot be told apart; leave one out, with 0 + in its term"
                )
            seen.add(key)
