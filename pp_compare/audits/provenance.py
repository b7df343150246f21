"""With what a run was made: interpreter, machine, BLAS, packages, R."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from pp_compare.model import Fit
from pp_compare.report.record import Provenance, RSource

PACKAGES = ("pp-compare", "numpy", "pandas", "scipy", "statsmodels", "python-flint", "formulaic")
R_ENGINES = frozenset({"lme4", "nlme", "glmmpql", "glmmtmb", "pymer4"})


def collect_provenance(
    fits: Iterable[Fit],
    sources: Mapping[str, str],
    command: str,
    *,
    roads: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> Provenance:
    """Collect the provenance of a run.

    Parameters
    ----------
    fits : iterable of Fit
        Their versions tell R and its packages.
    sources : mapping of str to str
        The engine that played each part, by engine id.
    command : str
    roads, missing : mapping of str to str, optional
        How R is reached, and for want of what an engine is played back, by engine id.
    """
    versions: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for fit in fits:
        of_engine = versions.setdefault(fit.engine, {}) if _in_r(fit.engine) else others
        of_engine.update(fit.versions)
    of_r = {name: text for told in versions.values() for name, text in told.items()}
    r_sources = tuple(
        RSource(
            engine,
            _stack(source),
            versions.get(engine, {}),
            (roads or {}).get(engine, ""),
            (missing or {}).get(engine, ""),
        )
        for engine, source in sources.items()
        if _in_r(source)
    )
    return Provenance(
        python=sys.version.split()[0],
        platform=platform.platform(),
        blas=_blas(),
        packages=others | {name: version(name) for name in PACKAGES},
        R=of_r.pop("R", None),
        r_packages=of_r,
        r_source="+".join(dict.fromkeys(map(_kind, r_sources))) or None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        r_sources=r_sources,
    )


def _stack(source: str) -> str | None:
    """The stack of a recorded engine, ``recorded:bookworm/lme4``."""
    kind, _, rest = source.partition(":")
    return rest.partition("/")[0] if kind == "recorded" else None


def _kind(source: RSource) -> str:
    return f"recorded:{source.stack}" if source.stack else "live"


def _in_r(engine: str) -> bool:
    return engine.partition(":")[0] in R_ENGINES or _stack(engine) is not None


def _blas() -> str:
    """BLAS that numpy was built with, and the kernel that was forced on it, if one was."""
    config = np.show_config(mode="dicts") or {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    name = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    forced = os.environ.get("OPENBLAS_CORETYPE")
    return f"{name} (OPENBLAS_CORETYPE={forced})" if forced else name
