"""Wheels with one fault each are found and named; one that was only packed anew shows no change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.engines.statsmodels import make
from pp_compare.model.design import build_design
from pp_compare.releases.candidate import Candidate, Effort, PythonCandidate
from pp_compare.releases.check import Broken, Plan, check
from pp_compare.releases.dialect import StatsmodelsDialect
from pp_compare.releases.environment import Recipe, provide
from pp_compare.releases.generated import generated
from pp_compare.releases.platform import pinned, variants
from pp_compare.releases.source import parse_source
from pp_compare.releases.store import Store
from pp_compare.releases.subject import Subject
from pp_compare.report.release.json import releases_json
from pp_compare.report.release.record import ReleaseReport
from pp_compare.verdict.deviations import load_deviations
from tests.cli.test_commands import run
from tests.releases.wheels import DEAD, FAULTS, Fault, original, repacked

VERSION = "0.14.6"
RECIPE = Recipe(until=date(2026, 1, 10))
CASES = ("seed_case1", "sleepstudy", "Dyestuff", "Pastes", "BodyWeight", "no_between_variance")


def subjects() -> Iterator[Subject]:
    for name in CASES:
        known = case(name)
        selection = Selection(name, known.dataset, known.formula, "REML", known.why)
        yield Subject(selection, build_design(known.dataset, known.spec("REML")))
    yield from generated(40, 5)


@dataclass
class Bench:
    """Wheels, environments and results in one folder."""

    folder: Path
    wheel: Path

    def candidate(self, version: str, fault: Fault | None = None) -> Candidate:
        wheel = repacked(self.wheel, self.folder / version, version, fault)
        source = parse_source(str(wheel), "statsmodels")
        environment = provide(source, RECIPE, self.folder)
        return PythonCandidate(version, StatsmodelsDialect(make(None)), environment)

    def check(self, *candidates: Candidate | Broken) -> ReleaseReport:
        base = pinned()
        store = Store(self.folder / "results")
        plan = Plan(base, variants(base), Effort(60.0, 2), {}, load_deviations(), store)
        return check(candidates, list(subjects()), plan, {})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("wheels")
    return Bench(folder, original(folder, VERSION))


@pytest.fixture(scope="module")
def sound(bench: Bench) -> Candidate:
    return bench.candidate(VERSION)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_named(bench: Bench, sound: Candidate, fault: Fault) -> None:
    number = FAULTS.index(fault)
    report = bench.check(sound, bench.candidate(f"0.14.7.dev{number}", fault))
    (found,) = report.differences
    named = [c for c in found.changes if (c.kind, c.subject) == (fault.kind, fault.subject)]
    assert [c.direction for c in named] == ["worse"], found.changes
    assert report.exit_status("worse") == 1


@pytest.mark.slow
def test_the_same_code_under_another_version_shows_no_change(
    bench: Bench, sound: Candidate
) -> None:
    report = bench.check(sound, bench.candidate("0.14.7"))
    (found,) = report.differences
    assert found.changes == ()
    assert found.identical == found.models == 46
    assert report.exit_status("any") == 0


@pytest.mark.slow
def test_a_second_run_gives_the_same_report(bench: Bench, sound: Candidate) -> None:
    first, second = (bench.check(sound, Broken("9.9", "statsmodels", "no such")) for _ in range(2))
    assert releases_json(first) == releases_json(second)
    assert first.exit_status("worse") == 1


@pytest.mark.slow
def test_what_does_not_import_hangs_or_crashes_costs_a_row_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheels = [repacked(bench.wheel, bench.folder / v, v, fault) for v, fault in DEAD.items()]
    junit = bench.folder / "releases.xml"
    status = run(
        monkeypatch, "releases", bench.wheel, *wheels, "--exclude-newer", "2026-01-10",
        "--case", "sleepstudy", "--case", "Dyestuff", "--case", "Rail", "--generated", "2",
        "--floor", "none", "--limit", "20", "--cache", bench.folder / "dead",
        "--markdown", "-", "--junit", junit,
    )  # fmt: skip
    assert status == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("statsmodels")]
    for version, fault in DEAD.items():
        (line,) = (x for x in told if x.startswith(f"statsmodels {version}"))
        assert fault.subject in line.replace("\\", "")
    failed = {
        test.get("name"): failure.get("message")
        for test in Xml.parse(junit).iter("testcase")
        for failure in test.iter("failure")
        if test.get("classname") == "candidates"
    }
    names = [f"statsmodels {v} ({w.name})" for v, w in zip(DEAD, wheels, strict=True)]
    assert sorted(failed) == names
