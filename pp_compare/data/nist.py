"""NIST's one-way analysis of variance sets, and what REML and ML must give on them, exactly.

NIST/ITL Statistical Reference Datasets, analysis of variance. All sets are balanced, so the
optimum of a random intercept for the treatments is a rational function of the data and needs no
optimiser (Searle, Casella and McCulloch 1992, *Variance Components*, sections 4.7 and 6.3).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from pp_compare.errors import DataError
from pp_compare.model import Method
from pp_compare.resources import resource

Reading = Literal["decimals", "doubles"]


@dataclass(frozen=True)
class NistFile:
    """One ``.dat`` file.

    Parameters
    ----------
    treatments : tuple of int
        The treatment of each row.
    decimals : tuple of str
        The response of each row, as printed.
    certified : mapping of str to str
        NIST's values as printed, 15 digits: ``ss_between``, ``ms_between``, ``f``, ``ss_within``,
        ``ms_within``, ``r_squared``, ``residual_sd``.
    """

    treatments: tuple[int, ...]
    decimals: tuple[str, ...]
    certified: dict[str, str]

    def frame(self) -> pd.DataFrame:
        """Columns ``y``, the doubles nearest to the decimals, and ``treatment``."""
        return pd.DataFrame({"y": [float(y) for y in self.decimals], "treatment": self.treatments})


@dataclass(frozen=True)
class OneWay:
    """Exact analysis of a balanced one-way layout, and the optimum of REML or ML.

    Parameters
    ----------
    levels, replicates : int
        J treatments of n rows.
    ss_between, ss_within : Fraction
        Sums of squares.
    beta, beta_var : Fraction
        Intercept and its variance at the optimum, ``(tau2 + sigma2 / n) / J``.
    sigma2, tau2 : Fraction
        Variances within and between treatments.
    """

    levels: int
    replicates: int
    ss_between: Fraction
    ss_within: Fraction
    beta: Fraction
    beta_var: Fraction
    sigma2: Fraction
    tau2: Fraction

    @property
    def ms_between(self) -> Fraction:
        """Mean square between treatments."""
        return self.ss_between / (self.levels - 1)

    @property
    def ms_within(self) -> Fraction:
        """Mean square within treatments."""
        return self.ss_within / (self.levels * (self.replicates - 1))


def read(path: Path) -> NistFile:
    """Read one of NIST's files.

    Raises
    ------
    DataError
        Where the data or the certified values are not found as NIST lays them out.
    """
    text = path.read_text(encoding="ascii")
    head, _, data = text.rpartition("\nData:  ")
    rows = [line.split() for line in data.splitlines()[1:] if line.strip()]
    if not rows or any(len(row) != 2 for row in rows):
        raise DataError(f"{path.name}: needs rows of a treatment and a response after 'Data:'")
    return NistFile(
        tuple(int(row[0]) for row in rows), tuple(row[1] for row in rows), _certified(head, path)
    )


@cache
def nist_truth(name: str, of: Reading = "decimals", method: Method = "REML") -> OneWay:
    """Exact truth for one of NIST's sets, ``SmLs01`` say.

    Parameters
    ----------
    name : str
    of : {"decimals", "doubles"}
        Of the numbers as NIST prints them, or of the doubles nearest to them, which is what an
        engine is given. They differ visibly in SmLs07 to SmLs09.
    method : {"REML", "ML"}
    """
    file = read(resource("fixtures", "data", "nist", f"{name}.dat"))
    values = [Fraction(y) if of == "decimals" else Fraction(float(y)) for y in file.decimals]
    return one_way(file.treatments, values, method)


def one_way(levels: tuple[int, ...], values: list[Fraction], method: Method) -> OneWay:
    """Exact optimum of a random intercept on a balanced one-way layout.

    With lambda = sigma2 + n tau2 the deviance is ``J(n-1) log sigma2 + k log lambda + SSW/sigma2 +
    SSB/lambda``, where k is J - 1 under REML and J under ML. Its free minimum is SSW / (J(n-1)),
    SSB / k; where that has lambda < sigma2 the minimum is on the boundary lambda = sigma2.

    Raises
    ------
    DataError
        Where the levels do not all have the same number of rows.
    """
    scale = math.lcm(*(value.denominator for value in values))
    groups: dict[int, list[int]] = {}
    for level, value in zip(levels, values, strict=True):
        groups.setdefault(level, []).append(int(value * scale))
    J, n = len(groups), len(values) // len(groups)
    if any(len(group) != n for group in groups.values()):
        raise DataError("the layout is not balanced: levels differ in their number of rows")
    total, squares = sum(map(sum, groups.values())), sum(y * y for g in groups.values() for y in g)
    between = Fraction(sum(sum(group) ** 2 for group in groups.values()), n)
    ss_between = (between - Fraction(total**2, n * J)) / scale**2
    ss_within = (squares - between) / scale**2
    k = J - 1 if method == "REML" else J
    sigma2, lambda_ = ss_within / (J * (n - 1)), ss_between / k
    if lambda_ < sigma2:
        sigma2 = lambda_ = (ss_between + ss_within) / (J * (n - 1) + k)
    tau2 = (lambda_ - sigma2) / n
    beta = Fraction(total, n * J * scale)
    return OneWay(J, n, ss_between, ss_within, beta, lambda_ / (n * J), sigma2, tau2)


_NUMBER = r"(\d\.\d+E[+-]\d\d)"
_TABLE = re.compile(
    rf"Between \w+\s+\d+ {_NUMBER} {_NUMBER} {_NUMBER}\s+Within \w+\s+\d+ {_NUMBER} {_NUMBER}\s+"
    rf"Certified R-Squared {_NUMBER}\s+Certified Residual\s+Standard Deviation\s+{_NUMBER}"
)
_NAMES = ("ss_between", "ms_between", "f", "ss_within", "ms_within", "r_squared", "residual_sd")


def _certified(head: str, path: Path) -> dict[str, str]:
    table = _TABLE.search(head)
    if table is None:
        raise DataError(f"{path.name}: no table of certified values as NIST lays it out")
    return dict(zip(_NAMES, table.groups(), strict=True))
