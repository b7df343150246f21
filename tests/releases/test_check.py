"""Candidates that are sound, faulty, or do not live: a row each, and what is kept is used again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pp_compare.audit import Selection
from pp_compare.corpus import case
from pp_compare.design import Design, build_design
from pp_compare.engines.statsmodels import make
from pp_compare.model import Fit
from pp_compare.releases.candidate import Candidate, Effort, PythonCandidate
from pp_compare.releases.check import Broken, Plan, Progress, Subject, check, ended
from pp_compare.releases.dialect import PlainDialect, StatsmodelsDialect
from pp_compare.releases.environment import Environment
from pp_compare.releases.generated import generated
from pp_compare.releases.platform import Platform, pinned, variants
from pp_compare.releases.store import Store
from pp_compare.report.release_json import releases_json
from pp_compare.report.release_record import ReleaseReport
from tests.releases.adapters import patched, write

HERE = Environment(Path(sys.executable), {"statsmodels": "here"}, {})

FLIPPED = """
_original = _predictions
def _predictions(model, result):
    answer = _original(model, result)
    return {**answer, "effects": -answer["effects"]}
"""
DEAF = """
_fit_as_asked = fit
def fit(request):
    steps = [{k: v for k, v in step.items() if k != "factr"} for step in request["steps"]]
    return _fit_as_asked({**request, "steps": steps})
"""
DEAD = "def fit(request):\n    import os\n    os.kill(os.getpid(), 11)"
HANGING = "def fit(request):\n    time.sleep(1000)"


@dataclass(frozen=True)
class Patched(StatsmodelsDialect):
    """statsmodels with a patch, as another release would be."""

    path: Path = field(default=Path())

    @property
    def adapter(self) -> Path:
        return self.path


def candidate(folder: Path, label: str, patch: str = "") -> PythonCandidate:
    path = folder / label
    path.mkdir()
    return PythonCandidate(label, Patched(make(None), patched(path, patch)), HERE)


def subjects(*names: str) -> Iterator[Subject]:
    for name in names:
        known = case(name)
        selection = Selection(name, known.dataset, known.formula, "REML", known.why)
        yield Subject(selection, build_design(known.dataset, known.spec("REML")))


def run(
    folder: Path,
    *candidates: Candidate | Broken,
    models: Sequence[str] = ("seed_case1",),
    seconds: float = 60.0,
    platforms: tuple[Platform, ...] = (),
    baseline: str | None = None,
    told: list[str] | None = None,
) -> ReleaseReport:
    store = Store(folder / "results")
    plan = Plan(pinned(), platforms, Effort(seconds), {}, (), store)
    note: Progress = lambda what, done, of: [] if told is None else told.append(what)  # noqa: E731
    return check(candidates, list(subjects(*models)), plan, {}, baseline=baseline, progress=note)


def test_faults_are_named_and_the_dead_cost_a_row_each(tmp_path: Path) -> None:
    candidates = [
        candidate(tmp_path, "sound"),
        candidate(tmp_path, "flipped", FLIPPED),
        candidate(tmp_path, "deaf", DEAF),
        candidate(tmp_path, "dead", DEAD),
        candidate(tmp_path, "unimportable", "raise ImportError('no module')"),
        Broken("uninstallable", "statsmodels", "does not install: no wheel"),
    ]
    report = run(tmp_path, *candidates, baseline="sound")
    problems = {c.label: c.problem for c in report.candidates}
    assert problems["sound"] is problems["flipped"] is problems["deaf"] is None
    assert "signal 11 (SIGSEGV)" in str(problems["dead"])
    assert problems["unimportable"] == "does not load: ImportError: no module"
    assert problems["uninstallable"] == "does not install: no wheel"
    named = {
        d.after.split()[1]: [(c.kind, c.direction, c.subject) for c in d.changes]
        for d in report.differences
    }
    assert ("value", "worse", "blup") in named["flipped"]
    assert not [c for c in named["flipped"] if c[2] in ("beta", "sigma", "loglik")]
    assert named["deaf"] == [("keyword", "worse", "keyword factr of lbfgs")]
    assert ("start", "worse", "the candidate as a whole") in named["dead"]
    assert report.exit_status("worse") == 1


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    sound = candidate(tmp_path, "sound")
    again = Platform(pinned().kernel, repeat=1)
    told: list[str] = []
    first = run(tmp_path, sound, platforms=(again,), told=told)
    assert len(told) > 2
    assert {(row.platform, row.models, row.changed) for row in first.noise} == {(again.label, 1, 0)}
    told.clear()
    second = run(tmp_path, sound, platforms=(again,), told=told)
    assert told == []
    assert releases_json(first) == releases_json(second)


def test_one_that_hangs_costs_its_time_and_a_row(tmp_path: Path) -> None:
    report = run(tmp_path, candidate(tmp_path, "hanging", HANGING), seconds=1.0)
    assert report.candidates[0].problem == "no model got an answer: stopped after 1 s"


@dataclass(frozen=True)
class Counting:
    """A candidate whose first fits all end the process."""

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
    toy = Counting()
    many = ("seed_case1", "seed_case2", "seed_case3", "Dyestuff", "Rail")
    report = run(tmp_path, toy, models=many)
    assert toy.asked == [3]
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


def test_platforms_differ_in_one_thing_each() -> None:
    base = Platform("Haswell")
    assert [p.label for p in variants(base)] == ["Haswell, again", "Haswell, 2 threads", "Nehalem"]
    assert variants(base, ["threads=4"])[0].environment() == {
        "OPENBLAS_NUM_THREADS": "4",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_CORETYPE": "Haswell",
    }
