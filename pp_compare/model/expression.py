"""R's expressions as trees: what stands in a formula is read by R's own grammar, never evaluated.

The precedence is that of R's ``?Syntax``. Patsy's words are read by the same grammar: ``np.log`` is
a name to R, ``**`` is its other spelling of ``^``, and ``C(x, Treatment('b'))`` is a call. How long
and how deep a formula may be is bounded here, before anything is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pp_compare.errors import FormulaError

MOST_CHARACTERS = 10_000
"""A formula with 1,000 columns of ten letters; longer ones are not typed, and take long to read."""
MOST_LEVELS = 80
"""Brackets and operators within each other; Python itself stops at 1,000 calls, a dozen a level."""


@dataclass(frozen=True)
class Name:
    """A column, or a word such as ``TRUE``; `quoted` where backticks or ``Q("...")`` were used."""

    name: str
    quoted: bool = False


@dataclass(frozen=True)
class Constant:
    """A number or a text."""

    value: float | str


@dataclass(frozen=True)
class Call:
    """A function or an operator with its arguments, each with its name or None.

    A sum of many is one call of ``+`` with many arguments, so that a long sum is no deep tree.
    """

    function: str
    arguments: tuple[tuple[str | None, Node], ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The arguments without their names."""
        return tuple(node for _, node in self.arguments)


Node = Name | Constant | Call

# Binary operators: how strongly they bind, from ?Syntax; only ^ goes from right to left.
_BINDS = {
    "~": 1, "||": 2, "|": 2, "&&": 3, "&": 3, "==": 5, "!=": 5, "<": 5, ">": 5, "<=": 5, ">=": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "%in%": 8, "%%": 8, "%/%": 8, ":": 9, "^": 11,
}  # fmt: skip
_UNARY = {"!": 4, "-": 10, "+": 10}
OPERATORS = frozenset(_BINDS) | frozenset(_UNARY)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?(?![\w.]))
    | `(?P<quoted>[^`]+)`
    | (?P<text>"(?:[^"\\]|\\["'\\])*"|'(?:[^'\\]|\\["'\\])*')
    | (?P<name>(?:[A-Za-z][\w.]*:::?)?(?:[^\W\d_]|\.(?!\d))[\w.]*)
    | (?P<operator><-|->|%in%|%%|%/%|\|\||&&|==|!=|<=|>=|\*\*|[-+*/^:~|&!<>=,()\[\]])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


_END = _Token("end", "")


def shown(text: str) -> str:
    """A piece of a formula for a message: one line of it."""
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= 100 else f"'{line[:97]}...'"


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """Read one expression.

    Raises
    ------
    FormulaError
        With the place at which it is no expression of R, or that it is too long or too deep.
    """
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(
            f"the formula has {len(text)} characters; at most {MOST_CHARACTERS} are read"
        )
    return _Parser(text).whole()


class _Parser:
    """Precedence climbing (Pratt 1973) over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.expression(0)
        if self.peek is not _END:
            raise self.wrong()
        return node

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self) -> _Token:
        token = self.peek
        self.at += 1
        return token

    def sees(self, *operators: str) -> bool:
        return self.peek.kind == "operator" and self.peek.text in operators

    def wrong(self) -> FormulaError:
        if self.peek is _END:
            return FormulaError(f"{shown(self.text)} ends where something should follow")
        return FormulaError(f"{shown(self.text)}: '{self.peek.text}' cannot stand where it stands")

    def expression(self, least: int) -> Node:
        self.depth += 1
        if self.depth > MOST_LEVELS:
            raise FormulaError(
                f"{shown(self.text)} has more than {MOST_LEVELS} brackets or operators within each "
                "other"
            )
        node, chained = self.first(), 0
        while self.peek.kind == "operator" and _BINDS.get(self.peek.text, -1) >= max(least, 1):
            chained += not (self.sees("+") and isinstance(node, Call) and node.function == "+")
            if chained > MOST_LEVELS:
                raise FormulaError(
                    f"{shown(self.text)} has more than {MOST_LEVELS} operators in a row other than "
                    "'+'; write it with fewer"
                )
            operator = self.take().text
            binds = _BINDS[operator]
            right = self.expression(binds if operator == "^" else binds + 1)
            node = _joined(operator, node, right)
        self.depth -= 1
        return node

    def first(self) -> Node:
        if self.peek.kind == "operator" and self.peek.text in _UNARY:
            operator = self.take().text
            return Call(operator, ((None, self.expression(_UNARY[operator])),))
        node = self.operand()
        while self.sees("(", "["):
            if self.sees("[") or not isinstance(node, Name) or node.quoted:
                raise FormulaError(
                    f"{shown(self.text)}: a part of a column cannot be taken within a formula; "
                    "make a column of it and use its name"
                )
            node = self.called(node.name)
        return node

    def called(self, function: str) -> Node:
        arguments = self.arguments(")")
        match (function, arguments):
            case ("Q", ((None, Constant(str() as column)),)):
                return Name(column, quoted=True)
        return Call(function, arguments)

    def operand(self) -> Node:
        if self.sees("("):
            return self.bracketed()
        if self.sees("["):  # patsy's lists, as in levels=['a', 'b']
            return Call("c", self.arguments("]"))
        token = self.peek
        if token.kind not in {"number", "text", "name", "quoted"}:
            raise self.wrong()
        self.at += 1
        if token.kind == "number":
            return Constant(float(token.text.rstrip("L")))
        if token.kind == "text":
            return Constant(re.sub(r"\\(.)", r"\1", token.text[1:-1]))
        return Name(token.text, token.kind == "quoted")

    def bracketed(self) -> Node:
        self.take()
        node = self.expression(0)
        if not self.sees(")"):
            if self.peek is _END:
                raise FormulaError(f"{shown(self.text)}: a '(' is never closed")
            raise self.wrong()
        self.take()
        return Call("(", ((None, node),))

    def arguments(self, closing: str) -> tuple[tuple[str | None, Node], ...]:
        self.take()
        found: list[tuple[str | None, Node]] = []
        while not self.sees(closing):
            name = None
            following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else _END
            if self.peek.kind == "name" and following == _Token("operator", "="):
                name = self.take().text
                self.take()
            found.append((name, self.expression(0)))
            if self.sees(","):
                self.take()
            elif not self.sees(closing):
                if self.peek is _END:
                    raise FormulaError(f"{shown(self.text)}: a '(' is never closed")
                raise self.wrong()
        self.take()
        return tuple(found)


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            place = text[at:].lstrip()
            raise FormulaError(f"{shown(text)}: {shown(place[:20])} is not understood")
        at = match.end()
        word = match[match.lastgroup]
        yield _Token(match.lastgroup, "^" if word == "**" else word)


def _joined(operator: str, left: Node, right: Node) -> Node:
    if operator == "+" and isinstance(left, Call) and left.function == "+" and len(left.nodes) > 1:
        return Call("+", (*left.arguments, (None, right)))
    return Call(operator, ((None, left), (None, right)))


_TIGHT = frozenset({"^", ":", "/"})  # R writes these without spaces


@lru_cache(maxsize=4096)
def written(node: Node) -> str:
    """An expression as R's ``deparse()`` writes it."""
    match node:
        case Name(name, quoted):
            return f"`{name}`" if quoted and not is_plain(name) else name
        case Constant(str() as text):
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case Constant(value):
            number = float(value)
            return f"{number:.15g}" if float(f"{number:.15g}") == number else repr(number)
        case Call("(", arguments):
            return f"({written(arguments[0][1])})"
        case Call(function, ((_, only),)) if function in _UNARY:
            return function + written(only)
        case Call(function, arguments) if function in _BINDS:
            space = "" if function in _TIGHT else " "
            return f"{space}{function}{space}".join(written(node) for _, node in arguments)
        case Call(function, arguments):
            parts = [f"{name} = " * (name is not None) + written(node) for name, node in arguments]
            return f"{function}({', '.join(parts)})"


_PLAIN = re.compile(r"(?:[^\W\d_]|\.(?!\d))[\w.]*")


def is_plain(name: str) -> bool:
    """Whether a column's name needs no backticks."""
    return _PLAIN.fullmatch(name) is not None


def columns_of(node: Node) -> list[str]:
    """The names that an expression uses, each once, in their order."""
    return list(dict.fromkeys(_names(node)))


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Call):
        for argument in node.nodes:
            yield from _names(argument)
