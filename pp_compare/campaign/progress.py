"""How far a campaign is: counts that cost nothing, and one line that says them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pp_compare.campaign.rows import CERTIFIED, Row

WRONG = frozenset({"early stop", "wrong optimum"})


@dataclass
class Progress:
    """State of a run.

    Parameters
    ----------
    total : int
        Data sets of the plan.
    done : int
        Of them, those that are written.
    before : int
        Of these, those of earlier runs.
    """

    total: int
    done: int = 0
    before: int = 0
    wrong: int = 0
    failed: int = 0
    lost: int = 0
    worst: str = ""
    clock: Callable[[], float] = time.monotonic
    _above: float = 0.0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self.done = self.before

    def add(self, rows: Iterable[Row], count: int) -> None:
        """Count the rows of `count` data sets that were written."""
        self.done += count
        for row in rows:
            if row["engine"] != CERTIFIED:
                self._add(row)

    def _add(self, row: Row) -> None:
        self.wrong += row["outcome"] in WRONG
        self.failed += row["outcome"] == "failure"
        self.lost += row["status"] == "lost"
        if row["outcome"] in WRONG and row["above"] > self._above:
            self._above = row["above"]
            self.worst = f"{row['engine']} on {row['index']}, deviance {self._above:.3g} too high"

    @property
    def rate(self) -> float:
        """Data sets a second of this run."""
        elapsed = self.clock() - self._began
        return (self.done - self.before) / elapsed if elapsed > 0 else 0.0

    def line(self) -> str:
        """Done, rate, time left, failures, worst case."""
        parts = [f"{self.done} of {self.total} data sets ({self.done / self.total:.0%})"]
        if self.rate > 0:
            left = (self.total - self.done) / self.rate
            parts.append(f"{self.rate:.3g} a second, {duration(left)} left")
        parts.append(f"{self.wrong} fits off the optimum, {self.failed} failed")
        if self.lost:
            parts.append(f"{self.lost} of these ended their process")
        return "; ".join(parts + ([f"worst: {self.worst}"] if self.worst else []))


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
