"""A table that grows column by column, and the formula that goes with it.

A model given as matrices has columns without a table: each is looked for among the columns that are
there, by its values, and added under its own name where none of them has these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(eq=False)
class Table:
    """Columns by name, all of one length.

    Parameters
    ----------
    frame : DataFrame
    response : str
        A column that no search finds: a response is no predictor of itself.
    """

    frame: pd.DataFrame
    response: str

    def number(self, name: str, values: np.ndarray) -> str:
        """Name of the numeric column that holds `values`; added where there is none."""
        for known in self._preferring(name):
            column = self.frame[known]
            if column.dtype.kind in "iuf" and np.array_equal(column.to_numpy(float), values):
                return str(known)
        return self._add(name, values)

    def factor(
        self, name: str, codes: np.ndarray, hints: Sequence[str] = (), within: Sequence[str] = ()
    ) -> str | None:
        """Name of a column that, with those of `within`, tells the same rows apart as `codes`.

        Only the column `name` and those whose names stand in a hint are looked at; None where none
        of them does.
        """
        around = [pd.factorize(self.frame[column])[0] for column in within]
        for known in self._preferring(name):
            if known != name and not any(str(known) in hint for hint in hints):
                continue
            own = pd.factorize(self.frame[known])[0]
            if same_partition(joint_codes([*around, own]), codes):
                return str(known)
        return None

    def add_factor(self, name: str, levels: Sequence[object] | np.ndarray) -> str:
        """Add a column of labels."""
        return self._add(name, np.asarray(levels, dtype=object))

    def _preferring(self, name: str) -> list[str]:
        names = [known for known in self.frame.columns if known != self.response]
        return sorted(names, key=lambda known: known != name)  # stable: the rest keeps its order

    def _add(self, name: str, values: np.ndarray) -> str:
        plain = free_name(name, self.frame.columns)
        self.frame = self.frame.assign(**{plain: values})
        return plain


def free_name(name: str, taken: Sequence[str] | pd.Index) -> str:
    """`name`, or the first of name_2, name_3, ... that is not taken; a backtick quotes names."""
    plain = str(name).replace("`", "'")
    others = (f"{plain}_{k}" for k in range(2, len(taken) + 3))
    return next(each for each in (plain, *others) if each not in taken)


def joint_codes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """One code for each combination of codes that occurs, shape (n,)."""
    found = np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1]
    return np.asarray(found).ravel()


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two codings of the rows, each of shape (n,), put the same rows together."""
    pairs = len(np.unique(np.column_stack([one, other]), axis=0))
    return pairs == len(np.unique(one)) == len(np.unique(other))


def quoted(name: str) -> str:
    """A column's name as a formula takes it."""
    return name if name.isidentifier() and name not in {"C", "I"} else f"`{name}`"


def bar(intercept: bool, slopes: Sequence[str], group: Sequence[str]) -> str:
    """``(1 + x | g)``, of columns of the table."""
    effects = " + ".join(["1" if intercept else "0", *map(quoted, slopes)])
    return f"({effects} | {':'.join(map(quoted, group))})"
