"""An engine on trial: each model is fitted once, by it and by its references, and judged once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from pp_compare.audits.bundles.reproduce import write_bundle
from pp_compare.audits.judging import judge
from pp_compare.conformance.models import Model
from pp_compare.conformance.references import DEFAULT, References, make_references
from pp_compare.engines import Engine, make_engine, not_asked
from pp_compare.errors import InputError
from pp_compare.identities import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.report.record import CaseReport
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation, load_deviations


def _fit(engine: Engine, design: Design) -> Fit:
    reason = not_asked(engine, design)
    return engine.fit(design) if reason is None else Fit.unsupported(engine.name, reason)


class Trial:
    """An engine, what it is held against, and what was found so far.

    Parameters
    ----------
    engine : Engine or str
        An engine, or its id.
    references : sequence of str
        ``certified``, and ``recorded:STACK`` or ``live``.
    registry : sequence of Deviation, optional
        Known deviations; those of the project by default.
    bundle : Path, optional
        Folder for one bundle a failing model, as by ``pp-compare reproduce``.

    Raises
    ------
    InputError
        For an engine or a reference that there is not, or an engine that is its own reference.
    UnavailableError
        For one that this machine cannot run.
    """

    generates = True
    """Whether there are generated data for its models."""

    def __init__(
        self,
        engine: Engine | str,
        references: Sequence[str] = DEFAULT,
        registry: Sequence[Deviation] | None = None,
        bundle: Path | None = None,
    ) -> None:
        self.engine_id = engine if isinstance(engine, str) else None
        self.engine: Engine = make_engine(engine) if isinstance(engine, str) else engine
        self.references: References = make_references(references)
        self.registry = load_deviations() if registry is None else tuple(registry)
        self.bundle = bundle
        self._judged: dict[str, CaseReport] = {}
        if self.name == "certified" or self.name in self.references.engines:
            raise InputError(f"'{self.name}' would be held against itself; give it another name")

    @property
    def name(self) -> str:
        """Engine id under which the engine's numbers stand in reports."""
        return self.engine.name

    @property
    def header(self) -> str:
        """What it is and what it is held against, in a line."""
        return f"engine {self.name}, against {' and '.join(self.references.names)}"

    def again(self) -> Trial:
        """The same engine and references, with nothing found yet and no bundle."""
        fresh = copy(self)
        fresh.bundle, fresh._judged = None, {}
        return fresh

    def unsupported(self, model: Model) -> str | None:
        """Why the engine cannot express a model; None where it can."""
        return not_asked(self.engine, model.design) or self.engine.unsupported(model.design)

    def fits(self, model: Model) -> Mapping[str, Fit]:
        """What the engine and the references answer, by engine id."""
        parts = {self.name: self.engine, **self.references.engines}
        return {name: replace(_fit(e, model.design), engine=name) for name, e in parts.items()}

    def judged(self, model: Model) -> CaseReport:
        """The model with everything that was found; the first call fits it."""
        if model.id not in self._judged:
            report = judge(model.selection, model.design, self.fits(model), self.registry)
            self._judged[model.id] = report
            if self.bundle is not None and self._fails(report):
                write_bundle(self.bundle / report.file_name, model.design, report)
        return self._judged[model.id]

    def comparisons(self, model: Model, reference: str, quantity: str) -> list[Comparison]:
        """The lines of one quantity of the engine against one reference."""
        return [
            line
            for line in self.judged(model).comparisons
            if (line.candidate, line.reference, line.quantity) == (self.name, reference, quantity)
        ]

    def identity(self, model: Model, identity: str) -> IdentityCheck | None:
        """The outcome of one identity; None where the engine gave no answer."""
        found = (c for c in self.judged(model).identities if c.engine == self.name)
        return next((check for check in found if check.identity == identity), None)

    def _fails(self, report: CaseReport) -> bool:
        """Whether anything unexpected was found of this engine."""
        ours = [c.verdict for c in report.identities if c.engine == self.name]
        ours += [c.verdict for c in report.comparisons if c.candidate == self.name]
        return "fail" in ours
