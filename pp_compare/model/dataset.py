"""A table of observations, and its checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

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
        return hashlib.sha256(self.exact_csv().encode()).hexdigest()

    def exact_csv(self) -> str:
        """The table as CSV in which every double reads back to the same bits.

        `repr` of a Python float is the shortest decimal that does so (David Gay's algorithm).
        """
        return self.frame.to_csv(
            index=False, float_format=_shortest, na_rep="NA", lineterminator="\n"
        )


def _shortest(x: Any) -> str:
    """Numpy's own `repr` says np.float64(...)."""
    return repr(float(x))
