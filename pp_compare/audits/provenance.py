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
from pp_compare.report.record import Provenance

PACKAGES = ("pp-compare", "numpy", "pandas", "scipy", "statsmodels", "python-flint", "formulaic")
R_ENGINES = frozenset({"lme4", "nlme", "glmmtmb", "pymer4"})


def collect_provenance(fits: Iterable[Fit], sources: Mapping[str, str], command: str) -> Provenance:
    """Collect the provenance of a run.

    Parameters
    ----------
    fits : iterable of Fit
        Their versions tell R and its packages.
    sources : mapping of str to str
        The engine that played each part, by engine id.
    command : str
    """
    of_r: dict[str, str] = {}
    others: dict[str, str] = {}
    for fit in fits:
        (of_r if _in_r(fit.engine) else others).update(fit.versions)
    recorded = [source for source in sources.values() if source.startswith("recorded:")]
    live = any(_in_r(source) for source in sources.values())
    stack = recorded[0].partition(":")[2].partition("/")[0] if recorded else None
    return Provenance(
        python=sys.version.split()[0],
        platform=platform.platform(),
        blas=_blas(),
        packages=others | {name: version(name) for name in PACKAGES},
        R=of_r.pop("R", None),
        r_packages=of_r,
        r_source="live" if live else (f"recorded:{stack}" if stack else None),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
    )


def _in_r(engine: str) -> bool:
    return engine.partition(":")[0] in R_ENGINES


def _blas() -> str:
    """BLAS that numpy was built with, and the kernel that was forced on it, if one was."""
    config = np.show_config(mode="dicts") or {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    name = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    forced = os.environ.get("OPENBLAS_CORETYPE")
    return f"{name} (OPENBLAS_CORETYPE={forced})" if forced else name
