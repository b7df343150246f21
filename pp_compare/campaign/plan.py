"""What a campaign generates and fits: the plan, its axes and its points.

A point is one value on every axis. A grid holds every combination; a random plan holds points drawn
from ranges. Each point has so many replications; a data set's index counts through them, point by
point, and together with the plan it says everything about the data set.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pp_compare.data.corpus import METHODS
from pp_compare.engines import engine_names, is_path
from pp_compare.errors import MOST_QUOTED, InputError, one_line, quoted
from pp_compare.model import Method

SCHEMA = "pp-compare/plan/1"
MODELS = ("intercept", "slope", "slopes", "nested", "crossed")
PREDICTORS = ("none", "cluster", "within", "both")

MOST_BYTES = 2**20
"""Of a plan's file."""
MOST_DATA_SETS = 10**9
"""Of a plan: twelve days at a millisecond each; and parts are numbered with ten digits."""
MOST_VALUES = 10_000
"""Of an axis."""
MOST_ROWS = 1e8
"""Of a data set: clusters times rows a cluster."""
MOST_SEED = 2**63 - 1
MOST_ENGINES = 100


@dataclass(frozen=True)
class Point:
    """One value on every axis.

    Parameters
    ----------
    model : str
        Random part: ``intercept`` is ``(1|g)``, ``slope`` ``(1 + x|g)``, ``slopes``
        ``(1 + x||g)``, ``nested`` ``(1|a/b)`` with three b in each a, ``crossed``
        ``(1|a) + (1|b)`` with half as many b as a.
    predictors : str
        ``cluster`` is a binary w, constant within clusters; ``within`` a normal x.
    method : {"REML", "ML"}
    clusters : int
        Levels of the (outer) grouping factor.
    rows : float
        Mean number of rows of a cluster, of the inner ones where nested.
    imbalance : float
        Standard deviation of the logarithm of a cluster's share of the rows.
    icc : float
        Variance of each random effect over the sum of itself and the residual variance.
    noise : float
        Residual standard deviation.
    effect : float
        Coefficient of every predictor.
    offset : float
        Intercept.
    """

    model: str = "intercept"
    predictors: str = "cluster"
    method: Method = "REML"
    clusters: int = 8
    rows: float = 8.0
    imbalance: float = 0.0
    icc: float = 0.3
    noise: float = 1.0
    effect: float = 1.0
    offset: float = 0.0

    @property
    def tau2(self) -> float:
        """Variance of each random effect."""
        return self.icc / (1.0 - self.icc) * self.noise**2


AXES = tuple(field.name for field in fields(Point))
Value = str | int | float


@dataclass(frozen=True)
class Range:
    """Values of an axis of a random plan: evenly between two ends, or evenly in the logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, u: float) -> float:
        """The value at `u` of [0, 1), to six digits: machines differ in the last bit of `exp`."""
        if self.log:
            value = self.low * math.exp(u * math.log(self.high / self.low))
        else:
            value = self.low + u * (self.high - self.low)
        return min(max(float(f"{value:.6g}"), self.low), self.high)


Axis = tuple[Value, ...] | Range


@dataclass(frozen=True)
class Plan:
    """A campaign before it runs.

    Parameters
    ----------
    name : str
    seed : int
    axes : mapping of str to Axis
        By name, for every axis of `AXES`.
    replications : int
        Data sets a point.
    draws : int or None
        Points of a random plan; None for a grid.
    design : {"fresh", "fixed"}
        Whether sizes and predictors are drawn for each data set, or once for each point.
    engines : tuple of str
        Engine ids.
    """

    name: str
    seed: int
    axes: Mapping[str, Axis]
    replications: int = 1
    draws: int | None = None
    design: Literal["fresh", "fixed"] = "fresh"
    engines: tuple[str, ...] = ("lme4", "nlme", "statsmodels")

    @property
    def points(self) -> int:
        """Number of points."""
        return self.draws if self.draws is not None else math.prod(self._shape)

    @property
    def size(self) -> int:
        """Number of data sets."""
        return self.points * self.replications

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes.values() if not isinstance(axis, Range))

    def varied(self) -> tuple[str, ...]:
        """Axes with more than one value, in the order of `AXES`."""
        return tuple(name for name in AXES if _varies(self.axes[name]))

    def point(self, number: int) -> Point:
        """The point of a number; the last axis moves fastest in a grid."""
        if self.draws is not None:
            u = self.generator(0, number).random(len(AXES))
            chosen = {name: _drawn(self.axes[name], x) for name, x in zip(AXES, u, strict=True)}
        else:
            places = np.unravel_index(number, self._shape)
            chosen = {n: self.axes[n][k] for n, k in zip(AXES, places, strict=True)}  # type: ignore[index]  # a grid has no ranges
        return _point(chosen)

    def generator(self, stream: int, number: int) -> np.random.Generator:
        """Random numbers of one stream of one data set or point, on any machine, in any order.

        Philox is counter-based (Salmon et al. 2011): the plan gives the key, and `stream` and
        `number` the upper half of the counter, so that no two sequences overlap.
        """
        counter = np.array([0, 0, stream, number], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(counter=counter, key=self._key))

    @cached_property
    def _key(self) -> np.ndarray:
        return np.frombuffer(bytes.fromhex(self.digest)[:16], dtype="<u8").astype(np.uint64)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the data depend on: not of the name, nor of the engines."""
        told = {k: v for k, v in to_document(self).items() if k not in {"name", "engines"}}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def read_plan(path: Path, allow: Collection[str] = ()) -> Plan:
    """Read a plan from a TOML file.

    Parameters
    ----------
    path : Path
    allow : collection of str
        Engines by the path of their factory, ``package.module:factory``, that the file may name.

    Raises
    ------
    InputError
        Where the file is not there, is no TOML, is no plan, or names an engine by a path that is
        not allowed; with the key.
    """
    text = read_bounded(path)
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # also of a number with thousands of digits
        raise InputError(f"{quoted(str(path))} is not TOML: {quoted(str(error))}") from None
    except RecursionError:
        raise InputError(f"{quoted(str(path))} is nested too deeply for a plan") from None
    plan = from_document(document, path.stem)
    require_allowed(plan, allow, path)
    return plan


def read_bounded(path: Path) -> str:
    """The text of a small file.

    Raises
    ------
    InputError
        Where it cannot be read, is not UTF-8, or is larger than `MOST_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {quoted(str(path))}: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot read {quoted(str(path))}: {quoted(str(error))}") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{quoted(str(path))} is larger than {MOST_BYTES >> 10} KiB, so no plan")
    return text


def require_allowed(plan: Plan, allow: Collection[str], source: Path) -> None:
    """Refuse an engine by its path, for importing it runs code, and a file must not ask for that.

    Raises
    ------
    InputError
        With the option that allows it.
    """
    for engine in plan.engines:
        if is_path(engine) and engine not in allow:
            raise InputError(
                f"{quoted(str(source))} names the engine {quoted(engine)} by its path, which would "
                f"run code that a file chose; engines by name are {', '.join(engine_names())}; "
                f"--allow-engine {quoted(engine)} allows this one"
            )


def from_document(document: Mapping[str, Any], name: str = "campaign") -> Plan:
    """Make a plan of what TOML or JSON holds.

    Raises
    ------
    InputError
        With the key and both what it is and what it may be.
    """
    given = dict(document)
    schema = given.pop("schema", SCHEMA)
    if schema != SCHEMA:
        raise InputError(f"a plan of schema {_shown(schema)}; this version reads '{SCHEMA}'")
    grid, drawn = given.pop("grid", None), given.pop("random", None)
    if (grid is None) == (drawn is None):
        raise InputError("a plan has either a table [grid] or a table [random]")
    axes = dict(_table("grid" if drawn is None else "random", grid if drawn is None else drawn))
    draws = (
        None
        if drawn is None
        else _whole("random.draws", axes.pop("draws", None), 1, MOST_DATA_SETS)
    )
    unknown = [k for k in given if k not in {"name", "seed", "replications", "design", "engines"}]
    unknown += [k for k in axes if k not in AXES]
    if unknown:
        raise InputError(
            f"a plan has no {quoted(str(unknown[0]))}; its axes are: {', '.join(AXES)}"
        )
    plan = Plan(
        name=_name(given.get("name", name)),
        seed=_whole("seed", given.get("seed", 1), 0, MOST_SEED),
        axes={axis: _axis(axis, axes.get(axis), draws is not None) for axis in AXES},
        replications=_whole("replications", given.get("replications", 1), 1, MOST_DATA_SETS),
        draws=draws,
        design=_one_of("design", given.get("design", "fresh"), ("fresh", "fixed")),
        engines=_engines(given.get("engines")),
    )
    _check_size(plan)
    return plan


def to_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain values; `from_document` reads it back."""
    axes: dict[str, Any] = {
        name: asdict(axis) if isinstance(axis, Range) else list(axis)
        for name, axis in plan.axes.items()
    }
    kind = "grid" if plan.draws is None else "random"
    return {
        "schema": SCHEMA,
        "name": plan.name,
        "seed": plan.seed,
        "replications": plan.replications,
        "design": plan.design,
        "engines": list(plan.engines),
        kind: axes if plan.draws is None else {"draws": plan.draws, **axes},
    }


def _varies(axis: Axis) -> bool:
    return isinstance(axis, Range) or len(axis) > 1


def _drawn(axis: Axis, u: float) -> Value:
    return axis.at(u) if isinstance(axis, Range) else axis[int(u * len(axis))]


def _point(chosen: Mapping[str, Value]) -> Point:
    whole = round(float(chosen["clusters"]))
    return Point(**{**chosen, "clusters": whole})  # type: ignore[arg-type]  # checked by _axis


def _check_size(plan: Plan) -> None:
    """Refuse more than can be run, before anything counts through it."""
    if plan.size > MOST_DATA_SETS:
        raise InputError(
            f"the plan asks for {plan.size:.3g} data sets ({plan.points:.3g} points, "
            f"{plan.replications} of each); {MOST_DATA_SETS:.0e} are taken at most"
        )
    clusters, rows = (_largest(plan.axes[name]) for name in ("clusters", "rows"))
    if clusters * rows > MOST_ROWS:
        raise InputError(
            f"clusters up to {clusters:g} times rows up to {rows:g} are {clusters * rows:.3g} rows "
            f"in a data set; {MOST_ROWS:.0e} are taken at most"
        )


def _largest(axis: Axis) -> float:
    return axis.high if isinstance(axis, Range) else max(float(value) for value in axis)


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise InputError(f"name is a text of up to 200 characters, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return one_line(text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}…")


def _table(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"[{key}] is a table of axes, not {_shown(value)}")
    return value


def _engines(value: object) -> tuple[str, ...]:
    if value is None:
        return Plan.engines
    if not isinstance(value, list) or not value or not all(isinstance(e, str) for e in value):
        raise InputError(f"engines is a list of engine ids, not {_shown(value)}")
    if len(value) > MOST_ENGINES:
        raise InputError(f"engines has {len(value)} ids; {MOST_ENGINES} are taken at most")
    return tuple(dict.fromkeys(value))


def _whole(key: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{key} is a whole number from {least}, not {_shown(value)}")
    if value > most:
        raise InputError(f"{key} is a whole number up to {most:.3g}, not {_shown(value)}")
    return value


def _one_of(key: str, value: object, known: Sequence[str]) -> Any:
    if value not in known:
        raise InputError(f"{key} is one of {', '.join(known)}, not {_shown(value)}")
    return value


_WORDS = {"model": MODELS, "predictors": PREDICTORS, "method": METHODS}
_LIMITS = {
    "clusters": (2.0, 1e7),
    "rows": (1.0, 1e7),
    "imbalance": (0.0, 5.0),
    "icc": (0.0, 1.0),
    "noise": (0.0, 1e100),
    "effect": (-1e100, 1e100),
    "offset": (-1e100, 1e100),
}
_OPEN = {("icc", 1.0), ("noise", 0.0)}
"""Ends that are not allowed themselves: there the residual variance would be 0."""


def _axis(name: str, value: object, random: bool) -> Axis:
    if value is None:
        return (getattr(Point, name),)
    if isinstance(value, Mapping):
        if not random or name in _WORDS:
            raise InputError(f"{name} is a value or a list of values here, not a range")
        return _range(name, value)
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MOST_VALUES:
        many = f"{len(values)} values; {MOST_VALUES} are taken at most" if values else "no value"
        raise InputError(f"{name} has {many}")
    if name in _WORDS:
        return tuple(_one_of(name, item, _WORDS[name]) for item in values)
    return tuple(_number(name, item) for item in values)


def _range(name: str, value: Mapping[str, Any]) -> Range:
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise InputError(f"{name} is a range of low, high and log, not {_shown(dict(value))}")
    low, high = (_number(name, value[end]) for end in ("low", "high"))
    log = value.get("log", False)
    if not isinstance(log, bool) or not low <= high or (log and low <= 0):
        raise InputError(
            f"{name}: low <= high, and above 0 where log is true; not {_shown(dict(value))}"
        )
    return Range(low, high, log)


def _number(name: str, value: object) -> int | float:
    low, high = _LIMITS[name]
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
    if not low <= number <= high or (name, number) in _OPEN:
        raise InputError(f"{name} is a number from {low:g} to {high:g}, not {_shown(value)}")
    if name == "clusters":
        return _whole(name, value, 2, int(high))
    return float(number)
