"""Known deviations: differences that are understood, written down and pinned to an example.

An entry lets a failure pass as ``known``; it never widens a tolerance. Its examples are strict: a
run that includes one, with an engine in the entry's range, fails when the deviation no longer shows
there, so that a repair upstream is noticed and the entry retired.
"""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pp_compare.errors import InputError
from pp_compare.model import Fit
from pp_compare.resources import resource
from pp_compare.verdict.versions import played

Fact = str | float | bool
_OPERATORS = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
_HAS = "has"
PROBE = "probe:"
"""Begins a quantity that is a probe (`pp_compare.verdict.probes`) and no number of a fit."""


@dataclass(frozen=True)
class Condition:
    """``fact operator value``: ``method == ML``, ``above <= 0.5``, ``messages has singular``.

    The value may be another fact: ``excess <= condition``.
    """

    fact: str
    relation: str
    value: str

    def holds(self, facts: Mapping[str, Fact]) -> bool:
        """Whether the facts of a case meet the condition; an unknown fact does not."""
        if self.fact not in facts:
            return False
        fact = facts[self.fact]
        if isinstance(fact, bool):
            return (str(fact).lower() == self.value) == (self.relation == "==")
        if isinstance(fact, str):
            if self.relation == _HAS:
                return self.value in fact
            return (fact == self.value) == (self.relation == "==")
        value = float(facts.get(self.value, self.value))
        return self.relation != _HAS and bool(_OPERATORS[self.relation](fact, value))


@dataclass(frozen=True)
class Example:
    """A model in which a deviation must show: a named case, or data that stand beside the entry.

    Parameters
    ----------
    case : str
        Name of the case, or of the file without its ending.
    method : str
    formula : str
        Of data that are no named case.
    data : Path or None
        A CSV file in which every double reads back to the same bits.
    """

    case: str
    method: str
    formula: str = ""
    data: Path | None = None


@dataclass(frozen=True)
class Deviation:
    """One entry of the registry.

    Parameters
    ----------
    id : str
    engine : str
        Name without setting.
    settings : tuple of str
        Patterns of settings it shows under; ``"default"`` is none. The examples are of the first of
        them, of the default where that is ``"*"``.
    versions : SpecifierSet
        Of the engine's package; R's ``3.1-162`` reads as 3.1.162.
    quantities : tuple of str
        Patterns of quantities, and ``identity:ID``; or ``probe:NAME`` throughout, of what is asked
        of the examples beside the fit, and must show in each.
    causes : tuple of str
        As attribution gives them; of probes none.
    when : tuple of Condition
        On the facts of a case: ``method``, ``boundary`` (certified optimum), ``optima``, ``rows``,
        ``groups``, ``above`` (deviance above the optimum), ``random_effects``,
        ``size_ratio`` (largest over smallest cluster), ``offset`` (mean of the response in its
        standard deviations), ``residual_share`` (residual over the response's standard deviation);
        on those of the engine's own fit (`facts_of`); and on ``excess``, the failure over its
        tolerance. `pp_compare.audits.glmm_known` has those of generalised models.
    summary, seen, true : str
        What it is, what is seen, what is true.
    upstream : str
        Link, or "not reported".
    checked : str
        Date of the last look, ISO.
    examples : tuple of Example
    """

    id: str
    engine: str
    settings: tuple[str, ...]
    versions: SpecifierSet
    quantities: tuple[str, ...]
    causes: tuple[str, ...]
    when: tuple[Condition, ...]
    summary: str
    seen: str
    true: str
    upstream: str
    checked: str
    examples: tuple[Example, ...]

    @property
    def probes(self) -> tuple[str, ...]:
        """Names of the probes that the entry is about."""
        return tuple(q.removeprefix(PROBE) for q in self.quantities if q.startswith(PROBE))

    def concerns(self, engine_id: str, version: str | None) -> bool:
        """Whether the entry is about this engine, setting and version."""
        name, _, setting = played(engine_id).partition(":")
        setting = setting or "default"
        return (
            name == self.engine
            and any(fnmatchcase(setting, pattern) for pattern in self.settings)
            and version is not None
            and self.versions.contains(_version(version), prereleases=True)
        )

    @property
    def example_engine(self) -> str:
        """Engine id, or a pattern of it, that the examples are of."""
        first = self.settings[0]
        return self.engine if first in {"*", "default"} else f"{self.engine}:{first}"

    def must_show(self, engine_id: str, version: str | None) -> bool:
        """Whether the examples are of this engine, setting and version."""
        engine_id = played(engine_id)
        return fnmatchcase(engine_id, self.example_engine) and self.concerns(engine_id, version)

    def covers(self, quantity: str, cause: str | None, facts: Mapping[str, Fact]) -> bool:
        """Whether a failure of this quantity, with this cause, in this case, is the known one."""
        return (
            cause in self.causes
            and any(fnmatchcase(quantity, pattern) for pattern in self.quantities)
            and all(condition.holds(facts) for condition in self.when)
        )


def facts_of(fit: Fit) -> dict[str, Fact]:
    """Facts of an engine's own answer, in which nan meets no condition.

    Returns
    -------
    dict
        ``relative_variance``: smallest variance of the random effects in any direction, over the
        residual variance. ``condition``: largest over smallest variance of a group's random effects
        in any direction, at its worst; infinite where the smallest is not positive.
        ``negative_variance``: whether its covariance of the fixed
        effects has one on its diagonal. ``messages``: what it said.
    """
    with np.errstate(all="ignore"):
        smallest, condition = _extremes(list(fit.covariances.values()))
        relative = smallest / float(fit["sigma"]) ** 2 if "sigma" in fit.quantities else np.nan
    cov = fit.quantities.get("beta_cov")
    return {
        "relative_variance": float(relative),
        "condition": condition,
        "negative_variance": cov is not None and bool((np.diag(cov.values) < 0).any()),
        "messages": "; ".join(fit.messages),
    }


def _extremes(covariances: Sequence[np.ndarray]) -> tuple[np.float64, float]:
    """Smallest eigenvalue of all, and largest ratio of two in one; nan where there are none."""
    if not covariances or not all(np.isfinite(cov).all() for cov in covariances):
        return np.float64(np.nan), np.nan
    values = [np.linalg.eigvalsh(cov) for cov in covariances]
    worst = max(v[-1] / v[0] if v[0] > 0 else np.inf for v in values)
    return np.min([v[0] for v in values]), float(worst)


def load_glmm_deviations() -> tuple[Deviation, ...]:
    """The registry of generalised models, which have entries of their own."""
    return load_deviations(resource("fixtures", "deviations", "glmm"))


def load_deviations(path: Path | None = None) -> tuple[Deviation, ...]:
    """Read the registry of linear models, one TOML file an entry, or those of a folder, or one.

    Raises
    ------
    InputError
        For an entry that cannot be read, with the file and the field.
    """
    root = path or resource("fixtures", "deviations")
    return tuple(
        _read(file) for file in ([root] if root.is_file() else sorted(root.glob("*.toml")))
    )


def find(
    registry: Iterable[Deviation],
    engine_id: str,
    version: str | None,
    quantity: str,
    cause: str | None,
    facts: Mapping[str, Fact],
) -> Deviation | None:
    """The first entry that knows this failure."""
    for entry in registry:
        if entry.concerns(engine_id, version) and entry.covers(quantity, cause, facts):
            return entry
    return None


def _read(path: Path) -> Deviation:
    try:
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        return Deviation(
            id=path.stem,
            engine=entry["engine"],
            settings=tuple(entry.get("settings", ["*"])),
            versions=SpecifierSet(entry.get("versions", "")),
            quantities=_quantities(entry["quantities"]),
            causes=tuple(entry.get("causes", ()) if _asks(entry) else entry["causes"]),
            when=_conditions(entry.get("when", [])),
            summary=entry["summary"],
            seen=entry["seen"],
            true=entry["true"],
            upstream=entry["upstream"],
            checked=str(entry["checked"]),
            examples=tuple(_example(path.parent, example) for example in entry["examples"]),
        )
    except (tomllib.TOMLDecodeError, InvalidSpecifier, ValueError) as error:
        raise InputError(f"{path.name}: {error}") from error
    except KeyError as field:
        raise InputError(f"{path.name}: the field {field} is missing") from field


def _asks(entry: Mapping[str, Any]) -> bool:
    return any(quantity.startswith(PROBE) for quantity in entry["quantities"])


def _quantities(patterns: Sequence[str]) -> tuple[str, ...]:
    if len({pattern.startswith(PROBE) for pattern in patterns}) > 1:
        raise ValueError("quantities: probes and numbers of a fit want an entry each")
    return tuple(patterns)


def _example(folder: Path, entry: Mapping[str, str]) -> Example:
    if "data" not in entry:
        return Example(entry["case"], entry["method"])
    data = folder / entry["data"]
    return Example(data.stem, entry["method"], entry["formula"], data)


def _conditions(lines: Sequence[str]) -> tuple[Condition, ...]:
    found = []
    for line in lines:
        fact, relation, value = line.split(maxsplit=2)
        if relation not in {*_OPERATORS, _HAS}:
            known = ", ".join([*_OPERATORS, _HAS])
            raise ValueError(f"'{line}': the relation must be one of {known}")
        found.append(Condition(fact, relation, value))
    return tuple(found)


def _version(text: str) -> Version:
    try:
        return Version(text.replace("-", "."))
    except InvalidVersion:
        return Version("0")
