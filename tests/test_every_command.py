"""Every command of the README and of ``pp-compare --help``, as people type it, with R and without.

Each runs as a program in a folder of its own, in which nothing lies but what its reader has. What
would take minutes is asked for less: fewer cases, fewer seconds. A command that stands in the
README or in the help, and not here, fails; so does one that stands here and no longer there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pp_compare.cli.app import COMMANDS
from pp_compare.resources import resource

SUITE = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
R_NEEDED = 3
PLAN = "seed = 1\nreplications = 2\nengines = ['statsmodels']\n[grid]\nclusters = [5]\n"


@dataclass(frozen=True)
class Run:
    """How a command of the README runs here.

    Parameters
    ----------
    instead : str
        What is typed instead, where that would take minutes.
    shows : str
        Words of its output.
    status, without_r : int
        Exit status with R, and with none.
    road : str
        Which road to R is asked for by ``PP_COMPARE_R``, and must be named; any where empty.
    none : str
        The first words of the output where there is no R.
    finds : bool
        Whether it may end with 1, too: what is found in so short a time depends on the machine.
    r : bool
        Whether R has a part in it where it is there; else the run with none is the same, and the
        one with R is for the long tests.
    """

    instead: str = ""
    shows: str = ""
    status: int = 0
    without_r: int = 0
    road: str = ""
    none: str = ""
    finds: bool = False
    r: bool = True

    def may_end(self, status: int) -> bool:
        """Whether an exit status is one of a run that had all it needs."""
        return status == self.status or (self.finds and status == 1)


RUNS = {
    'pp-compare audit --data sleep.csv --formula "y ~ x + (1|g)" --out report': Run(
        shows="Digits right", road="rpy2"
    ),
    "pp-compare explain seed_case1": Run(shows="partial"),
    "pp-compare explain Pixel --out why": Run(
        "pp-compare explain Pixel --method reml --out why", "within", r=False
    ),
    'pp-compare audit --data sleep.csv --formula "y ~ x + (x|g)" --inference': Run(
        'pp-compare audit --data sleep.csv --formula "y ~ x + (1|g)" --method reml --inference '
        "--engine nlme --engine certified",
        "kenward-roger",
        r=False,
    ),
    "pp-compare audit": Run("pp-compare audit smallest --method ml", "statsmodels", road="Rscript"),
    "pp-compare audit sleepstudy --engine statsmodels --engine statsmodels:tight "
    "--engine certified": Run(shows="No R engine took part", r=False),
    "pp-compare audit seed_case1 seed_case2 seed_case3": Run(
        "pp-compare audit seed_case1 --method reml",
        "seed_case1",
        none="lme4 and nlme are played back from recorded:bookworm (R 4.2.2",
    ),
    'pp-compare check fit.txt --data seed.csv --formula "dependent ~ predictor + (1|cluster)"': Run(
        shows="certified", r=False
    ),
    "pp-compare compare numbers.json --case sleepstudy": Run(
        "pp-compare compare numbers.json --case sleepstudy --method reml", "right", r=False
    ),
    "pp-compare audit toenail --engine lme4": Run(
        "pp-compare audit glmm_rare --engine lme4:tight",
        "certified:exact",
        none="lme4:tight is played back from recorded:bookworm (R 4.2.2",
    ),
    "pp-compare at cbpp --criterion laplace --beta=-1.4,-1,-1.1,-1.5 --sd herd=0.64": Run(
        shows="-92.0500944783904756", r=False
    ),
    "pp-compare explain cbpp": Run(shows="From own to mode", r=False),
    "pp-compare cases": Run(shows="The question this project grew from", r=False),
    "pp-compare doctor": Run(shows="engine certified: starts", without_r=R_NEEDED),
    "pp-compare reproduce seed_case1": Run(
        "pp-compare reproduce smallest --method ml", "reproduce.py"
    ),
    "pp-compare search --engine statsmodels --seconds 600 --seed 1": Run(
        "pp-compare search --engine certified --seconds 1 --seed 1", finds=True, r=False
    ),
    "pp-compare reference FOLDER": Run(
        "pp-compare reference FOLDER smallest.reml", "1 items in FOLDER", r=False
    ),
    "pp-compare releases 0.14.6 0.15.0": Run(
        "pp-compare releases 0.14.6 0.15.0 --case smallest --method ml --generated 0 "
        "--floor none --cache {cache}",
        "statsmodels 0.15.0",
        status=1,  # 0.15.0 drops keywords of the optimisers, which is worse
        r=False,
    ),
    "pp-compare releases --recorded bookworm --recorded sid --case toenail": Run(
        "pp-compare releases --recorded bookworm --recorded sid --case cbpp --setting default "
        "--cache {cache}",
        "wrong became right",
        r=False,
    ),
    "pp-compare campaign small-clusters": Run(
        "pp-compare campaign plan.toml", "statsmodels", r=False
    ),
    'pp-compare record NAME --rscript "chroot DIR Rscript"': Run(
        "pp-compare record NAME smallest --rscript Rscript", "files in NAME", without_r=R_NEEDED
    ),
    "pp-compare league": Run("pp-compare league smallest --method ml --limit 20", "statsmodels"),
    "pytest --pyargs pp_compare.conformance --pp-engine mypackage.adapter:Engine": Run(
        "pytest --pyargs pp_compare.conformance.test_truth --pp-engine statsmodels:tight "
        "--pp-case smallest -p no:cacheprovider -q",
        "passed",
        r=False,
    ),
}
ELSEWHERE = {
    "pip install .": "the wheel of this run was installed so",
    'pip install "pp-compare @ git+ADDRESS"': "there is no address yet",
    "make audit": "its command is run below; see test_the_makefile_has_what_is_named",
    "make test": "this is it",
}


PYTHON = {"report = pp_compare.check(fit)", "report", "print(report.paragraph())"}
"""Lines of the README that are typed into Python."""


def typed(path: str) -> list[str]:
    """The commands in the indented blocks of a page, without their comments."""
    lines = re.findall(r"^    (\S.*)$", (SUITE / path).read_text(encoding="utf-8"), re.MULTILINE)
    commands = [re.sub(r"\s+#.*", "", line) for line in lines]
    return [command for command in commands if command not in PYTHON]


def makefile_audit() -> str:
    text = (SUITE / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^audit:.*\n\t\$\(VENV\)/bin/(.*)$", text, re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_every_command_of_the_readme_has_a_run_and_every_run_is_in_the_readme() -> None:
    assert {*typed("README.md"), makefile_audit()} == {*RUNS, *ELSEWHERE}


def test_every_command_of_the_help_has_a_run() -> None:
    run = {shlex.split(command)[1] for command in RUNS if command.startswith("pp-compare")}
    assert run == set(COMMANDS)


def test_the_makefile_has_what_is_named() -> None:
    text = (SUITE / "Makefile").read_text(encoding="utf-8")
    for command in (c for c in typed("README.md") if c.startswith("make ")):
        assert re.search(rf"^{command.split()[1]}:", text, re.MULTILINE)


def test_the_plan_that_is_named_comes_with_the_package() -> None:
    assert resource("fixtures", "plans", "small-clusters.toml").is_file()


def folder_of_a_reader(folder: Path) -> Path:
    rows = [f"{(7 * k % 11) + 3 * (k // 6)},{k % 5},g{k // 6}" for k in range(36)]
    (folder / "sleep.csv").write_text("\n".join(["y,x,g", *rows, ""]))
    (folder / "plan.toml").write_text(PLAN)
    (folder / "numbers.json").write_text('{"(Intercept)": "251.405"}')
    shutil.copy(resource("fixtures", "data", "seed_case1.csv"), folder / "seed.csv")
    shutil.copy(SUITE / "tests" / "fitted" / "printouts" / "lmer_seed1.txt", folder / "fit.txt")
    return folder


def path_without_r(folder: Path) -> str:
    """The environment's own programs and nothing of the system's but a shell and git."""
    system = folder / "programs"
    system.mkdir()
    for name in ("sh", "git"):
        found = shutil.which(name)
        if found:
            (system / name).symlink_to(found)
    return os.pathsep.join([str(BIN), str(system)])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def walk(run: Run, command: str, folder: Path, cache: Path, path: str) -> tuple[int, str]:
    program, *arguments = shlex.split((run.instead or command).format(cache=cache))
    hidden = {"R_HOME", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"}
    done = subprocess.run(
        [str(BIN / program), *arguments],
        cwd=folder_of_a_reader(folder),
        env={k: v for k, v in os.environ.items() if k not in hidden}
        | {"PATH": path, "COLUMNS": "80", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return done.returncode, said


@pytest.mark.needs_r
@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=[] if run.r else pytest.mark.slow) for c, run in RUNS.items()]
)
def test_with_r(command: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS[command]
    if run.road:
        monkeypatch.setenv("PP_COMPARE_R", run.road)
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    status, said = walk(run, command, tmp_path, cache, path)
    assert (run.may_end(status), run.shows in said) == (True, True), said
    if run.road:
        (named,) = (line for line in said.splitlines() if line.startswith("R "))
        assert {"rpy2": "by rpy2 3", "Rscript": "by /"}[run.road] in named


@pytest.mark.parametrize("command", RUNS)
def test_with_none(command: str, tmp_path: Path, cache: Path) -> None:
    run = RUNS[command]
    status, said = walk(run, command, tmp_path, cache, path_without_r(tmp_path))
    if run.without_r:
        assert status == run.without_r, said
        assert "pp-compare doctor" in said or "sudo" in said or "Rscript" in said
    else:
        assert (run.may_end(status), run.shows in said) == (True, True), said
    if run.none:
        first = " ".join(said.split())
        assert first.startswith(run.none)
        why = "no program Rscript on the PATH or in R_HOME; pp-compare doctor says how"
        assert why in first
