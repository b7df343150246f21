"""How far a check is: the fits and verdicts that are left, and how long they will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pp_compare.campaign.progress import duration

Kind = Literal["fits", "verdicts"]


@dataclass(frozen=True)
class State:
    """What is told of a check that runs.

    Parameters
    ----------
    phase : str
        Candidate and platform.
    kind : {"fits", "verdicts"}
        What is made of its models.
    made, missing : int
        Of the phase: made so far, and all that were not kept from before.
    done, total : int
        Of all phases, as far as they are known.
    left : float
        Seconds that the rest takes at the pace so far; nan before there is one.
    """

    phase: str
    kind: Kind
    made: int
    missing: int
    done: int
    total: int
    left: float

    def line(self) -> str:
        """The state in one line."""
        told = f"{self.phase}: {self.made} of {self.missing} {self.kind}"
        # nan compares as false: nothing is known of the time before the first is made.
        left = f", {duration(self.left)} left" if self.left >= 0 else ""
        return f"{told}; {self.done / max(self.total, 1):.0%} of all{left}"


class Work:
    """Counts what is made and what is still to be made.

    A fit and a verdict take different times, so each has a pace of its own; before there is one, it
    is taken to need as long as the other. What is kept from before takes none.

    Parameters
    ----------
    fits, verdicts : int
        Expected in all.
    tell : callable
        Given the state at each change.
    clock : callable
    """

    def __init__(
        self,
        fits: int,
        verdicts: int,
        tell: Callable[[State], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected: dict[Kind, int] = {"fits": fits, "verdicts": verdicts}
        self._made: dict[Kind, int] = {"fits": 0, "verdicts": 0}
        self._seconds: dict[Kind, float] = {"fits": 0.0, "verdicts": 0.0}
        self._tell, self._clock = tell, clock

    def begin(self, phase: str, kind: Kind, missing: int, kept: int) -> None:
        """Begin with the models of one candidate on one platform."""
        self._phase, self._kind, self._missing = phase, kind, missing
        self._in_phase, self._last = 0, self._clock()
        self._expected[kind] -= kept
        if missing:
            self._tell(self.state())

    def step(self) -> None:
        """One more is made."""
        now = self._clock()
        self._seconds[self._kind] += now - self._last
        self._last = now
        self._in_phase += 1
        self._made[self._kind] += 1
        self._tell(self.state())

    def drop(self, kind: Kind, count: int) -> None:
        """So many will not be made: the candidate does not run."""
        self._expected[kind] -= count

    def state(self) -> State:
        """Where it stands."""
        return State(
            self._phase,
            self._kind,
            self._in_phase,
            self._missing,
            sum(self._made.values()),
            sum(self._expected.values()),
            sum(self._left(kind) for kind in self._expected),
        )

    def _left(self, kind: Kind) -> float:
        count = self._expected[kind] - self._made[kind]
        paces = [self._seconds[k] / made for k, made in self._made.items() if made]
        if self._made[kind]:
            paces.insert(0, self._seconds[kind] / self._made[kind])
        if count == 0:
            return 0.0
        return count * paces[0] if paces else float("nan")
