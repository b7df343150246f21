"""What can go wrong, by who has to act on it.

`InputError` and its kinds are for the person who typed the command (exit status 2),
`UnavailableError` for the person who looks after the machine (exit status 3),
`EngineError` for the reader of a report: an engine did not answer.
"""

from __future__ import annotations


class PPCompareError(Exception):
    """Root of every error raised on purpose by this package."""


class InputError(PPCompareError):
    """The request cannot be carried out as it was made."""


class FormulaError(InputError):
    """A formula that does not parse, or that asks for something outside the grammar."""


class DataError(InputError):
    """Data that no mixed model can be fitted to, or a column that is not there."""


class UnavailableError(PPCompareError):
    """Something asked for is not available on this machine."""


class EngineError(PPCompareError):
    """An engine raised, crashed or ran out of time; carries the engine's own words."""
