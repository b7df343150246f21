"""Data that a few lines make in any language: integers below 2^53 throughout, no library.

The Lehmer generator ``state -> 48271 state mod (2^31 - 1)`` (Park, Miller & Stockmeyer 1993,
Communications of the ACM 36(7), 105-110). ``draw(b)`` is the next state's high bits:
``state // 2^16 mod 2^b``. ``noise`` is the sum of four ``draw(15)`` less 65534: a bell of standard
deviation 18919. By cluster: its level, ``between * noise // 64`` (rounded down); by row of it:
``x = draw(4)``, then ``y = level + slope x + noise``. Clusters take the sizes in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pandas as pd

from pp_compare.model import Dataset

MODULUS, FACTOR = 2**31 - 1, 48271


@dataclass(frozen=True)
class Recipe:
    """What the data follow from.

    Attributes
    ----------
    seed : int
        The first state, from 1 to 2^31 - 2.
    clusters : int
    sizes : tuple of int
        Rows of the clusters, in turn.
    between : int
        Standard deviation of the levels, in 64ths of that of the noise.
    slope : int
        Coefficient of ``x``, which is 0 to 15.
    """

    seed: int
    clusters: int
    sizes: tuple[int, ...]
    between: int
    slope: int

    @property
    def record(self) -> dict[str, object]:
        """As in ``item.json``."""
        return asdict(self) | {"name": "lehmer", "sizes": list(self.sizes)}

    def dataset(self, name: str) -> Dataset:
        """Columns ``y``, ``x`` and ``g``, whose levels are 1, 2, ..."""
        frame = pd.DataFrame(list(self._rows()), columns=["y", "x", "g"])
        return Dataset(name, frame, f"generated: {self}")

    def _rows(self) -> Iterator[tuple[float, float, int]]:
        draws = self._draws()

        def noise() -> int:
            return sum(next(draws) % 2**15 for _ in range(4)) - 65534

        for g in range(self.clusters):
            level = self.between * noise() // 64
            for _ in range(self.sizes[g % len(self.sizes)]):
                x = next(draws) % 16
                yield float(level + self.slope * x + noise()), float(x), g + 1

    def _draws(self) -> Iterator[int]:
        state = self.seed
        while True:
            state = FACTOR * state % MODULUS
            yield state // 2**16
