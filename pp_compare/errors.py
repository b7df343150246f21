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


MOST_QUOTED = 60
"""Characters of a text that a message quotes."""


def quoted(text: str, most: int = MOST_QUOTED) -> str:
    """A text in quotes for a message: on one line, without control characters, cut where long."""
    line = one_line(text[: most + 1])
    return f"'{line}'" if len(line) <= most else f"'{line[: most - 1]}…'"


def one_line(text: str) -> str:
    """A text on one line: what would move the cursor or end the line is written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
