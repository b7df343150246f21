"""Candidates that are sound, faulty, or do not live: a row each, and what is kept is used again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.engines.recorded import encode_fit
from pp_compare.engines.statsmodels import make
from pp_compare.model import Fit
from pp_compare.model.design import Design, build_design
from pp_compare.releases.candidate import Candidate, Effort, PythonCandidate
from pp_compare.releases.check import Broken, Plan, _pairs, check, ended
from pp_compare.releases.dialect import PlainDialect, StatsmodelsDialect
from pp_compare.releases.environment import Environment
from pp_compare.releases.generated import generated
from pp_compare.releases.platform import Platform, pinned, variants
from pp_compare.releases.store import Store
from pp_compare.releases.subject import Subject
from pp_compare.releases.work import State
from pp_compare.report.digest import KINDS
from pp_compare.report.release.json import releases_json
from pp_compare.report.release.record import CandidateReport, ReleaseReport
from tests.releases.adapters import ANOVA, write

HERE = Environment(Path(sys.executable), {"statsmodels": "here"}, {})

WRONG_DIVISOR = ANOVA.replace("/ (m * (n - 1))", "/ (m * n)")
DEAD = ANOVA + "\ndef fit(request):\n    import os\n    os.kill(os.getpid(), 11)\n"
HANGING = ANOVA + "\ndef fit(request):\n    import time\n    time.sleep(1000)\n"


def toy(folder: Path, label: str, text: str = ANOVA) -> PythonCandidate:
    path = folder / label
    path.mkdir()
    return PythonCandidate(label, PlainDialect("toy", write(path, text)), HERE)


def subjects(*names: str) -> Iterator[Subject]:
    for name in names:
        known = case(name)
        selection = Selection(name, known.dataset, known.formula, "REML", known.why)
        yield Subject(selection, build_design(known.dataset, known.spec("REML")))


def run(
    folder: Path,
    *candidates: Candidate | Broken,
    models: Sequence[str] = ("Dyestuff",),
    seconds: float = 60.0,
    platforms: tuple[Platform, ...] = (),
    baseline: str | None = None,
    told: list[State] | None = None,
) -> ReleaseReport:
    store = Store(folder / "results")
    plan = Plan(pinned(), platforms, Effort(seconds), {}, (), store)
    note = [] if told is None else told
    return check(candidates, list(subjects(*models)), plan, {}, baseline=baseline, tell=note.append)


def test_a_fault_is_named_and_the_dead_cost_a_row_each(tmp_path: Path) -> None:
    candidates = [
        toy(tmp_path, "sound"),
        toy(tmp_path, "faulty", WRONG_DIVISOR),
        toy(tmp_path, "dead", DEAD),
        toy(tmp_path, "unimportable", "raise ImportError('no module')"),
        Broken("uninstallable", "toy", "does not install: no wheel"),
    ]
    report = run(tmp_path, *candidates, baseline="sound")
    problems = {c.label: c.problem for c in report.candidates}
    assert problems["sound"] is problems["faulty"] is None
    assert "signal 11 (SIGSEGV)" in str(problems["dead"])
    assert problems["unimportable"] == "does not load: ImportError: no module"
    assert problems["uninstallable"] == "does not install: no wheel"
    named = {
        d.after.split()[1]: {(c.kind, c.direction, c.subject) for c in d.changes}
        for d in report.differences
    }
    wrong = {("value", "worse", name) for name in ("sigma", "random_cov", "blup")}
    assert named["faulty"] & {("value", "worse", name) for name in KINDS} == wrong
    for label in ("dead", "unimportable", "uninstallable"):
        assert ("start", "worse", "the candidate as a whole") in named[label]
    assert report.exit_status("worse") == 1


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    sound, again = toy(tmp_path, "sound"), Platform(pinned().kernel, repeat=1)
    told: list[State] = []
    first = run(tmp_path, sound, platforms=(again,), told=told)
    # A fit, its verdict, and a fit on the other platform; each is begun and made.
    assert [(s.kind, s.made, s.done, s.total) for s in told] == [
        ("fits", 0, 0, 3),
        ("fits", 1, 1, 3),
        ("verdicts", 0, 1, 3),
        ("verdicts", 1, 2, 3),
        ("fits", 0, 2, 3),
        ("fits", 1, 3, 3),
    ]
    assert {(row.platform, row.models, row.changed) for row in first.noise} == {(again.label, 1, 0)}
    told.clear()
    second = run(tmp_path, sound, platforms=(again,), told=told)
    assert told == []
    assert releases_json(first) == releases_json(second)
    run(tmp_path, toy(tmp_path, "other", ANOVA + "# another file"), told=told)
    assert told


def test_one_that_hangs_costs_its_time(tmp_path: Path) -> None:
    hanging = toy(tmp_path, "hanging", HANGING)
    (made,) = hanging.fits([next(subjects("Dyestuff")).design], pinned(), Effort(1.0))
    assert made.messages == ("stopped after 1 s",)
    assert ended(made)


def test_a_worker_fits_as_this_process_does(tmp_path: Path) -> None:
    engine = make(None)
    here = PythonCandidate("here", StatsmodelsDialect(engine), HERE)
    design = next(subjects("sleepstudy")).design
    (made,) = here.fits([design], Platform(), Effort())
    ours = engine.fit(design)
    assert encode_fit(made) == encode_fit(ours)


@dataclass(frozen=True)
class Counting:
    """A candidate whose first fits all end the process."""

    runs = True

    label: str = "counting"
    engine: str = "toy"
    asked: list[int] = field(default_factory=list)

    def versions(self, platform: Platform, effort: Effort) -> dict[str, str]:
        return {}

    def identity(self) -> list[Any]:
        return ["counting"]

    def fits(self, designs: Sequence[Design], platform: Platform, effort: Effort) -> Iterator[Fit]:
        self.asked.append(len(designs))
        yield from (Fit.failed("toy", "its process died: exit status 3") for _ in designs)

    def calls(self, requests: Any, platform: Platform, effort: Effort) -> list[Any]:
        return []


def test_one_that_always_dies_is_given_up(tmp_path: Path) -> None:
    counting = Counting()
    many = ("seed_case1", "seed_case2", "seed_case3", "Dyestuff", "Rail")
    report = run(tmp_path, counting, models=many)
    assert counting.asked == [3]
    assert report.candidates[0].problem == "no model got an answer: its process died: exit status 3"
    last = report.candidates[0].cases[-1].fits["toy"]
    assert last.messages == ("not tried: the first 3 models all ended the process",)


def test_what_ends_a_process_is_told_from_what_an_engine_raises() -> None:
    assert ended(Fit.failed("x", "stopped after 60 s"))
    assert not ended(Fit.failed("x", "LinAlgError: stopped"))


def test_another_package_goes_by_its_adapter(tmp_path: Path) -> None:
    text = """
import numpy as np

def about():
    return {"toy": "2.0"}

def fit(request):
    y, X = request["y"], request["X"]
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return {"status": "ok", "problem": "", "warnings": [], "converged": True, "seconds": 0.1,
            "quantities": {"beta": beta, "sigma": 1.0, "fitted": X @ beta}}
"""
    dialect = PlainDialect("toy", write(tmp_path, text))
    toy = PythonCandidate("2.0", dialect, Environment(Path(sys.executable), {}, {}))
    design = next(subjects("seed_case1")).design
    (made,) = toy.fits([design], pinned(), Effort())
    assert made.versions == {"toy": "2.0"}
    assert made.quantities["beta"].rows == design.labels
    assert made["beta"] == pytest.approx([1.589832, 2.962726], abs=1e-6)
    odd = {"status": "ok", "quantities": {"nonsense": 1.0}}
    assert "no quantity 'nonsense'" in dialect.read(design, odd, {}).messages[0]


def test_generated_models_are_the_same_every_time() -> None:
    one, two = ([s.key for s in generated(5, 7)] for _ in range(2))
    assert one == two
    assert one != [s.key for s in generated(5, 8)]


def test_each_is_compared_with_the_last_that_runs() -> None:
    reports = [
        CandidateReport(label, "toy", {}, {}, problem="does not load" if label in "bd" else None)
        for label in "abcd"
    ]
    pairs = [(one.label, two.label) for one, two in _pairs(reports, None)]
    assert pairs == [("a", "b"), ("a", "c"), ("c", "d")]
    assert [(o.label, t.label) for o, t in _pairs(reports, "c")] == [("c", x) for x in "abd"]


def test_platforms_differ_in_one_thing_each() -> None:
    base = Platform("Haswell")
    assert [p.label for p in variants(base)] == ["Haswell, again", "Haswell, 2 threads", "Nehalem"]
    assert variants(base, ["threads=4"])[0].environment() == {
        "OPENBLAS_NUM_THREADS": "4",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_CORETYPE": "Haswell",
    }
