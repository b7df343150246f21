"""The algebra of a formula's terms, as R's ``terms.formula()`` has it.

A term is a set of variables. ``a*b``, ``a/b``, ``a %in% b``, ``(a + b)^2`` and ``-`` make sets of
terms of each other (Chambers and Hastie 1992, section 2.3.2); lower orders come first, and within
a term variables stand in the order of their first appearance. Every step is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pp_compare.errors import FormulaError
from pp_compare.model.evaluate import check, is_expression
from pp_compare.model.expression import (
    OPERATORS,
    Call,
    Constant,
    Name,
    Node,
    is_plain,
    shown,
    written,
)
from pp_compare.model.spec import Term

MOST_TERMS = 500
"""Of one part of a formula: all products of nine variables; a design of more is no model."""

Parts = dict[frozenset[str], None]
"""Terms in their order; a dict, because a set has none."""


@dataclass
class Terms:
    """What a sum of terms comes to.

    Parameters
    ----------
    intercept : bool
    columns : sequence of str, optional
        What ``.`` stands for; None leaves it as a term of its own.
    """

    intercept: bool = True
    columns: Sequence[str] | None = None
    offsets: list[str] = field(default_factory=list)
    variables: dict[str, int] = field(default_factory=dict)
    parts: Parts = field(default_factory=dict)

    def add(self, sign: int, node: Node) -> None:
        """Add or take away what a node stands for.

        Raises
        ------
        FormulaError
            For what is no term, or too many of them.
        """
        match _bare(node):
            case Constant(float() as value) if value in {0, 1}:
                self.intercept = (value == 1) == (sign > 0)
                return
        found = self.of(node)
        if sign > 0:
            self.parts = _bounded(self.parts | found, node)
        else:
            self.parts = {part: None for part in self.parts if part not in found}

    @property
    def ordered(self) -> tuple[Term, ...]:
        """The terms, lower orders first."""
        of_variable = self.variables.__getitem__
        terms = (tuple(sorted(part, key=of_variable)) for part in self.parts)
        return tuple(sorted(terms, key=len))

    def of(self, node: Node) -> Parts:
        """The terms of one node."""
        match node:
            case Call("(", ((_, inner),)):
                return self.of(inner)
            case Call("+" | "-"):
                return self._sum(node)
            case Call("*", ((_, left), (_, right))):
                a, b = self._operands(left, right)
                return _bounded(a | b | _products(a, b, node), node)
            case Call(":", ((_, left), (_, right))):
                return _products(*self._operands(left, right), node)
            case Call("%in%", ((_, left), (_, right))):
                a, b = self._operands(left, right)
                return _products(a, {frozenset().union(*b): None}, node)
            case Call("/", ((_, left), (_, right))):
                a, b = self._operands(left, right)
                return _bounded(a | _products({frozenset().union(*a): None}, b, node), node)
            case Call("^", ((_, left), (_, power))):
                return self._power(left, power, node)
            case Call("offset"):
                raise FormulaError(f"'{written(node)}': an offset is added to a sum, + offset(x)")
            case Call("|" | "||"):
                raise FormulaError(
                    f"{shown(written(node))}: a random term stands in a sum and nowhere else, "
                    "+ (1|g)"
                )
            case Constant():
                raise FormulaError(
                    f"'{written(node)}': a number or a text cannot be part of a term"
                )
        return self._variable(node)

    def _sum(self, node: Call) -> Parts:
        """A sum within brackets or another operator."""
        inner = Terms(self.intercept, self.columns, self.offsets, self.variables)
        signs = [1, -1] if node.function == "-" and len(node.nodes) == 2 else [1] * len(node.nodes)
        if node.function == "-" and len(node.nodes) == 1:
            signs = [-1]
        for sign, part in zip(signs, node.nodes, strict=True):
            inner.add(sign, part)
        self.intercept = inner.intercept
        return inner.parts

    def _operands(self, left: Node, right: Node) -> tuple[Parts, Parts]:
        found = self.of(left), self.of(right)
        for part, node in zip(found, (left, right), strict=True):
            if not part:
                raise FormulaError(
                    f"'{written(node)}': a number or nothing cannot be part of a term"
                )
        return found

    def _power(self, left: Node, power: Node, node: Node) -> Parts:
        if not (isinstance(power, Constant) and isinstance(power.value, float)):
            raise FormulaError(f"'{written(node)}': the power must be a whole number from 1")
        if power.value < 1 or power.value % 1:
            raise FormulaError(f"'{written(node)}': the power must be a whole number from 1")
        base = total = self.of(left)
        for _ in range(min(int(power.value), len(base)) - 1):  # beyond that nothing new comes
            grown = _bounded(total | _products(total, base, node), node)
            if len(grown) == len(total):
                break
            total = grown
        return total

    def _variable(self, node: Node) -> Parts:
        if isinstance(node, Name) and node.name == "." and not node.quoted:
            columns = ["."] if self.columns is None else self.columns
            names = [known_as(Name(name, quoted=True)) for name in columns]
        else:
            _refuse_structure(node)
            check(node)
            names = [known_as(node)]
        for name in names:
            self.variables.setdefault(name, len(self.variables))
        return {frozenset([name]): None for name in names}


def known_as(node: Node) -> str:
    """The name of a variable: a column's own name, or an expression in one spelling.

    ``factor(x)`` and ``as.factor(x)`` are ``C(x)``. A column whose name is itself an expression
    keeps its backticks.
    """
    if isinstance(node, Name):
        if not node.quoted or is_plain(node.name):
            return node.name
        return f"`{node.name}`" if is_expression(node.name) else node.name
    if isinstance(node, Call) and node.function in {"factor", "as.factor"} and len(node.nodes) == 1:
        return written(Call("C", node.arguments))
    return written(node)


def _refuse_structure(node: Node) -> None:
    """Refuse ``cs(x | g)`` and its like, by which other packages choose a covariance."""
    if not isinstance(node, Call) or node.function in OPERATORS:
        return
    if any(isinstance(part, Call) and part.function in {"|", "||"} for part in node.nodes):
        raise FormulaError(
            f"{shown(written(node))}: covariances are unstructured here, (x|g), or those of "
            "independent effects, (x||g)"
        )


def _bare(node: Node) -> Node:
    """What stands within brackets."""
    while isinstance(node, Call) and node.function == "(":
        node = node.nodes[0]
    return node


def _products(left: Parts, right: Parts, node: Node) -> Parts:
    if len(left) * len(right) > MOST_TERMS**2:
        raise _too_many(node)
    return _bounded({a | b: None for a in left for b in right}, node)


def _bounded(parts: Parts, node: Node) -> Parts:
    if len(parts) > MOST_TERMS:
        raise _too_many(node)
    return parts


def _too_many(node: Node) -> FormulaError:
    return FormulaError(
        f"{shown(written(node))} has more than {MOST_TERMS} terms; leave out the products that are "
        "not meant"
    )


def signed(node: Node, sign: int = 1) -> Iterable[tuple[int, Node]]:
    """The summands of a right-hand side with their signs; brackets with a bar are opened."""
    match node:
        case Call("+", arguments):
            for _, part in arguments:
                yield from signed(part, sign)
        case Call("-", ((_, left), (_, right))):
            yield from signed(left, sign)
            yield from signed(right, -sign)
        case Call("-", ((_, inner),)):
            yield from signed(inner, -sign)
        case Call("(", ((_, inner),)) if has_bar(inner):
            yield from signed(inner, sign)
        case _:
            yield sign, node


def has_bar(node: Node) -> bool:
    """Whether a random term stands in a node, outside of any function."""
    match node:
        case Call("|" | "||"):
            return True
        case Call("(" | "+" | "-", arguments):
            return any(has_bar(part) for _, part in arguments)
    return False
