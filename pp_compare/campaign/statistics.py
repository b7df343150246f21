"""Rows into a CampaignReport, part by part: memory does not grow with the data sets."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pp_compare.campaign import store
from pp_compare.campaign.generate import formula_of
from pp_compare.campaign.plan import AXES, Axis, Plan, Point, Range
from pp_compare.campaign.progress import WRONG
from pp_compare.campaign.rows import CERTIFIED
from pp_compare.report.campaign.record import (
    FINDINGS,
    LEVEL,
    CampaignReport,
    Coverage,
    Disagreement,
    EngineRecord,
    Map,
    Rate,
    WorstCase,
)

BINS = 6
"""Of an axis that is a range."""
MOST_AXES = 4
"""Axes that are mapped against each other; a reader looks at six maps an engine at most."""
WORST = 3
"""Worst cases an engine, and as many failures."""

Z = float(ndtri(0.5 + LEVEL / 2))


def summarize(plan: Plan, rows: Path) -> CampaignReport:
    """Read all parts of a campaign and summarize them."""
    tally = Tally(plan)
    for table in store.tables(rows):
        tally.add(table.to_pandas())
    return tally.report()


@dataclass
class Moments:
    """Sums of one estimate of one engine."""

    count: int = 0
    covered: int = 0
    with_error: int = 0
    error: float = 0.0
    squares: float = 0.0
    variance: float = 0.0

    def add(self, error: np.ndarray, se: np.ndarray | None = None) -> None:
        """Add estimates less truth, with their standard errors; one that is nan covers nothing."""
        good = np.isfinite(error)
        error = error[good]
        self.count += len(error)
        self.error += float(error.sum())
        self.squares += float((error**2).sum())
        if se is not None:
            se = se[good]
            self.covered += int((np.abs(error) <= Z * se).sum())
            self.with_error += int(np.isfinite(se).sum())
            self.variance += float(np.nansum(se**2))

    def coverage(self, engine: str, label: str) -> Coverage:
        """The record; without standard errors there is no coverage."""
        n = max(self.count, 1)
        bias = self.error / n
        spread = math.sqrt(max(self.squares / n - bias**2, 0.0))
        return Coverage(
            engine,
            label,
            Rate(self.covered, self.count) if self.with_error else None,
            bias,
            spread / math.sqrt(n),
            spread,
            math.sqrt(self.variance / self.with_error) if self.with_error else math.nan,
        )


@dataclass
class Tally:
    """Counts of a campaign, added part by part."""

    plan: Plan
    done: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    silent: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    sums: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    pairs: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    moments: defaultdict[tuple[str, str], Moments] = field(
        default_factory=lambda: defaultdict(Moments)
    )
    cells: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    worst: dict[tuple[str, bool], list[tuple[float, int, WorstCase]]] = field(default_factory=dict)

    def add(self, frame: pd.DataFrame) -> None:
        """Add the rows of some data sets; all rows of one data set come together."""
        frame = frame.assign(version=frame["version"].astype(object).fillna("unknown"))
        self.done += frame["index"].nunique()
        for (engine, version), rows in frame.groupby(["engine", "version"], observed=True):
            self._add_engine(str(engine), str(version), rows)
        for engine, rows in frame.groupby("engine", observed=True):
            self._add_moments(str(engine), rows[rows["status"] == "ok"])
            if engine != CERTIFIED:
                self._add_cells(str(engine), rows)
                self._add_worst(str(engine), rows)
        self._add_pairs(frame)

    def _add_engine(self, engine: str, version: str, rows: pd.DataFrame) -> None:
        key = engine, version
        for outcome, count in rows["outcome"].astype(str).value_counts().items():
            self.outcomes[*key, str(outcome)] += int(count)
        wrong = rows["outcome"].isin(WRONG)
        self.silent[key] += int((wrong & (rows["converged"] == True)).sum())  # noqa: E712  # None is no
        self.lost[key] += int((rows["status"] == "lost").sum())
        ok = rows[rows["status"] == "ok"]
        told = ok[["seconds", "digits_beta", "digits_variances"]].to_numpy(float)
        sums = np.concatenate([np.nansum(told, axis=0), np.isfinite(told).sum(axis=0)])
        self.sums[key] = self.sums.get(key, np.zeros(6)) + sums

    def _add_moments(self, engine: str, rows: pd.DataFrame) -> None:
        for (model, predictors), alike in rows.groupby(["model", "predictors"], observed=True):
            labels = _labels(Point(model=str(model), predictors=str(predictors)))
            beta, se, true = (
                np.array(alike[name].tolist()) for name in ("beta", "beta_se", "beta_true")
            )
            for k, label in enumerate(labels):
                self.moments[engine, label].add(beta[:, k] - true[:, k], se[:, k])
            noise = alike["noise"].to_numpy(float)
            icc = alike["icc"].to_numpy(float)
            first = np.array([values[0] for values in alike["variances"]])
            # In units of the noise, so that plans with several noises can be added up.
            tau2, sigma2 = first / noise**2, (alike["sigma"].to_numpy(float) / noise) ** 2
            self.moments[engine, "tau2 / noise^2"].add(tau2 - icc / (1 - icc))
            self.moments[engine, "sigma2 / noise^2"].add(sigma2 - 1.0)

    def _add_cells(self, engine: str, rows: pd.DataFrame) -> None:
        tried = rows[~rows["outcome"].isin(["unsupported", "unjudged"])]
        bad = tried["outcome"].isin(FINDINGS).to_numpy()
        for across, down in mapped(self.plan):
            columns = _places(self.plan.axes[across], tried[across])
            lines = _places(self.plan.axes[down], tried[down]) if down else 0 * columns
            width = len(_names(self.plan.axes[across]))
            shape = len(_names(self.plan.axes[down])) if down else 1, width
            counts = self.cells.setdefault((engine, across, down), np.zeros((*shape, 2), int))
            np.add.at(counts[..., 0], (lines, columns), bad)
            np.add.at(counts[..., 1], (lines, columns), 1)

    def _add_worst(self, engine: str, rows: pd.DataFrame) -> None:
        for failed in (False, True):
            kind = rows["outcome"] == "failure" if failed else rows["outcome"].isin(WRONG)
            kept = self.worst.setdefault((engine, failed), [])
            chosen = rows[kind].sort_values("above", ascending=False).head(WORST)
            for row in chosen.to_dict("records"):
                above = row["above"] if math.isfinite(row["above"]) else 0.0
                heapq.heappush(kept, (above, -row["index"], _worst_case(row)))
                if len(kept) > WORST:
                    heapq.heappop(kept)

    def _add_pairs(self, frame: pd.DataFrame) -> None:
        told = frame[frame["engine"] != CERTIFIED]
        above = told.pivot_table(index="index", columns="engine", values="above", observed=True)
        allowed = frame.groupby("index")["tolerance"].max()
        for first, second in combinations(above.columns.astype(str), 2):
            gap = (above[first] - above[second]).abs()
            judged = gap.notna() & np.isfinite(allowed.reindex(gap.index))
            counts = self.pairs.setdefault((first, second), [0, 0])
            counts[0] += int((gap > 2 * allowed.reindex(gap.index))[judged].sum())
            counts[1] += int(judged.sum())

    def report(self) -> CampaignReport:
        """What has been counted."""
        varied = self.plan.varied()
        axes = {name: ", ".join(_names(self.plan.axes[name])) for name in AXES}
        order = {e: i for i, e in enumerate((*self.plan.engines, CERTIFIED))}
        return CampaignReport(
            name=self.plan.name,
            digest=self.plan.digest,
            size=self.plan.size,
            done=self.done,
            axes={name: text for name, text in axes.items() if name in varied},
            fixed={name: text for name, text in axes.items() if name not in varied},
            engines=tuple(
                self._engine(*key)
                for key in sorted(self.sums, key=lambda k: (order[k[0]], k[1]))
                if key[0] != CERTIFIED
            ),
            disagreements=tuple(
                Disagreement(*pair, Rate(*counts)) for pair, counts in sorted(self.pairs.items())
            ),
            coverage=tuple(
                self.moments[key].coverage(*key)
                for key in sorted(self.moments, key=lambda k: (" " in k[1], k[1], order[k[0]]))
            ),
            maps=tuple(self._maps()),
            worst=tuple(self._worst()),
        )

    def _engine(self, engine: str, version: str) -> EngineRecord:
        key = engine, version
        counts = {o: n for (e, v, o), n in self.outcomes.items() if (e, v) == key}
        fits, unsupported = sum(counts.values()), counts.get("unsupported", 0)
        judged = sum(counts.get(o, 0) for o in ("right", "below", *WRONG))
        rates = {o: Rate(counts.get(o, 0), judged) for o in FINDINGS if o != "failure"}
        rates["failure"] = Rate(counts.get("failure", 0), fits - unsupported)
        sums = self.sums[key]
        means = np.where(sums[3:] > 0, sums[:3] / np.maximum(sums[3:], 1), np.nan)
        return EngineRecord(
            engine,
            version,
            fits,
            rates,
            Rate(self.silent[key], judged),
            self.lost[key],
            unsupported,
            counts.get("unjudged", 0),
            counts.get("below", 0),
            *map(float, means),
        )

    def _maps(self) -> Iterable[Map]:
        for (engine, across, down), counts in self.cells.items():
            yield Map(
                engine,
                across,
                down,
                _names(self.plan.axes[across]),
                _names(self.plan.axes[down]) if down else ("",),
                tuple(tuple(Rate(int(a), int(n)) for a, n in line) for line in counts),
            )

    def _worst(self) -> Iterable[WorstCase]:
        for engine in self.plan.engines:
            for failed in (False, True):
                kept = self.worst.get((engine, failed), [])
                yield from (case for _, _, case in sorted(kept, key=lambda k: (-k[0], -k[1])))


def mapped(plan: Plan) -> list[tuple[str, str]]:
    """Pairs of axes that are mapped; a single axis goes with an empty name."""
    varied = plan.varied()[:MOST_AXES]
    if len(varied) == 1:
        return [(varied[0], "")]
    return list(combinations(varied, 2))


def _labels(point: Point) -> list[str]:
    """Fixed effects, in the order of the formula."""
    fixed = formula_of(point).partition("~")[2].partition("(")[0].replace("+", " ").split()
    return ["Intercept", *(name for name in fixed if name != "1")]


def _edges(axis: Range) -> np.ndarray:
    return np.array([axis.at(k / BINS) for k in range(BINS + 1)])


def _names(axis: Axis) -> tuple[str, ...]:
    """Values of an axis, or its bins, as text."""
    if not isinstance(axis, Range):
        return tuple(v if isinstance(v, str) else f"{v:g}" for v in axis)
    edges = _edges(axis)
    return tuple(f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges))


def _places(axis: Axis, values: pd.Series) -> np.ndarray:
    """Which value or bin each row has."""
    if isinstance(axis, Range):
        found = np.searchsorted(_edges(axis), values.to_numpy(float), side="right") - 1
        return np.clip(found, 0, BINS - 1)
    place: Mapping[object, int] = {value: i for i, value in enumerate(axis)}
    return np.array([place[value] for value in values.astype(object)], dtype=int)


def _worst_case(row: Mapping[Any, Any]) -> WorstCase:
    point = Point(model=str(row["model"]), predictors=str(row["predictors"]))
    return WorstCase(
        int(row["index"]),
        str(row["engine"]),
        str(row["outcome"]),
        float(row["above"]),
        row["converged"] if isinstance(row["converged"], bool) else None,
        formula_of(point),
        str(row["method"]),
        str(row["messages"]),
    )
