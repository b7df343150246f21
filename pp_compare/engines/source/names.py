"""Text from data as R and Python source: names, strings and formulas of a model, safely quoted.

What is written here is for a reader to paste, and is run where an issue shows its output. Names go
between backticks in R and into ``Q("...")`` in Python's formulas wherever they are no plain words,
so that a name is never read as code.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from pp_compare.errors import FormulaError
from pp_compare.model import Term
from pp_compare.model.design import Design
from pp_compare.model.evaluate import data_columns
from pp_compare.model.expression import OPERATORS, Constant, Name, Node, written
from pp_compare.model.rescaling import Rescaling
from pp_compare.model.variables import node_of

# Of ASCII letters alone: which others are letters depends on R's locale.
_R_NAME = re.compile(r"(?:[A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*$")
_R_RESERVED = frozenset(
    {"if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE"}
    | {"NULL", "Inf", "NaN", "NA", "NA_integer_", "NA_real_", "NA_character_"}
)
_PY_RESERVED = frozenset({*keyword.kwlist, "C", "I", "Q", "Treatment", "np", "center"})
_SAME_ORDER = re.compile(r"[A-Za-z][A-Za-z0-9]*$")


class Language(Protocol):
    """How a language writes a column of ``data`` and a variable of a formula."""

    def word(self, name: str) -> str:
        """A column's name within a formula."""

    def value(self, value: Any) -> str:
        """A number or a text."""

    def expression(self, node: Node) -> str:
        """What a formula computes from columns.

        Raises
        ------
        FormulaError
            Where the language has no such function.
        """


class R:
    """R, as lme4 and nlme read it."""

    def word(self, name: str) -> str:
        """``x`` or, where it is no plain word, `` `a b` ``."""
        if _R_NAME.match(name) and name not in _R_RESERVED:
            return name
        return f"`{_escaped(name, '`')}`"

    def expression(self, node: Node) -> str:
        """``factor(x)``, ``I(x^2)``, ``log(x + 1)``: R's own, and what it calls patsy's words."""
        return _expression(node, self, {"C": "factor", "Q": "", "**": "^"}, "np.", None)

    def value(self, value: Any) -> str:
        """An argument: logical, number, text, or a list of these by name."""
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, str):
            return f'"{_escaped(value, chr(34))}"'
        if isinstance(value, Mapping):
            return f"list({self.arguments(value)})"
        if isinstance(value, Sequence):
            return f"c({', '.join(self.value(part) for part in value)})"
        return number(value)

    def arguments(self, values: Mapping[str, Any]) -> str:
        """``a = 1, b = TRUE``."""
        return ", ".join(f"{name} = {self.value(value)}" for name, value in values.items())

    def column(self, name: str) -> str:
        """A column of the data, ``data$x``."""
        return f"data${self.word(name)}"


class Python:
    """Python, with the formulas of statsmodels."""

    def word(self, name: str) -> str:
        """``x`` or, where it is no plain word, ``Q("a b")``."""
        if name.isascii() and name.isidentifier() and name not in _PY_RESERVED:
            return name
        return f"Q({json.dumps(name)})"

    def expression(self, node: Node) -> str:
        """``C(x)``, ``I(x**2)``, ``np.log(x + 1)``."""
        return _expression(node, self, _PYTHON_NAMES, "np.", frozenset(_PYTHON_NAMES.values()))

    def value(self, value: Any) -> str:
        """An argument: Python's own spelling."""
        if isinstance(value, float):
            return number(value)
        if isinstance(value, Mapping):
            return f"{{{', '.join(f'{k!r}: {self.value(v)}' for k, v in value.items())}}}"
        if isinstance(value, Sequence) and not isinstance(value, str):
            return f"[{', '.join(self.value(part) for part in value)}]"
        return json.dumps(value) if isinstance(value, str) else repr(value)

    def arguments(self, values: Mapping[str, Any]) -> str:
        """``a=1, b=True``."""
        return ", ".join(f"{name}={self.value(value)}" for name, value in values.items())

    def column(self, name: str) -> str:
        """A column of the data, ``data["x"]``."""
        return f"data[{self.value(name)}]"


_PYTHON_NAMES: Mapping[str, str] = {
    **{name: f"np.{name}" for name in ("log", "log2", "log10", "log1p", "exp", "sqrt", "abs")},
    **dict.fromkeys(("C", "factor", "as.factor"), "C"),
    **{name: name for name in ("I", "(", "+", "-", "*", "/", "==", "!=", "<", ">", "<=", ">=")},
    "^": "**",
}
"""What R calls what a formula of statsmodels calls so."""


def _expression(
    node: Node,
    language: Language,
    names: Mapping[str, str],
    prefix: str,
    known: frozenset[str] | None,
) -> str:
    """An expression in a language: its functions by other names, of all or of those it knows."""
    if isinstance(node, Name):
        return language.word(node.name)
    if isinstance(node, Constant):
        return language.value(node.value)
    function = names.get(node.function.removeprefix(prefix), node.function.removeprefix(prefix))
    named = any(name is not None for name, _ in node.arguments)
    if known is not None and (function not in known or named):
        raise FormulaError(f"'{written(node)}' has no form there; make a column of it")
    parts = [_expression(argument, language, names, prefix, known) for argument in node.nodes]
    if node.function == "(":
        return f"({parts[0]})"
    if node.function in OPERATORS:
        return f" {function} ".join(parts) if len(parts) > 1 else f"{function}{parts[0]}"
    labels = [f"{name} = " if name is not None else "" for name, _ in node.arguments]
    inside = ", ".join(label + part for label, part in zip(labels, parts, strict=True))
    return f"{function}({inside})"


def _escaped(text: str, quote: str) -> str:
    """Text between quotes of R: what is not printable ASCII goes in as a code point."""
    plain = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return "".join(c if " " <= c <= "~" else f"\\U{{{ord(c):x}}}" for c in plain)


def number(value: float) -> str:
    """A number so that it reads back the same; whole ones without a decimal point."""
    exact = float(value)
    return f"{exact:g}" if exact == float(f"{exact:g}") else repr(exact)


@dataclass(frozen=True)
class Names:
    """The variables of a design, as formulas of a language name them.

    Parameters
    ----------
    design : Design
    language : Language
    scaling : Rescaling or None
        Its predictors go by names of their own, `scaled`.
    """

    design: Design
    language: Language
    scaling: Rescaling | None = None
    scaled: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        factors = self.scaling.factors if self.scaling else {}
        taken = set(map(str, self.design.dataset.frame.columns))
        scaled = {}
        for i, name in enumerate(factors):
            own = f"{name}_scaled"
            own = own if self.language.word(own) == own else f"scaled_{i + 1}"
            while own in taken:
                own += "_"
            taken.add(own)
            scaled[name] = own
        object.__setattr__(self, "scaled", scaled)

    def fixed(self) -> str:
        """``y ~ 1 + x``; an offset is taken off the response, which every engine can."""
        spec = self.design.spec
        response = " - ".join(map(self.variable, (spec.response, *spec.offset)))
        left = f"I({response})" if spec.offset else response
        return f"{left} ~ {self.sum(spec.intercept, spec.fixed)}"

    def sum(self, intercept: bool, terms: Iterable[Term]) -> str:
        """``1 + x + x:z``, or ``0 + x`` without an intercept."""
        products = [":".join(self.variable(name) for name in term) for term in terms]
        return " + ".join(["1" if intercept else "0", *products])

    def variable(self, name: str) -> str:
        """A variable of the formula."""
        if name in self.scaled:
            return self.language.word(self.scaled[name])
        if name in self.design.dataset.frame.columns:
            return self.language.word(name)
        return self.language.expression(node_of(name))


def columns_in(name: str) -> list[str]:
    """Columns that a variable is computed from."""
    return data_columns(node_of(name))


def column_of(design: Design, name: str) -> str | None:
    """The column that a variable is, or is computed from; None where those are several."""
    if name in design.dataset.frame.columns:
        return name
    found = columns_in(name)
    return found[0] if len(found) == 1 else None


def factor_levels(design: Design) -> dict[str, tuple[str, ...]]:
    """Levels of the columns of text that predictors are made of, by column."""
    found = {}
    for name, variable in design.variables.items():
        column = column_of(design, name)
        if column is None:
            continue
        series = design.dataset.frame[column]
        numeric = pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)
        if variable.levels is not None and not numeric:
            found[column] = variable.levels
    return found


def same_in_r(levels: Sequence[str]) -> bool:
    """Whether R, in any locale, makes a factor of these levels in this order."""
    plain = all(_SAME_ORDER.match(level) for level in levels)
    return plain and list(levels) == sorted(levels) == sorted(levels, key=str.casefold)


def used_columns(design: Design) -> list[str]:
    """Columns of the data that the model is made of."""
    frame, spec = design.dataset.frame, design.spec
    variables = dict.fromkeys([*design.variables, *spec.offset])
    names = [c for n in variables for c in ([n] if n in frame else columns_in(n))]
    return list(dict.fromkeys([*names, *(c for term in spec.random for c in term.group)]))
