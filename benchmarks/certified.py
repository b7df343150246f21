"""Time the certified optimum against lmer() on the same data, in one run.

    python benchmarks/certified.py [--repeats 7] [--general] [--json FILE]

Three claims on random intercepts are measured, and the exit status is 1 if one does not hold:

1. for at most 200 clusters and 25,000 rows, the median over the designs of the ratio
   (arrays to proved optimum with every quantity) / lmer() is at most 1;
2. 1,000,000 rows take at most 5 seconds of one core and 1 GB, the interpreter included;
3. time is linear in the rows and in the number of distinct cluster sizes: four times as many cost
   at most six times as much, where quadratic growth would cost sixteen times.

Both sides run with one BLAS thread and read the same doubles. The ratio is one of wall times, each
the median of repeats after one call to warm up; lmer() runs inside one R process, so that neither
start-up nor reading the data is counted. The other two claims are about processor time.

``--general`` times slopes, nested and crossed intercepts instead, from arrays to a proved local
optimum with every estimate; nothing is claimed of those ratios, the table is what is wanted. They
are ratios of processor times, each a median, so that the table can be made on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

# One thread for both; it must be set before numpy loads its BLAS.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from pp_compare.certified.components.blocks import RandomBlock  # noqa: E402
from pp_compare.certified.general.optimum import general_optimum  # noqa: E402
from pp_compare.certified.intercept.optimum import intercept_optimum  # noqa: E402
from pp_compare.certified.intercept.statistics import InterceptStatistics  # noqa: E402

SEED = 20240607
MOST_RATIO, MOST_SECONDS, MOST_MEGABYTES, MOST_GROWTH = 1.0, 5.0, 1024.0, 6.0

TIME_LMER = """
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(TRUE)
repeats <- as.integer(arguments[[2]])
for (file in list.files(arguments[[1]], "[.]f64$", full.names = TRUE)) {
  shape <- scan(sub("f64$", "txt", file), quiet = TRUE)
  values <- readBin(file, "double", prod(shape))
  d <- as.data.frame(matrix(values, shape[[1]], shape[[2]]))
  names(d) <- c("y", "g", paste0("x", seq_len(shape[[2]] - 2)))
  d$g <- factor(d$g)
  model <- reformulate(c(names(d)[-(1:2)], "(1 | g)"), "y")
  once <- function() {
    from <- Sys.time()
    suppressMessages(suppressWarnings(lmer(model, d)))
    as.numeric(Sys.time() - from, units = "secs")
  }
  once()
  cat(basename(file), median(replicate(repeats, once())), "\\n")
}
"""

TIME_GENERAL = """
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(TRUE)
values <- readBin(file.path(arguments[[1]], "data.f64"), "double", 1e9)
d <- as.data.frame(matrix(values, ncol = 4, dimnames = list(NULL, c("y", "x", "g", "h"))))
d$g <- factor(d$g)
d$h <- factor(d$h)
model <- as.formula(arguments[[3]])
once <- function() {
  from <- proc.time()
  suppressMessages(suppressWarnings(lmer(model, d)))
  sum((proc.time() - from)[c("user.self", "sys.self")])
}
invisible(once())
cat(median(replicate(as.integer(arguments[[2]]), once())))
"""


class Design(NamedTuple):
    """What one data set is made from."""

    clusters: int
    rows: int
    predictors: int  # apart from the intercept; the first is constant within clusters
    sizes: str  # "equal", "distinct" (an arithmetic series) or "random"
    spread: float = 0.5  # standard deviation between clusters; within, it is 1


class Data(NamedTuple):
    """Response, design matrix with its intercept, cluster codes."""

    y: NDArray[np.float64]
    X: NDArray[np.float64]
    group: NDArray[np.intp]


SMALL = [
    Design(8, 64, 1, "equal"),
    Design(8, 62, 1, "random", 0.0),
    Design(30, 300, 2, "equal", 0.3),
    Design(30, 300, 2, "distinct"),
    Design(100, 1000, 1, "random"),
    Design(200, 1000, 2, "random", 0.0),
    Design(200, 2000, 5, "equal"),
    Design(20, 5000, 2, "random"),
    Design(100, 10_000, 3, "distinct"),
    Design(200, 25_000, 1, "equal"),
    Design(200, 25_000, 2, "distinct"),
    Design(200, 25_000, 9, "distinct"),
]


def simulate(design: Design, seed: int) -> Data:
    """Draw a data set; rows are in random order."""
    rng = np.random.default_rng([SEED, seed])
    clusters, rows = design.clusters, design.rows
    if design.sizes == "random":
        group = np.concatenate([np.arange(clusters), rng.integers(0, clusters, rows - clusters)])
    else:
        shares = np.ones(clusters)
        if design.sizes == "distinct":
            shares = np.arange(1.0, clusters + 1) + clusters / 4
        group = np.searchsorted(np.cumsum(shares) / shares.sum(), (np.arange(rows) + 0.5) / rows)
    group = rng.permutation(group)
    columns = [np.ones(rows), (group % 2).astype(float)]
    columns += [rng.normal(size=rows) for _ in range(design.predictors - 1)]
    y = 1 + rng.normal(size=rows) + design.spread * rng.normal(size=clusters)[group]
    return Data(y, np.column_stack(columns), group)


def fit(data: Data) -> None:
    """From arrays to the proved optimum, every quantity of the record included."""
    intercept_optimum(InterceptStatistics.from_arrays(*data), reml=True)


def fit_summed(summed: InterceptStatistics) -> None:
    """The same from the sums on; a new record holds nothing that an earlier fit left in it."""
    intercept_optimum(replace(summed), reml=True)


class Shape(NamedTuple):
    """What a model of another kind is made from; ``inner`` rows a group, or levels of the other."""

    kind: str  # "slopes", "uncorrelated", "nested" or "crossed"
    groups: int
    inner: int
    rows: int


GENERAL = [
    Shape("slopes", 20, 0, 200),
    Shape("slopes", 200, 0, 2000),
    Shape("slopes", 2000, 0, 20_000),
    Shape("slopes", 10_000, 0, 100_000),
    Shape("uncorrelated", 20, 0, 200),
    Shape("uncorrelated", 200, 0, 2000),
    Shape("uncorrelated", 10_000, 0, 100_000),
    Shape("nested", 20, 3, 240),
    Shape("nested", 200, 3, 2400),
    Shape("nested", 2500, 3, 30_000),
    Shape("crossed", 20, 20, 400),
    Shape("crossed", 80, 40, 3200),
    Shape("crossed", 200, 200, 40_000),
    Shape("crossed", 500, 10, 5000),
]

RIGHT_SIDES = {
    "slopes": "x + (x | g)",
    "uncorrelated": "x + (x || g)",
    "nested": "x + (1 | g) + (1 | h)",
    "crossed": "x + (1 | g) + (1 | h)",
}


def made(shape: Shape, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Columns y, x, g, h of a model with unit residual variance and effects of about its size."""
    rng, n = np.random.default_rng([SEED, seed]), shape.rows
    g = np.arange(n) % shape.groups
    if shape.kind == "nested":
        h = g * shape.inner + rng.integers(0, shape.inner, n)
    elif shape.rows == shape.groups * shape.inner:
        h = np.arange(n) // shape.groups
    else:
        h = rng.integers(0, max(shape.inner, 1), n)
    x, effect = rng.normal(size=n), rng.normal(size=(shape.groups, 2)) @ [[1.0, 0.4], [0.0, 0.7]]
    y = 1 - x + rng.normal(size=n) + effect[g, 0]
    y += effect[g, 1] * x if "slopes" in shape.kind or "unc" in shape.kind else 0.0
    y += rng.normal(size=h.max() + 1)[h] if shape.inner else 0.0
    return y, x, g.astype(float), h.astype(float)


def fit_general(shape: Shape, columns: tuple[NDArray[np.float64], ...]) -> None:
    """From arrays to a proved optimum; an optimum that is not proved is an error."""
    y, x, *factors = columns
    g, h = (np.unique(f, return_inverse=True)[1] for f in factors)
    X = np.column_stack([np.ones(len(y)), x])
    blocks = {
        "slopes": [RandomBlock(g, X)],
        "uncorrelated": [RandomBlock(g, X[:, :1]), RandomBlock(g, X[:, 1:])],
    }.get(shape.kind, [RandomBlock(g, X[:, :1]), RandomBlock(h, X[:, :1])])
    if general_optimum(y, X, blocks, reml=True).claim != "local":
        raise RuntimeError(f"{shape} was not proved")


def general_against_lmer(repeats: int) -> dict[str, object]:
    """The table of the other kinds: slopes, nested and crossed."""
    print("model          groups  inner    rows   certified       lmer   ratio")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for i, shape in enumerate(GENERAL):
            columns = made(shape, i)
            np.concatenate(columns).tofile(Path(folder, "data.f64"))
            fitting = partial(fit_general, shape, columns)
            ours = median_seconds(fitting, repeats, time.process_time)
            script = Path(folder, "time.R")
            script.write_text(TIME_GENERAL)
            command = ["Rscript", "--vanilla", str(script), folder, str(repeats)]
            answer = subprocess.run(
                [*command, f"y ~ {RIGHT_SIDES[shape.kind]}"],
                check=True,
                capture_output=True,
                text=True,
            )
            theirs = float(answer.stdout)
            rows.append([*shape, ours, theirs, ours / theirs])
            print(
                f"{shape.kind:13}{shape.groups:8}{shape.inner:7}{shape.rows:8}"
                f"{1e3 * ours:9.1f} ms{1e3 * theirs:8.1f} ms{ours / theirs:8.2f}",
                flush=True,
            )
    print(f"median ratio {statistics.median(row[-1] for row in rows):.2f}")
    return {"rows": rows}


def median_seconds(
    action: Callable[[], None], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median time of ``repeats`` calls by a clock, after one that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return statistics.median(times)


def lmer_seconds(data: list[Data], repeats: int) -> list[float]:
    """Median seconds of lmer() for each data set, in one R process."""
    with tempfile.TemporaryDirectory() as folder:
        for i, d in enumerate(data):
            columns = [d.y, d.group.astype(float), *d.X.T[1:]]  # R adds its own intercept
            np.concatenate(columns).tofile(Path(folder, f"{i:03}.f64"))
            Path(folder, f"{i:03}.txt").write_text(f"{len(d.y)} {len(columns)}\n")
        script = Path(folder, "time.R")
        script.write_text(TIME_LMER)
        answer = subprocess.run(
            ["Rscript", "--vanilla", str(script), folder, str(repeats)],
            check=True,
            capture_output=True,
            text=True,
        )
    return [float(line.split()[1]) for line in answer.stdout.splitlines()]


def against_lmer(repeats: int) -> dict[str, object]:
    """Claim 1: the ratio to lmer() on each design."""
    data = [simulate(design, i) for i, design in enumerate(SMALL)]
    ours = [median_seconds(partial(fit, d), repeats) for d in data]
    theirs = lmer_seconds(data, repeats)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print("clusters   rows  p  sizes     certified      lmer   ratio")
    for design, a, b, ratio in zip(SMALL, ours, theirs, ratios, strict=True):
        label = f"{design.clusters:8} {design.rows:6} {design.predictors + 1:2}  {design.sizes:8}"
        print(f"{label} {1e3 * a:7.1f} ms {1e3 * b:6.1f} ms  {ratio:6.2f}")
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f}, largest {max(ratios):.2f}; at most {MOST_RATIO} claimed\n")
    return {"ratios": ratios, "median": median, "holds": median <= MOST_RATIO}


def a_million_rows() -> dict[str, object]:
    """Claim 2: seconds and peak memory, each design in a process of its own."""
    results = []
    for design in (Design(200, 10**6, 2, "equal"), Design(100_000, 10**6, 2, "random")):
        answer = subprocess.run(
            [sys.executable, __file__, "--one", json.dumps(design)],
            check=True,
            capture_output=True,
            text=True,
        )
        result = json.loads(answer.stdout)
        results.append(result)
        print(
            f"1,000,000 rows, {design.clusters} clusters: {result['seconds']:.2f} s "
            f"of one core, {result['wall']:.2f} s by the clock, "
            f"{result['megabytes']:.0f} MB with the data"
        )
    print(f"at most {MOST_SECONDS} s and {MOST_MEGABYTES:.0f} MB claimed\n")
    holds = all(r["seconds"] <= MOST_SECONDS and r["megabytes"] <= MOST_MEGABYTES for r in results)
    return {"results": results, "holds": holds}


def one(design: Design) -> dict[str, float]:
    """Processor and wall seconds of a single fit, and the peak memory of this process."""
    data = simulate(design, 0)
    wall, cpu = time.perf_counter(), time.process_time()
    fit(data)
    return {
        "seconds": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def least_cpu_seconds(action: Callable[[], None], repeats: int) -> float:
    """Least processor time of ``repeats`` calls: what a busy machine adds is no growth."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def growth(repeats: int) -> dict[str, object]:
    """Claim 3: how time grows with the rows, and with the distinct cluster sizes."""
    series = {
        "rows": [Design(100, n, 2, "equal") for n in (62_500, 250_000, 1_000_000)],
        "sizes": [Design(k, 200_000, 1, "distinct") for k in (35, 140, 560)],
    }
    results: dict[str, list[float]] = {}
    for name, designs in series.items():
        seconds = []
        for design in designs:
            data = simulate(design, 1)
            action = partial(fit, data)
            if name == "sizes":  # the rows are the same: what is left once they are summed up
                action = partial(fit_summed, InterceptStatistics.from_arrays(*data))
            seconds.append(least_cpu_seconds(action, repeats))
        results[name] = seconds
        steps = ", ".join(f"{1e3 * s:.1f} ms" for s in seconds)
        print(f"four times the {name}, twice: {steps}; factors {list(factors(seconds))}")
    print(f"factors of at most {MOST_GROWTH} claimed")
    holds = all(f <= MOST_GROWTH for seconds in results.values() for f in factors(seconds))
    return {"seconds": results, "holds": holds}


def factors(seconds: list[float]) -> Iterator[float]:
    """Ratio of each time to the one before."""
    for before, after in pairwise(seconds):
        yield round(after / before, 2)


def main() -> int:
    """Run all three, print, and return 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--general", action="store_true", help="slopes, nested and crossed")
    arguments = parser.parse_args()
    if arguments.general:
        table = general_against_lmer(arguments.repeats)
        if arguments.json:
            arguments.json.write_text(json.dumps(table, indent=2))
        return 0
    if arguments.one:
        print(json.dumps(one(Design(*arguments.one))))
        return 0
    result = {
        "lmer": against_lmer(arguments.repeats),
        "million": a_million_rows(),
        "growth": growth(arguments.repeats),
    }
    if arguments.json:
        partial = arguments.json.with_suffix(".part")
        partial.write_text(json.dumps(result, indent=2))
        partial.rename(arguments.json)
    return int(not all(part["holds"] for part in result.values()))


if __name__ == "__main__":
    sys.exit(main())
