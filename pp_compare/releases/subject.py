"""A model on data, ready to be fitted by every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pp_compare.audits.selection import Selection
from pp_compare.engines.recorded import design_sha256, model_key
from pp_compare.model.design import Design


@dataclass(frozen=True, eq=False)
class Subject:
    """A model on data, ready to be fitted."""

    selection: Selection
    design: Design

    @cached_property
    def key(self) -> list[str]:
        """Data, model and rows, by checksum."""
        spec = self.design.spec
        return [self.design.dataset.sha256(), model_key(spec), design_sha256(self.design)]
