"""Generated models for a check: small and awkward, from a seed, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from pp_compare.audits.selection import Selection
from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import Plan, from_document
from pp_compare.errors import InputError
from pp_compare.releases.subject import Subject

NAME = "generated"
MOST = 100_000
"""Models of one run: more take weeks."""


def plan_of(count: int, seed: int) -> Plan:
    """A random plan of so many models: mostly random intercepts, small, unbalanced, of any ICC."""
    axes = {
        "model": ["intercept", "intercept", "intercept", "slope", "slopes", "nested", "crossed"],
        "predictors": ["none", "cluster", "within", "both"],
        "method": ["REML", "ML"],
        "clusters": {"low": 3, "high": 30, "log": True},
        "rows": {"low": 2, "high": 12, "log": True},
        "imbalance": [0.0, 0.5, 1.0],
        "icc": {"low": 0.003, "high": 0.97, "log": True},
        "noise": {"low": 0.1, "high": 10.0, "log": True},
        "offset": [0.0, 0.0, 100.0],
    }
    return from_document({"seed": seed, "random": {"draws": count, **axes}}, NAME)


def generated(count: int, seed: int) -> Iterator[Subject]:
    """The models, one after the other; there may be none.

    Raises
    ------
    InputError
        For fewer than none, or more than `MOST`.
    """
    if not 0 <= count <= MOST:
        raise InputError(f"--generated is a number from 0 to {MOST}, not {count}")
    if count == 0:
        return
    plan = plan_of(count, seed)
    for index in range(count):
        design = generate(plan, index).design
        spec = design.spec
        selection = Selection(design.dataset.name, design.dataset, spec.formula, spec.method)
        yield Subject(selection, design)
