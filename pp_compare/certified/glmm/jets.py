"""Numbers with their first and second derivatives, in balls: what a formula of one piece needs."""

from __future__ import annotations

from dataclasses import dataclass

from flint import arb

from pp_compare.certified.glmm.cumulants import cumulants
from pp_compare.certified.glmm.data import Family


@dataclass(frozen=True, eq=False)
class Jet:
    """A value, its gradient (t,), and the lower triangle of its Hessian, row by row."""

    value: arb
    first: list[arb]
    second: list[arb]

    @staticmethod
    def constant(value: arb, size: int) -> Jet:
        """A number that does not move."""
        return Jet(value, [arb(0)] * size, [arb(0)] * (size * (size + 1) // 2))

    @staticmethod
    def variable(value: arb, place: int, size: int) -> Jet:
        """One of the parameters."""
        first = [arb(int(i == place)) for i in range(size)]
        return Jet(value, first, [arb(0)] * (size * (size + 1) // 2))

    def __add__(self, other: Jet) -> Jet:
        return Jet(
            self.value + other.value,
            [a + b for a, b in zip(self.first, other.first, strict=True)],
            [a + b for a, b in zip(self.second, other.second, strict=True)],
        )

    def __sub__(self, other: Jet) -> Jet:
        return self + other.times(arb(-1))

    def times(self, factor: arb) -> Jet:
        """The jet times a number that does not move."""
        return Jet(
            factor * self.value, [factor * a for a in self.first], [factor * a for a in self.second]
        )

    def __mul__(self, other: Jet) -> Jet:
        a, b = self, other
        second = []
        k = 0
        for r in range(len(a.first)):
            for s in range(r + 1):
                mixed = a.first[r] * b.first[s] + a.first[s] * b.first[r]
                second.append(a.value * b.second[k] + b.value * a.second[k] + mixed)
                k += 1
        first = [a.value * y + b.value * x for x, y in zip(a.first, b.first, strict=True)]
        return Jet(a.value * b.value, first, second)

    def through(self, value: arb, slope: arb, bend: arb) -> Jet:
        """A function of the jet, with its value and two derivatives there."""
        second = []
        k = 0
        for r in range(len(self.first)):
            for s in range(r + 1):
                second.append(slope * self.second[k] + bend * self.first[r] * self.first[s])
                k += 1
        return Jet(value, [slope * a for a in self.first], second)

    def exp(self) -> Jet:
        """The exponential."""
        e = self.value.exp()
        return self.through(e, e, e)

    def log(self) -> Jet:
        """The logarithm."""
        inverse = 1 / self.value
        return self.through(self.value.log(), inverse, -inverse * inverse)

    def reciprocal(self) -> Jet:
        """One over it."""
        inverse = 1 / self.value
        return self.through(inverse, -(inverse**2), 2 * inverse**3)

    def cumulant(self, family: Family, order: int) -> Jet:
        """The cumulant function's derivative of an order (0, 1 or 2) at a linear predictor."""
        parts = cumulants(family, self.value)
        return self.through(*parts[order : order + 3])
