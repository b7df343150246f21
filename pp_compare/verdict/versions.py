"""Which package's numbers a fit has, and in which version."""

from __future__ import annotations

from pp_compare.model import Fit

PACKAGES = {"glmmpql": "mass"}
"""Packages that are not named as their engines are."""


def played(engine_id: str) -> str:
    """The engine whose numbers they are: of ``recorded:sid/lme4:tight`` that is ``lme4:tight``."""
    kind, _, rest = engine_id.partition(":")
    return rest.partition("/")[2] if kind == "recorded" else engine_id


def package_version(fit: Fit) -> str | None:
    """Version of the package that an engine is named after, or is of."""
    versions = {name.lower(): text for name, text in fit.versions.items()}
    name = played(fit.engine).partition(":")[0].lower()
    return versions.get(PACKAGES.get(name, name))
