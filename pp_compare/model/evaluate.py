"""What an expression of a formula means: checked when it is typed, computed when there are data.

Nothing of Python or R is called but the functions of `words` and the arithmetic below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np

from pp_compare.errors import DataError, FormulaError
from pp_compare.model.expression import Call, Constant, Name, Node, parse, written
from pp_compare.model.factor import CONTRASTS, Contrast, Factor
from pp_compare.model.words import (
    WORDS,
    Literal,
    Matrix,
    NotNumericError,
    Text,
    Value,
    Word,
    as_factor,
    numbers,
)

_TRUTH = {"TRUE": True, "True": True, "FALSE": False, "False": False}
_SHORT_TRUTH = {"T": True, "F": False}
"""Of options alone: among data they are names of columns."""

_ARITHMETIC: Mapping[str, Callable[..., np.ndarray]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": np.divide, "^": np.power,
    "%%": np.mod, "%/%": np.floor_divide,
}  # fmt: skip
_COMPARISONS: Mapping[str, Callable[..., np.ndarray]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
    "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_LOGICAL: Mapping[str, Callable[..., np.ndarray]] = {
    "&": np.logical_and, "&&": np.logical_and, "|": np.logical_or, "||": np.logical_or,
}  # fmt: skip
_PACKAGES = ("splines::", "stats::", "base::", "lme4::")


def check(node: Node) -> None:
    """Refuse an expression that means nothing here, before there are data.

    Raises
    ------
    FormulaError
        With the part that is not understood and what to do instead.
    """
    if not isinstance(node, Call):
        return
    if node.function in {"(", *_ARITHMETIC, *_COMPARISONS, *_LOGICAL, "!"}:
        for argument in node.nodes:
            check(argument)
        return
    word, bound = _bound(node)
    for name, argument in bound.items():
        if name in _data_names(word):
            check(argument)
        else:
            _literal(argument, node)


_OF_TERMS = frozenset({"~", "+", "-", "*", "/", "^", ":", "%in%", "(", "|", "||", "offset"})
"""Operators that mean something else in a formula: no variable begins with them."""


def is_expression(name: str) -> bool:
    """Whether a variable's name stands for something to compute, and not for a column."""
    try:
        node = parse(name)
        check(node)
    except FormulaError:
        return False
    return isinstance(node, Call) and node.function not in _OF_TERMS


def data_columns(node: Node) -> list[str]:
    """The columns that an expression takes from the data, each once, in their order."""
    return list(dict.fromkeys(_data_columns(node)))


def _data_columns(node: Node) -> list[str]:
    if isinstance(node, Name):
        return [] if node.name in _TRUTH and not node.quoted else [node.name]
    if not isinstance(node, Call):
        return []
    parts = node.nodes
    if node.function not in {"(", *_ARITHMETIC, *_COMPARISONS, *_LOGICAL, "!"}:
        word, bound = _bound(node)
        parts = tuple(bound[name] for name in _data_names(word) if name in bound)
    return [name for part in parts for name in _data_columns(part)]


def evaluate(text: str, columns: Mapping[str, Value]) -> Value:
    """Compute an expression that `check` has passed.

    Parameters
    ----------
    text : str
    columns : mapping of str to Value
        The columns that it takes; all of one length, without missing values.

    Raises
    ------
    DataError
        For a column that does not hold what the expression takes.
    """
    try:
        with np.errstate(all="ignore"):
            return _value(parse(text), columns)
    except NotNumericError:
        bad = [name for name, value in columns.items() if not isinstance(value, np.ndarray)]
        name = (bad or list(columns) or [text])[0]
        raise DataError(f"'{text}': column '{name}' is not numeric") from None
    except (ValueError, TypeError, ArithmeticError, IndexError) as error:
        # An option of another kind than the word takes, as in poly(x, "two").
        raise DataError(f"'{text}': {error}") from None


def _value(node: Node, columns: Mapping[str, Value]) -> Value:
    match node:
        case Name(name, quoted):
            return np.array(_TRUTH[name]) if name in _TRUTH and not quoted else columns[name]
        case Constant(str() as text):
            return Text(np.array(text, dtype=object))
        case Constant(number):
            return np.array(number)
        case Call("(", ((_, inner),)):
            return _value(inner, columns)
        case Call("-", ((_, inner),)):
            return np.asarray(-numbers(_value(inner, columns)))
        case Call("+", ((_, inner),)):
            return numbers(_value(inner, columns))
        case Call("!", ((_, inner),)):
            return np.asarray(numbers(_value(inner, columns)) == 0)
        case Call(function) if function in _COMPARISONS:
            return _compared(function, *(_value(part, columns) for part in node.nodes))
        case Call(function) if function in _ARITHMETIC or function in _LOGICAL:
            return _folded(function, [numbers(_value(part, columns)) for part in node.nodes])
    word, bound = _bound(node)
    data = _data_names(word)
    given = {
        name: _value(part, columns) if name in data else _literal(part, node)
        for name, part in bound.items()
    }
    made = word.function(**given)
    # Of a single number numpy makes a scalar of its own kind.
    return np.asarray(made) if isinstance(made, np.generic) else made


def _folded(function: str, parts: list[np.ndarray]) -> np.ndarray:
    apply = _ARITHMETIC.get(function) or _LOGICAL[function]
    total = parts[0]
    for part in parts[1:]:
        total = np.asarray(apply(total, part))
    return total


def _compared(function: str, left: Value, right: Value) -> np.ndarray:
    """Numbers as numbers; where one side is text or a factor, both as text, as in R."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.asarray(_COMPARISONS[function](left, right))
    if function not in {"==", "!="}:
        raise ValueError("levels have no order to compare by; compare with == or !=")
    return np.asarray(_COMPARISONS[function](_text(left), _text(right)))


def _text(value: Value) -> np.ndarray:
    if isinstance(value, Text):
        return value.values
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return np.array(f"{float(value):.15g}", dtype=object)
    return as_factor(value).text()


def _bound(node: Call) -> tuple[Word, dict[str, Node]]:
    """A call's word, and its arguments by the word's own names for them."""
    name = node.function
    for package in _PACKAGES:
        name = name.removeprefix(package)
    said = written(node)
    if name not in WORDS:
        raise FormulaError(
            f"'{said}' is not understood: '{node.function}' is no function that a formula may use "
            "here; make a column of it in the data and use its name"
        )
    word = WORDS[name]
    positional = [part for given, part in node.arguments if given is None]
    named = {g.replace(".", "_"): part for g, part in node.arguments if g is not None}
    try:
        bound = word.signature.bind(*positional, **named)
    except TypeError as error:
        takes = ", ".join(word.signature.parameters)
        raise FormulaError(f"'{said}': {error}; '{name}' takes {takes}") from None
    return word, bound.arguments


def _data_names(word: Word) -> list[str]:
    return list(word.signature.parameters)[: word.data]


def _literal(node: Node, call: Call) -> Literal:
    """An option: a number, a text, a truth value, several of them, or a contrast."""
    match node:
        case Constant(value):
            return value
        case Name(name, False) if name in _TRUTH or name in _SHORT_TRUTH:
            return (_TRUTH | _SHORT_TRUTH)[name]
        case Name("NULL" | "None", False):
            return None
        case Name(name, False) if name in CONTRASTS:
            return Contrast(CONTRASTS[name])
        case Call("-", ((_, Constant(float() as number)),)):
            return -number
        case Call("c", arguments):
            return tuple(_literal(part, call) for _, part in arguments)
        case Call(function) if function in CONTRASTS:
            return _contrast(node, call)
    raise FormulaError(
        f"'{written(call)}': '{written(node)}' must be a number, a text or TRUE or FALSE there"
    )


def _contrast(node: Call, call: Call) -> Contrast:
    """``Treatment('b')``, ``Treatment(reference = 'b')``, ``contr.treatment(3, base = 2)``."""
    r_style = node.function.startswith("contr.")
    reference: str | int | None = None
    for i, (name, part) in enumerate(node.arguments):
        if name in {"reference", "base"} or (name is None and i == int(r_style)):
            value = _literal(part, call)
            # patsy counts levels from 0, R from 1.
            reference = str(value) if isinstance(value, str) else int(value) + (not r_style)  # type: ignore[arg-type]
        elif not (r_style and i == 0):
            raise FormulaError(f"'{written(call)}': '{name}' is not understood there")
    return Contrast(CONTRASTS[node.function], reference)


__all__ = ["Factor", "Matrix", "Text", "Value", "check", "data_columns", "evaluate"]
