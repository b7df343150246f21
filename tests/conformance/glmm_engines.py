"""Engines of generalised models for the suite: one with an adapter's manners, and faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.identities.conditional_modes import conditional_modes
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign

_KNOWN: dict[tuple[str, str, bytes, bytes], Fit] = {}


def sound(design: GlmmDesign, definition: str = "laplace") -> Fit:
    """Certified numbers in doubles, with their modes; each model is worked out once."""
    inner = design.design
    codes = b"".join(block.codes.tobytes() for block in inner.blocks)
    key = (definition, str(inner.labels), inner.X.tobytes() + codes, design.y.tobytes())
    if key not in _KNOWN:
        answer = GlmmModel(design).optimum(definition)
        if not answer.found:
            _KNOWN[key] = Fit.failed("candidate", answer.reason)
        else:
            own = Fit("candidate", "ok", answer.quantities)
            modes = conditional_modes(design, own["beta"], own.covariances).effects
            pairs = list(zip(inner.blocks, modes, strict=True))
            effects = {
                f"blup[{g}]": np.hstack([m for b, m in pairs if b.group == g])
                for g in inner.group_levels
            }
            _KNOWN[key] = Fit(
                "candidate",
                "ok",
                {**answer.quantities, **labelled(inner, effects)},
                True,
                versions={"candidate": "1"},
                definition=definition,
            )
    found = _KNOWN[key]
    # Under this design's own names.
    values = {name: quantity.values for name, quantity in found.quantities.items()}
    names = {f"[{group}]" for group in inner.group_levels}
    if all(f"[{n.partition('[')[2]}" in names for n in values if "[" in n):
        return replace(found, quantities=labelled(inner, values))
    (group,) = inner.group_levels
    renamed = {n.partition("[")[0] + f"[{group}]" if "[" in n else n: v for n, v in values.items()}
    return replace(found, quantities=labelled(inner, renamed))


@dataclass
class Candidate:
    """An engine that is sound but for one change of its answers."""

    change: Callable[[GlmmDesign, Fit], Fit] = lambda _design, fit: fit
    definition: str = "laplace"
    name: str = "candidate"

    def unsupported(self, design: GlmmDesign) -> str | None:
        """None: every model."""
        del design

    def fit(self, design: GlmmDesign) -> Fit:
        """The sound answer, changed where there is one."""
        found = sound(design, self.definition)
        return self.change(design, found) if found.status == "ok" else found


def changed(design: GlmmDesign, fit: Fit, **values: np.ndarray) -> Fit:
    """Some quantities replaced."""
    return replace(fit, quantities={**fit.quantities, **labelled(design.design, values)})


def _moved(design: GlmmDesign, fit: Fit, by: float) -> Fit:
    """Every fixed effect by so many standard errors, and the criterion there."""
    beta = fit["beta"] + by * fit["beta_se"]
    value = GlmmModel(design).value(fit.definition, beta, fit.covariances).middle
    return changed(design, fit, beta=beta, loglik=np.array(value))


def stops_early(design: GlmmDesign, fit: Fit) -> Fit:
    return _moved(design, fit, 0.1)


def stops_early_where_failures_prevail(design: GlmmDesign, fit: Fit) -> Fit:
    """A step limit that only one way of calling the outcomes meets; a hair within the truth."""
    few = 2 * design.y.sum() < design.trials.sum()
    return _moved(design, fit, 0.1) if not few else fit


def drops_the_constant(design: GlmmDesign, fit: Fit) -> Fit:
    constant = float(GlmmModel(design).data.constant().mid())
    return changed(design, fit, loglik=np.array(float(fit["loglik"]) - constant))


def variances_for_errors(design: GlmmDesign, fit: Fit) -> Fit:
    return changed(design, fit, beta_se=fit["beta_se"] ** 2)


def modes_of_the_next_group(design: GlmmDesign, fit: Fit) -> Fit:
    (group,) = design.design.group_levels
    return changed(design, fit, **{f"blup[{group}]": np.roll(fit[f"blup[{group}]"], 1, axis=0)})


def modes_without_their_mean(design: GlmmDesign, fit: Fit) -> Fit:
    """Centred, as those of a linear model are by themselves."""
    (group,) = design.design.group_levels
    modes = fit[f"blup[{group}]"]
    return changed(design, fit, **{f"blup[{group}]": modes - modes.mean()})


def exact_called_laplace(design: GlmmDesign, fit: Fit) -> Fit:
    return replace(sound(design, "exact"), definition=fit.definition)


def names_nothing(design: GlmmDesign, fit: Fit) -> Fit:
    del design
    return replace(fit, definition="")


def no_numbers(design: GlmmDesign, fit: Fit) -> Fit:
    return changed(design, fit, beta=fit["beta"] * math.nan)


def raises(design: GlmmDesign, fit: Fit) -> Fit:
    raise ZeroDivisionError("a variance of 0")


def engine() -> Candidate:
    """The sound one, by its path."""
    return Candidate()


def early() -> Candidate:
    """One that stops early, by its path."""
    return Candidate(stops_early)
