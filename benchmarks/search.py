"""Try to beat the certified search with differential evolution of a hundred times its effort.

    python benchmarks/search.py [--models 5000] [--class NAME] [--seconds S] [--json FILE]

Small models that are meant to be hard are drawn in four classes: a correlated slope, an
uncorrelated one, nested and crossed intercepts; with few rows, unequal groups, outliers, groups far
apart, shifted predictors, and both criteria. Each is searched as the certified core does it, and by
differential evolution over relative standard deviations from 1e-4 to 1e5 and all correlations. The
effort of a search is the number of its evaluations, one with derivatives counted as 1 + t + t^2
(parameters t); differential evolution may spend at least a hundred times that. What it finds is
polished by Newton's method, so that no difference is one of convergence.

A model is *beaten* if the deviance found so is lower by more than 1e-6 (1 + |deviance|), both
evaluated in balls: where the random effects fit y all but exactly, float64 sees minima that are
not there. Models
whose criterion has no optimum are left out and counted, as are those in which algebra leaves open
whether there is one. The exit status is 1 if any model is beaten.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from flint import arb_mat, ctx  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from pp_compare.certified.components.blocks import RandomBlock  # noqa: E402
from pp_compare.certified.equations.crossproducts import cross_products  # noqa: E402
from pp_compare.certified.equations.mixed_equations import solve  # noqa: E402
from pp_compare.certified.existence.direction import fitted_in_one_direction  # noqa: E402
from pp_compare.certified.existence.span import span_of  # noqa: E402
from pp_compare.certified.search import multistart as core  # noqa: E402
from pp_compare.certified.search.float_criterion import FloatCriterion  # noqa: E402
from pp_compare.errors import DataError  # noqa: E402

Floats = NDArray[np.float64]
CLASSES = ("slopes", "uncorrelated", "nested", "crossed")
EFFORT, BEATEN, POPULATION = 100, 1e-6, 100


class Counting(FloatCriterion):
    """The criterion, counting what is asked of it in evaluations of its value."""

    effort = 0

    def derivatives(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Values and derivatives."""
        t = points.shape[1]
        self.effort += len(points) * (1 + t + t**2)
        return super().derivatives(points)

    def values(self, points: Floats) -> Floats:
        """Values at many points."""
        self.effort += len(points)
        return super().values(points)


def draw(kind: str, seed: int) -> tuple[Floats, Floats, list[RandomBlock], bool]:
    """A small model of a class that is meant to be hard: y, X, random terms, REML or not."""
    rng = np.random.default_rng([seed, CLASSES.index(kind)])
    m = int(rng.integers(3, 7))
    sizes = np.maximum(rng.geometric(0.35, m), 1)
    sizes[0] += rng.choice([1, 2, 10])
    group = np.repeat(np.arange(m), sizes)
    n = len(group)
    x = rng.normal(size=n) if rng.random() < 0.5 else rng.integers(0, 4, n).astype(float)
    x = x * 10.0 ** rng.integers(-1, 2) + rng.choice([0.0, 0.0, 3.0])
    one = np.ones((n, 1))
    if kind == "nested":
        inner = group * 3 + rng.integers(0, 3, n)
        other = np.unique(inner, return_inverse=True)[1]
    else:
        other = np.unique(rng.integers(0, 5, n), return_inverse=True)[1]
    blocks = {
        "slopes": [RandomBlock(group, np.column_stack([one, x]))],
        "uncorrelated": [RandomBlock(group, one), RandomBlock(group, x[:, None])],
        "nested": [RandomBlock(group, one), RandomBlock(other, one)],
        "crossed": [RandomBlock(group, one), RandomBlock(other, one)],
    }[kind]
    y = rng.normal(size=n) * 10.0 ** rng.integers(-1, 1)
    for block in blocks:
        scales = rng.choice([0.0, 0.3, 1.0, 5.0], (1, block.size))
        effects = scales * rng.standard_t(2, (block.levels, block.size))
        y = y + (block.Z * effects[block.group]).sum(axis=1)
    if rng.random() < 0.3:
        y[rng.integers(n)] += rng.choice([-10.0, 10.0])
    if rng.random() < 0.3:
        y = np.round(y)
    X = np.column_stack([one, x]) if rng.random() < 0.6 else one
    return y, X, blocks, bool(rng.random() < 0.5)


def has_optimum(y: Floats, X: Floats, blocks: Sequence[RandomBlock]) -> bool:
    """Whether y lies outside the span of [X Z], so that there certainly is one."""
    return not span_of(y, X, blocks).holds_response


def exactly(criterion: Counting, factors: Sequence[Floats]) -> float:
    """The deviance in balls: where y is nearly fitted, float64 knows few digits of it, or none."""
    with ctx.workprec(512):
        T = [arb_mat(f.tolist()) for f in factors]
        solution = solve(criterion.products, [t * t.transpose() for t in T])
        return float(solution.profiled_deviance(criterion.reml))


def evolved(criterion: Counting, budget: int, seed: int) -> float:
    """The lowest deviance that differential evolution finds within a budget, polished."""
    sizes = criterion.products.sizes
    bounds = [b for q in sizes for b in [(-4.0, 5.0)] * q + [(0.0, np.pi)] * (q * (q - 1) // 2)]

    def factors(columns: Floats) -> Floats:
        at, found = 0, []
        for q in sizes:
            deviations = 10 ** columns[at : at + q]
            at += q
            rows: list[list[Floats]] = []
            for row in range(q):
                angles = columns[at : at + row]
                at += row
                rest, line = deviations[row], []
                for angle in angles:
                    line.append(rest * np.cos(angle))
                    rest = rest * np.sin(angle)
                rows.append([*line, rest])
            found += [rows[r][c] for c in range(q) for r in range(c, q)]
        return np.array(found).T

    def objective(columns: Floats) -> Floats:
        values = criterion.values(factors(columns))
        return np.where(np.isfinite(values), values, 1e300)

    best, _ = evolve(objective, np.array(bounds), budget, np.random.default_rng(seed))
    start = factors(best[:, None]).reshape(1, -1)
    found = [criterion.factors(start[0])]
    found += [stop.factors for stop in core.search_from(criterion, start)]
    return min(exactly(criterion, T) for T in found)


def evolve(
    objective: Callable[[Floats], Floats], bounds: Floats, budget: int, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Differential evolution, rand/1/bin (Storn & Price 1997), a whole generation at once.

    scipy's takes one member at a time to mutate it, which costs more than the criterion here.
    """
    low, high = bounds.T[:, :, None]
    size = (len(bounds), POPULATION * len(bounds))
    members = low + (high - low) * rng.random(size)
    values = objective(members)
    for _ in range(budget // size[1]):
        base, one, other = (members[:, rng.permutation(size[1])] for _ in range(3))
        trial = base + rng.uniform(0.4, 1.0) * (one - other)
        kept = rng.random(size) > 0.9
        trial = np.where(kept, members, np.clip(trial, low, high))
        found = objective(trial)
        better = found < values
        members[:, better], values[better] = trial[:, better], found[better]
    best = int(np.argmin(values))
    return members[:, best], float(values[best])


def attempt(kind: str, seed: int) -> dict[str, object]:
    """Search one model both ways."""
    y, X, blocks, reml = draw(kind, seed)
    try:
        products = cross_products(y, X, blocks)
    except DataError:
        return {"outcome": "not a model"}
    if not has_optimum(y, X, blocks):
        falls = len(blocks) == 1 and fitted_in_one_direction(y, X, blocks[0])
        return {"outcome": "no optimum" if falls else "no optimum or undecided"}
    criterion = Counting(products, reml)
    stops, starts = core.search(criterion, [], 0)
    effort = criterion.effort
    ours = min(exactly(criterion, stop.factors) for stop in stops)
    theirs = evolved(criterion, EFFORT * effort, seed)
    beaten = theirs < ours - BEATEN * (1 + abs(ours))
    return {
        "outcome": "beaten" if beaten else "held",
        "seed": seed,
        "by": ours - theirs,
        "minima": sum(not s.lost for s in stops),
        "starts": starts,
        "effort": effort,
    }


def main() -> int:
    """Run, print and return 1 if any model was beaten."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", type=int, default=5000, help="a class")
    parser.add_argument("--class", dest="kinds", action="append", choices=CLASSES)
    parser.add_argument("--seed", type=int, default=0, help="of the first model")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="a class, at most")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    summary = {}
    for kind in arguments.kinds or CLASSES:
        counts, beaten, several, start = Counter[object](), [], 0, time.perf_counter()
        for seed in range(arguments.seed, arguments.seed + arguments.models):
            found = attempt(kind, seed)
            counts[found["outcome"]] += 1
            several += int(str(found.get("minima", 0))) > 1
            if found["outcome"] == "beaten":
                beaten.append(found)
                print(f"  beaten: {kind} {found}", flush=True)
            if time.perf_counter() - start > arguments.seconds:
                break
        summary[kind] = {"counts": counts, "several minima": several, "beaten": beaten}
        searched = counts["held"] + counts["beaten"]
        print(
            f"{kind}: {searched} searched, {counts['beaten']} beaten, {several} with several "
            f"minima; left out: {counts.total() - searched}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=2))
    return int(any(part["beaten"] for part in summary.values()))


if __name__ == "__main__":
    sys.exit(main())
