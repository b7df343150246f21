"""What a campaign costs beyond its engines, against the ways a user would write it today.

    python benchmarks/campaign.py [overhead] [ways] [processes] [growth] [--repeats 5] [--json FILE]

Without a name all four parts are measured. Every figure is a median over the repeats of one run on
one machine, so that ratios can be compared where milliseconds cannot.

Our own fits are timed as in the process that fits: SIGINT is its parent's, and what was loaded is
left out of the collections of garbage. The ways of a user are timed as they come.

overhead    (a) Wall time over the sum of the times inside the engines' own public functions:
            lmer(), lme(), MixedLM.from_formula().fit() with its results. Data are drawn, fitted by
            all three engines and made rows; start-up, once a process, is told apart. The same with
            judging: the time of the certified core then counts as an engine's.
ways        (b) Data sets a second against one Rscript a data set (CSV in, JSON out) and against
            rpy2 with pandas2ri in one process, all three engines; the engines' own time is the
            floor. Public code reads lmer() through rpy2 by summary(), so that is the way compared;
            the leanest way to the same numbers is told beside it. All in turn, chunk by chunk; a
            ratio is that of one turn. And lmer() with a fixed design, where the campaign goes below
            that floor.
processes   (c) Data sets a second of two processes over one, start-up left out; beside it what two
            processes are over one on this machine for a loop of Python alone.
growth      (d) Seconds of each engine and memory of each process with J clusters of 10 rows.

It exits with 1 where (a) is above 1.05, (b) below 25 or 1.5, or (c) below 1.9.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

# One thread for all; it must be set before numpy loads its BLAS.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from pp_compare.campaign.batch import fit_batch
from pp_compare.campaign.generate import Sample, generate
from pp_compare.campaign.judge import Judgement
from pp_compare.campaign.local import LocalFleet
from pp_compare.campaign.plan import Plan, from_document
from pp_compare.campaign.rows import Fitter, row_of
from pp_compare.campaign.sandbox import CHUNK
from pp_compare.engines import make_engine

ENGINES = ("lme4", "nlme", "statsmodels")
OVERHEAD, OVER_RSCRIPT, OVER_RPY2, TWO_OVER_ONE = 1.05, 25.0, 1.5, 1.9
GROWTH = (10, 100, 1000)
SEED = 20240607
SCRIPTS = 3
"""Data sets that a turn gives to Rscript, which takes two seconds for each."""
PART, PARTS_EACH = 25, 12
"""Of (c): data sets that a process takes at a time, and how often."""


def plan(replications: int, **other: Any) -> Plan:
    """About 62 rows in 8 clusters, ICC 0.9: the case that the project grew from."""
    grid = {"clusters": 8, "rows": 7.75, "imbalance": 0.6, "icc": 0.9, **other.pop("grid", {})}
    given = {"name": "benchmark", "seed": SEED, "engines": list(ENGINES), **other}
    return from_document({**given, "replications": replications, "grid": grid})


@contextmanager
def in_a_worker() -> Iterator[None]:
    """The state of `pp_compare.campaign.child`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        signal.signal(signal.SIGINT, before)


# ---- (a) -----------------------------------------------------------------------------------------


def overhead(repeats: int) -> dict[str, Any]:
    """Wall time over the engines' own."""
    start = time.perf_counter()
    engines = {name: make_engine(name) for name in ENGINES}
    campaign = plan((repeats + 1) * CHUNK)
    chunks = [range(k * CHUNK, (k + 1) * CHUNK) for k in range(repeats + 1)]
    _fit_chunk(campaign, engines, chunks[0])  # compiles R's byte code, loads what loads late
    start_up = time.perf_counter() - start
    fitter = Fitter(campaign, engines.__getitem__)
    with in_a_worker():
        bare = [_fit_chunk(campaign, engines, chunk) for chunk in chunks[1:]]
        judged = [_judge_chunk(fitter, chunk) for chunk in chunks[1:]]
    return {
        "start-up, seconds": start_up,
        "wall / engines": median(wall / own for wall, own in bare),
        "engines, ms a data set": 1e3 * median(own for _, own in bare) / CHUNK,
        "wall / (engines + certified core), judged": median(w / own for w, own in judged),
        "judging, ms a data set": 1e3
        * (median(w for w, _ in judged) - median(w for w, _ in bare))
        / CHUNK,
    }


def _fit_chunk(campaign: Plan, engines: dict[str, Any], chunk: range) -> tuple[float, float]:
    """Wall time and the engines' own, of drawing, fitting and making rows."""
    start, own = time.perf_counter(), 0.0
    samples = [generate(campaign, index) for index in chunk]
    for engine in engines.values():
        fits = fit_batch(engine, [s.design for s in samples])
        rows = [row_of(s, f, Judgement("unjudged"), "") for s, f in zip(samples, fits, strict=True)]
        json.dumps(rows)
        own += sum(fit.seconds for fit in fits)
    return time.perf_counter() - start, own


def _judge_chunk(fitter: Fitter, chunk: range) -> tuple[float, float]:
    """The same, held against the certified optimum."""
    start, own = time.perf_counter(), 0.0
    for engine in ("certified", *ENGINES):
        rows = fitter.rows(engine, chunk, {})
        json.dumps(rows)
        own += sum(row["seconds"] for row in rows)
    return time.perf_counter() - start, own


# ---- (b) -----------------------------------------------------------------------------------------

R_SCRIPT = """
suppressPackageStartupMessages({ library(lme4); library(nlme); library(jsonlite) })
d <- read.csv(commandArgs(TRUE)[[1]])
d$g <- factor(d$g)
m <- suppressMessages(suppressWarnings(lmer(y ~ w + (1 | g), d)))
l <- lme(y ~ w, data = d, random = ~ 1 | g)
cat(toJSON(list(
  lme4 = list(beta = fixef(m), se = sqrt(diag(as.matrix(vcov(m)))), sigma = sigma(m),
    variance = as.data.frame(VarCorr(m))$vcov[[1]], loglik = as.numeric(logLik(m))),
  nlme = list(beta = fixef(l), se = sqrt(diag(vcov(l))), sigma = l$sigma,
    variance = as.numeric(VarCorr(l)[1, 1]), loglik = as.numeric(logLik(l)))), digits = NA))
"""


def ways(repeats: int) -> dict[str, Any]:
    """Data sets a second, and ratios."""
    campaign = plan(CHUNK * (repeats + 1))
    engines = {name: make_engine(name) for name in ENGINES}
    by_summary, lean = _pandas2ri()
    _fit_chunk(campaign, engines, range(CHUNK))
    by_summary(generate(campaign, 0))
    lean(generate(campaign, 0))
    turns: list[dict[str, float]] = []
    for k in range(1, repeats + 1):
        chunk = range(k * CHUNK, (k + 1) * CHUNK)
        with in_a_worker():
            ours, own = _fit_chunk(campaign, engines, chunk)
        samples = [generate(campaign, index) for index in chunk]
        turns.append(
            {
                "engines": own / CHUNK,
                "campaign": ours / CHUNK,
                "pandas2ri": _mean_seconds(samples, by_summary, _statsmodels),
                "pandas2ri, no summary()": _mean_seconds(samples, lean, _statsmodels),
                "Rscript": _mean_seconds(samples[:SCRIPTS], _rscript, _statsmodels),
            }
        )
    rates = {f"{n}, data sets a second": median(1 / turn[n] for turn in turns) for n in turns[0]}
    others = ("Rscript", "pandas2ri", "pandas2ri, no summary()")
    return {
        **rates,
        **{f"campaign over {n}": median(t[n] / t["campaign"] for t in turns) for n in others},
        **_fixed_design(engines["lme4"], repeats),
    }


def _mean_seconds(samples: list[Sample], *steps: Callable[[Sample], object]) -> float:
    start = time.perf_counter()
    for sample in samples:
        for step in steps:
            step(sample)
    return (time.perf_counter() - start) / len(samples)


def _rscript(sample: Sample) -> object:
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder, "data.csv"), Path(folder, "fit.R")
        sample.design.dataset.frame.to_csv(data, index=False)
        script.write_text(R_SCRIPT)
        done = subprocess.run(
            ["Rscript", str(script), str(data)], capture_output=True, check=True, text=True
        )
        return json.loads(done.stdout)


def _statsmodels(sample: Sample) -> object:
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM.from_formula("y ~ w", sample.design.dataset.frame, groups="g").fit()
    return fit.fe_params, fit.bse_fe, fit.cov_re, fit.scale, fit.llf


def _pandas2ri() -> tuple[Callable[[Sample], object], Callable[[Sample], object]]:
    """Lmer and lme by pandas2ri, read by summary(), as public code does it, and without."""
    import rpy2.robjects as ro
    from rpy2.robjects import pandas2ri
    from rpy2.robjects.conversion import localconverter
    from rpy2.robjects.packages import importr

    lme4, nlme, stats, base = (importr(name) for name in ("lme4", "nlme", "stats", "base"))

    def fits(sample: Sample) -> tuple[Any, Any]:
        frame = sample.design.dataset.frame.assign(g=sample.design.dataset.frame["g"].astype(str))
        with localconverter(ro.default_converter + pandas2ri.converter):
            data = ro.conversion.get_conversion().py2rpy(frame)
        mixed = lme4.lmer(ro.Formula("y ~ w + (1 | g)"), data=data)
        return mixed, nlme.lme(ro.Formula("y ~ w"), data=data, random=ro.Formula("~ 1 | g"))

    def rest(model: Any) -> object:
        return stats.sigma(model)[0], stats.logLik(model)[0], nlme.VarCorr(model)

    def by_summary(sample: Sample) -> object:
        mixed, of_nlme = fits(sample)
        tables = base.summary(mixed).rx2("coefficients"), base.summary(of_nlme).rx2("tTable")
        return [np.asarray(table) for table in tables], rest(mixed), rest(of_nlme)

    def lean(sample: Sample) -> object:
        found = []
        for model in fits(sample):
            cov = np.asarray(base.as_matrix(stats.vcov(model)))
            found.append((np.asarray(nlme.fixef(model)), np.sqrt(np.diag(cov)), rest(model)))
        return found

    return by_summary, lean


def _fixed_design(lme4: Any, repeats: int) -> dict[str, float]:
    """What lmer() takes with the design's part done once a chunk, over lmer() itself."""
    campaign = plan(CHUNK * repeats, design="fixed")
    ratios, same = [], True
    for k in range(repeats):
        designs = [generate(campaign, i).design for i in range(k * CHUNK, (k + 1) * CHUNK)]
        with in_a_worker():
            whole = fit_batch(lme4, designs)
            start = time.perf_counter()
            again = fit_batch(lme4, designs, fixed_design=True)
        ratios.append((time.perf_counter() - start) / sum(fit.seconds for fit in whole))
        same &= all(
            np.array_equal(a[name], b[name])
            for a, b in zip(whole, again, strict=True)
            for name in b.quantities
        )
    return {"fixed design: wall / lmer()": median(ratios), "fixed design: same bits": float(same)}


# ---- (c) -----------------------------------------------------------------------------------------


def processes(repeats: int) -> dict[str, Any]:
    """Two processes over one, and what two over one are on this machine for a loop of Python."""
    turns = [(_rate(1), _rate(2), _loops(2) / _loops(1)) for _ in range(repeats)]
    return {
        "one process, data sets a second": median(one for one, _, _ in turns),
        "two processes, data sets a second": median(two for _, two, _ in turns),
        "two over one": median(two / one for one, two, _ in turns),
        "two over one, a bare loop of Python": median(bare for _, _, bare in turns),
    }


def _rate(count: int) -> float:
    """Data sets a second while all processes are at work.

    From the time when each has given its first part until the first may have none left.
    """
    campaign = plan(PARTS_EACH * PART * count)
    ranges = iter([(start, start + PART) for start in range(0, campaign.size, PART)])
    times = [time.perf_counter() for _ in LocalFleet(campaign, count).results(ranges)]
    parts = len(times) - 2 * count + 1
    return parts * PART / (times[-count] - times[count - 1])


LOOP = """
import sys, time
print("ready", flush=True)
sys.stdin.readline()
rounds, end = 0, time.perf_counter() + 5
while time.perf_counter() < end:
    rounds += sum(i % 7 for i in range(10_000)) > 0
print(rounds)
"""


def _loops(count: int) -> int:
    """Rounds of a loop in so many processes at once, together."""
    kind = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([sys.executable, "-c", LOOP], **kind) for _ in range(count)]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(process.communicate()[0]) for process in running)


# ---- (d) -----------------------------------------------------------------------------------------


def growth(repeats: int) -> dict[str, Any]:
    """Seconds and megabytes by engine and number of clusters; each in a process of its own."""
    found: dict[str, Any] = {}
    for engine in (*ENGINES, "certified"):
        for clusters in GROWTH:
            done = subprocess.run(
                [sys.executable, __file__, "--one", engine, str(clusters), str(min(repeats, 3))],
                capture_output=True,
                check=True,
                text=True,
            )
            found[f"{engine}, J = {clusters}"] = json.loads(done.stdout)
    return found


def _one(engine_id: str, clusters: int, repeats: int) -> dict[str, float]:
    """Median seconds of a fit, and how much memory the process took for it."""
    import resource

    engine = make_engine(engine_id)
    campaign = plan(repeats + 1, grid={"clusters": clusters, "rows": 10, "imbalance": 0.0})
    small = plan(1, grid={"clusters": GROWTH[0], "rows": 10})
    engine.fit(generate(small, 0).design)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [engine.fit(generate(campaign, i).design).seconds for i in range(repeats)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": median(seconds), "megabytes more": (after - before) / 1024}


# --------------------------------------------------------------------------------------------------

PARTS = {"overhead": overhead, "ways": ways, "processes": processes, "growth": growth}
CLAIMS = {
    ("overhead", "wall / engines"): (OVERHEAD, "at most"),
    ("ways", "campaign over Rscript"): (OVER_RSCRIPT, "at least"),
    ("ways", "campaign over pandas2ri"): (OVER_RPY2, "at least"),
    ("processes", "two over one"): (TWO_OVER_ONE, "at least"),
}


def main() -> int:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        engine, clusters, repeats = asked.one
        print(json.dumps(_one(engine, int(clusters), int(repeats))))
        return 0
    if unknown := [part for part in asked.parts if part not in PARTS]:
        parser.error(f"no part '{unknown[0]}'; there are: {', '.join(PARTS)}")
    found = {part: PARTS[part](asked.repeats) for part in asked.parts or PARTS}
    for part, values in found.items():
        print(part)
        for name, value in values.items():
            print(f"  {name:45} {value if isinstance(value, dict) else format(value, '.4g')}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return _exit_status(found)


def _exit_status(found: dict[str, dict[str, Any]]) -> int:
    status = 0
    for (part, name), (limit, kind) in CLAIMS.items():
        if part in found:
            value = found[part][name]
            holds = value <= limit if kind == "at most" else value >= limit
            print(f"{'holds' if holds else 'FAILS'}: {name} is {value:.3g}, {kind} {limit:g}")
            status |= not holds
    return status


if __name__ == "__main__":
    sys.exit(main())
