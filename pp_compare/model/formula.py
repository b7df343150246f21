"""lme4's formula grammar, read into a ModelSpec. Formulas are parsed, never evaluated.

formulaic parses the fixed part, the left and the right of every bar; the bars themselves, which
it does not know, are found among its tokens (Bates et al. 2015, *J. Stat. Softw.* 67(1), table 2).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import lru_cache

from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Factor, Token
from formulaic.parser.types import Term as ParsedTerm

from pp_compare.errors import FormulaError
from pp_compare.model import Method, ModelSpec, RandomTerm, Term

FUNCTIONS = frozenset({"log", "log2", "log10", "exp", "sqrt"})
"""Functions of one column that a formula may use; `I(x^k)` and `C(x)` come on top."""

_EXAMPLE = "A formula looks like 'y ~ x + (1|g)'."
_POWER = re.compile(r"I\(\s*([^()^*]+?)\s*(?:\^|\*\*)\s*(\d+)\s*\)$")


def parse_formula(formula: str, method: Method = "REML") -> ModelSpec:
    """Read a formula in lme4's grammar.

    Parameters
    ----------
    formula : str
        ``y ~ x + (1|g)``, ``(1 + x|g)``, ``(x||g)``, ``(1|a/b)``, ``(1|a) + (1|b)``; ``0 +``,
        ``a:b``, ``a*b``, ``(a + b)^2``, ``C(x)`` and ``factor(x)`` for a factor, `FUNCTIONS` and
        ``I(x^2)`` of a column. A column whose name is not a plain word stands in backticks.
    method : {"REML", "ML"}

    Raises
    ------
    FormulaError
        With the part of the formula that is not understood.
    """
    return _parsed(formula, method)


@lru_cache(maxsize=1024)
def _parsed(formula: str, method: Method) -> ModelSpec:
    """Generated data ask for the same few formulas again and again."""
    left, right = _sides(formula)
    response = _single(_terms(left, False), formula)
    fixed_text, bars = _split_bars(right, formula)
    random = tuple(term for bar in bars for term in _random_terms(bar))
    if not random:
        raise FormulaError(f"'{formula}': no random term such as (1|g). {_EXAMPLE}")
    _refuse_repeated(random, formula)
    fixed = _terms(fixed_text or "1", True)
    intercept, terms = _split_intercept(fixed)
    return ModelSpec(formula.strip(), response, intercept, terms, random, method)


def parse_factor(expression: str) -> tuple[str | None, str, int]:
    """Split one factor of a term into its function, its column and its power.

    Returns
    -------
    function : {None, "C", "I", ...}
        None for the column as it is, "C" for a factor, "I" for a power, or one of `FUNCTIONS`.
    column : str
    power : int
        1 unless the function is "I".

    Raises
    ------
    FormulaError
        For anything else: code in a formula is refused, not run.
    """
    power = _POWER.match(expression)
    if power:
        return "I", power.group(1).strip("`"), int(power.group(2))
    name, argument = _call(expression)
    if name in {"C", "factor"}:
        return "C", argument, 1
    if name in FUNCTIONS:
        return name, argument, 1
    allowed = ", ".join(["C", "factor", *sorted(FUNCTIONS)])
    raise FormulaError(
        f"'{expression}' is not understood: a formula may use {allowed} or I(x^k) of one column"
    )


def _call(expression: str) -> tuple[str | None, str]:
    """Name and single column argument of ``f(column)``; (None, "") for anything else."""
    quoted = re.fullmatch(r"([A-Za-z]\w*)\(\s*`([^`]+)`\s*\)", expression)
    if quoted:
        return quoted.group(1), quoted.group(2)
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        return None, ""
    match node:
        case ast.Call(ast.Name(name), [ast.Name(column)], []):
            return name, column
    return None, ""


def _sides(formula: str) -> tuple[str, str]:
    """Left and right of the one '~'; what stands in backticks is a name."""
    parts = [part.strip() for part in re.split(r"~(?=(?:[^`]*`[^`]*`)*[^`]*$)", formula)]
    if len(parts) != 2 or not all(parts):
        raise FormulaError(f"'{formula}': needs one '~' with something on either side. {_EXAMPLE}")
    return parts[0], parts[1]


def _tokens(text: str) -> list[Token]:
    try:
        return list(tokenize(text))
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(f"'{text}': {_first_line(error)}. {_EXAMPLE}") from None


def _is(token: Token, *texts: str) -> bool:
    return token.kind in {Token.Kind.OPERATOR, Token.Kind.CONTEXT} and token.token in texts


def _text(formula: str, tokens: list[Token]) -> str:
    if not tokens:
        return ""
    pieces, previous = [], tokens[0].source_start
    for token in tokens:
        start, end = _bounds(token, formula)
        pieces.append(" " if start > previous else "")
        pieces.append(formula[start:end])
        previous = end
    return "".join(pieces)


def _bounds(token: Token, formula: str) -> tuple[int, int]:
    """Where a token stands in the formula; backticks belong to the name they quote."""
    start, end = int(token.source_start or 0), int(token.source_end or 0) + 1
    if token.kind is Token.Kind.NAME and formula[start - 1 : start] == "`":
        return start - 1, end + 1
    if token.kind is Token.Kind.NAME and formula[start : start + 1] == "`":
        return start, max(end, formula.index("`", start + 1) + 1)
    return start, end


def _split_bars(text: str, formula: str) -> tuple[str, list[str]]:
    """Take the parenthesised groups that hold a bar out of a right-hand side.

    The ``+`` that joins such a group goes with it; no other operator can stand there.
    """
    tokens = _tokens(text)
    fixed: list[Token] = []
    bars: list[str] = []
    i = 0
    while i < len(tokens):
        end = _closing(tokens, i, formula) if _is(tokens[i], "(") else i
        inside = tokens[i + 1 : end]
        if any(_is(token, "|", "||") for token in inside):
            if fixed and not _is(fixed[-1], "+"):
                raise FormulaError(f"'{formula}': a random term must be joined with '+'")
            del fixed[-1:]
            bars.append(_text(text, inside))
        elif fixed or not _is(tokens[i], "+"):
            fixed.extend(tokens[i : end + 1])
        i = end + 1
    if any(_is(token, "|", "||") for token in fixed):
        raise FormulaError(f"'{formula}': a random term needs parentheses, (1|g)")
    return _text(text, fixed), bars


def _closing(tokens: list[Token], start: int, formula: str) -> int:
    depth = 0
    for i in range(start, len(tokens)):
        depth += _is(tokens[i], "(") - _is(tokens[i], ")")
        if depth == 0:
            return i
    raise FormulaError(f"'{formula}': a '(' is never closed")


def _random_terms(text: str) -> list[RandomTerm]:
    bar = _tokens(text)
    cuts = [i for i, token in enumerate(bar) if _is(token, "|", "||")]
    if len(cuts) != 1 or cuts[0] in (0, len(bar) - 1):
        raise FormulaError(f"'({text})': a random term is (effects | group)")
    effects = _terms(_text(text, bar[: cuts[0]]), True)
    intercept, slopes = _split_intercept(effects)
    if not intercept and not slopes:
        raise FormulaError(f"'({text})': has no random effect")
    groups = [_group(term, text) for term in _terms(_text(text, bar[cuts[0] + 1 :]), False)]
    if not groups:
        raise FormulaError(f"'({text})': has no grouping factor")
    uncorrelated = bar[cuts[0]].token == "||"
    return [term for group in groups for term in _expand(group, intercept, slopes, uncorrelated)]


def _expand(
    group: tuple[str, ...], intercept: bool, slopes: tuple[Term, ...], uncorrelated: bool
) -> list[RandomTerm]:
    """``||`` as lme4 expands it: one term for the intercept, one for each slope."""
    if not uncorrelated:
        return [RandomTerm(group, intercept, slopes)]
    first = [RandomTerm(group, True)] if intercept else []
    return first + [RandomTerm(group, False, (slope,)) for slope in slopes]


def _group(term: ParsedTerm, text: str) -> tuple[str, ...]:
    columns = []
    for factor in term.factors:
        function, column = None, factor.expr
        if factor.eval_method.value != "lookup":
            function, column, _ = parse_factor(factor.expr)
        if function not in (None, "C"):
            raise FormulaError(f"'({text})': '{factor.expr}' cannot be a grouping factor")
        columns.append(column)
    return tuple(columns)


def _terms(text: str, include_intercept: bool) -> list[ParsedTerm]:
    tokens = _tokens(text)
    if any(token.token == "." for token in tokens):
        raise FormulaError(f"'{text}': '.' is not understood; name the columns")
    if any(_is(token, "[", "]") for token in tokens):
        raise FormulaError(f"'{text}': square brackets are not understood")
    parser = DefaultFormulaParser(include_intercept=include_intercept)
    try:
        parsed = parser.get_terms(text).root
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(f"'{text}': {_first_line(error)}. {_EXAMPLE}") from None
    if isinstance(parsed, tuple):
        raise FormulaError(f"'{text}': has more than one part")
    return list(parsed)


def _split_intercept(parsed: Iterable[ParsedTerm]) -> tuple[bool, tuple[Term, ...]]:
    intercept, terms = False, []
    for term in parsed:
        if [factor.expr for factor in term.factors] == ["1"]:
            intercept = True
        else:
            terms.append(_term(term))
    return intercept, tuple(sorted(dict.fromkeys(terms), key=len))


def _term(parsed: ParsedTerm) -> Term:
    for factor in parsed.factors:
        if factor.eval_method.value == "literal":
            raise FormulaError(f"'{parsed}': a number cannot be part of a term")
        if factor.eval_method.value != "lookup":
            parse_factor(factor.expr)
    return tuple(_written(factor) for factor in parsed.factors)


def _written(factor: Factor) -> str:
    """A factor as its variable is known by: a column's bare name, or the call in one spelling."""
    if factor.eval_method.value == "lookup":
        return str(factor.expr)
    function, column, power = parse_factor(factor.expr)
    column = column if column.isidentifier() else f"`{column}`"
    return f"I({column}^{power})" if function == "I" else f"{function}({column})"


def _single(terms: list[ParsedTerm], formula: str) -> str:
    if len(terms) != 1 or len(terms[0].factors) != 1:
        raise FormulaError(f"'{formula}': the response must be one column. {_EXAMPLE}")
    return _term(terms[0])[0]


def _refuse_repeated(random: tuple[RandomTerm, ...], formula: str) -> None:
    """The same random effect twice on one group cannot be told apart."""
    seen: set[tuple[tuple[str, ...], Term]] = set()
    for term in random:
        effects: list[Term] = [()] if term.intercept else []
        for effect in effects + list(term.terms):
            if (term.group, effect) in seen:
                name = ":".join(effect) or "intercept"
                raise FormulaError(f"'{formula}': random {name} of {term.group_name} stands twice")
            seen.add((term.group, effect))


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (text.splitlines() or ["does not parse"])[0].rstrip(".")
