"""A model on data, ready to be fitted by every candidate and to be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pp_compare.audits.glmm_judging import glmm_case_report, judged_glmm
from pp_compare.audits.judging import case_report, judge
from pp_compare.audits.selection import GlmmSelection, Selection
from pp_compare.engines.glmm.recorded import glmm_key
from pp_compare.engines.recorded import key_of
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.model.glmm import GlmmDesign
from pp_compare.report.record import CaseReport
from pp_compare.verdict.deviations import Deviation


class AnySubject(Protocol):
    """What a check asks of a model of either kind."""

    @property
    def design(self) -> Any:
        """What a candidate's engine fits."""

    @property
    def key(self) -> list[str]:
        """Data, model and rows, by checksum."""

    def blank(self) -> CaseReport:
        """The model without a fit."""

    def judged(self, fits: Mapping[str, Fit], registry: Sequence[Deviation]) -> CaseReport:
        """The model with its fits held against the truth."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A linear mixed model on data, ready to be fitted."""

    selection: Selection
    design: Design

    @cached_property
    def key(self) -> list[str]:
        """Data, model and rows, by checksum."""
        key = key_of(self.design)
        return [key.data_sha256, key.model, key.design_sha256]

    def blank(self) -> CaseReport:
        """The model without a fit."""
        return case_report(self.selection, self.design, {})

    def judged(self, fits: Mapping[str, Fit], registry: Sequence[Deviation]) -> CaseReport:
        """The model with its fits held against the truth, algebra and each other."""
        return judge(self.selection, self.design, fits, registry)


@dataclass(frozen=True, eq=False)
class GlmmSubject:
    """A generalised mixed model on data, ready to be fitted."""

    selection: GlmmSelection
    design: GlmmDesign

    @cached_property
    def key(self) -> list[str]:
        """Data, model and rows, by checksum."""
        key = glmm_key(self.design)
        return [key.data_sha256, key.model, key.design_sha256]

    def blank(self) -> CaseReport:
        """The model without a fit."""
        return glmm_case_report(self.selection, self.design, {})

    def judged(self, fits: Mapping[str, Fit], registry: Sequence[Deviation]) -> CaseReport:
        """The model with its fits held against both truths."""
        return judged_glmm(self.selection, self.design, fits, registry)
