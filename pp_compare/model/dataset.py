"""A table of observations, and its checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of observations, as read, with where it comes from.

    Parameters
    ----------
    name : str
        Short name, used in reports and file names.
    frame : pandas.DataFrame
        One row an observation. Not to be changed after the Dataset is made.
    provenance : str
        Where the data come from, in one line.
    """

    name: str
    frame: pd.DataFrame
    provenance: str = ""

    def sha256(self) -> str:
        """Checksum of the table as exact CSV (`exact_csv`)."""
        return checksum(self.exact_csv())

    def exact_csv(self) -> str:
        """The table as CSV in which every double reads back to the same bits.

        `repr` of a Python float is the shortest decimal that does so (David Gay's algorithm).
        """
        columns = {k: _shortest(self.frame.iloc[:, k]) for k in range(len(self.frame.columns))}
        frame = pd.DataFrame(columns, index=self.frame.index)
        frame.columns = self.frame.columns
        return frame.to_csv(index=False, na_rep="NA", lineterminator="\n")


def checksum(csv: str) -> str:
    """SHA-256 of a table as text."""
    return hashlib.sha256(csv.encode()).hexdigest()


def _shortest(column: pd.Series) -> pd.Series:
    """Doubles as texts, the missing ones left; numpy's own `repr` says np.float64(...)."""
    if not pd.api.types.is_float_dtype(column):
        return column
    texts = pd.Series(list(map(repr, column.tolist())), index=column.index, dtype=object)
    return texts.mask(column.isna(), None)
