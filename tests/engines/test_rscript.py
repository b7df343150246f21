"""R that a command starts: every bit arrives, and what dies or hangs costs one fit."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pp_compare.engines import make_engine, r_stack, rscript
from pp_compare.engines.rscript import RscriptSession
from pp_compare.engines.xdr import dumps, loads
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.model import Fit
from pp_compare.resources import resource
from tests.examples import clusters, corpus_design, design

RSCRIPT = ("Rscript",)

DOUBLES = np.array(
    [0.1, -0.0, 1 / 3, 5e-324, 2.0**-1022, 1.7976931348623157e308, np.inf, -np.inf, np.nan, 1e23]
)


def echo(value: object) -> object:
    """Through Python's writer, R's reader, R's writer and Python's reader."""
    code = """
    source(commandArgs(TRUE)[1])
    value <- pp_from_text(readLines(file("stdin"), 1L))
    cat(pp_to_text(pp_plain(value)), "\\n", sep = "")
    """
    command = ["Rscript", "--no-init-file", "-e", code, str(resource("r", "serve.R"))]
    request = base64.b64encode(dumps(value)) + b"\n"
    answer = subprocess.run(command, input=request, capture_output=True, check=True)
    return loads(base64.b64decode(answer.stdout))


@pytest.mark.needs_r
def test_every_double_survives_to_the_bit() -> None:
    found = echo(DOUBLES)
    assert isinstance(found, np.ndarray)
    assert found.tobytes() == DOUBLES.tobytes()


@pytest.mark.needs_r
def test_every_kind_of_value_survives() -> None:
    labels = ["é", "<b>", 'say "no"', "back\\slash", "tab\t", "", "NA", "💧"]
    value = {
        "numbers": np.array([1.5]),
        "codes": np.array([1, -2, 2**31 - 1], dtype=np.int32),
        "labels": labels,
        "nothing": [],
        "no names": {},
        "nested": {"terms": [["a", "b"], ["c"]], "flag": True},
    }
    found = echo(value)
    assert isinstance(found, dict)
    assert found["labels"] == labels
    assert found["codes"].tolist() == [1, -2, 2**31 - 1]
    assert found["nothing"] == []
    assert found["no names"] == {}
    assert found["nested"] == {"terms": [["a", "b"], ["c"]], "flag": [True]}


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="a set has no form in R"):
        dumps({1})


@pytest.mark.needs_r
def test_it_gives_the_bits_that_rpy2_gives() -> None:
    # Not Penicillin: lme4 1.1-31 answers crossed models by the addresses a process is given.
    designs = [corpus_design(name) for name in ("seed_case1", "sleepstudy", "Pastes", "Wafer")]
    tasks = [(engine_id, this) for this in designs for engine_id in ("lme4", "nlme", "lme4:tight")]
    for (engine_id, this), fit in zip(tasks, r_stack.fits(RSCRIPT, tasks), strict=True):
        live = make_engine(engine_id).fit(this)
        assert_same(fit, live)


def assert_same(fit: Fit, live: Fit) -> None:
    assert fit.status == live.status == "ok"
    assert list(fit.quantities) == list(live.quantities)
    for name, quantity in live.quantities.items():
        assert fit.quantities[name].rows == quantity.rows
        assert np.array_equal(fit[name], quantity.values), name
    for field in ("engine", "converged", "singular", "messages", "settings", "versions"):
        assert getattr(fit, field) == getattr(live, field)
    assert fit.design_error == 0.0


@pytest.mark.needs_r
def test_labels_survive_where_r_knows_only_ascii() -> None:
    frame = clusters(3, [4, 5, 6])
    frame["g"] = frame["g"].replace({"g00": "é", "g01": "日本", "g02": "plain"})
    this = design(frame, "y ~ x + (1|g)")
    (fit,) = r_stack.fits(["env", "LC_ALL=C", "Rscript"], [("lme4", this)])
    assert_same(fit, make_engine("lme4").fit(this))


@pytest.mark.needs_r
def test_as_an_engine_it_fits_one_model_after_the_other_in_one_r() -> None:
    this = corpus_design("seed_case1")
    engine = r_stack.make(RSCRIPT, "nlme")
    assert_same(engine.fit(this), make_engine("nlme").fit(this))
    process = engine.session._child._process.pid
    assert_same(engine.fit(this), make_engine("nlme").fit(this))
    assert engine.session._child._process.pid == process


@pytest.mark.needs_r
def test_what_cannot_be_fitted_keeps_its_place() -> None:
    crossed = corpus_design("Penicillin")
    wide = design(
        crossed.dataset.frame.assign(x=np.arange(144.0)), "diameter ~ x + (x|plate) + (1|sample)"
    )
    tasks = [("nlme", crossed), ("nlme", wide), ("nlme", corpus_design("seed_case1"))]
    status = [fit.status for fit in r_stack.fits(RSCRIPT, tasks)]
    assert status == ["ok", "unsupported", "ok"]


@pytest.mark.needs_r
def test_it_says_what_r_it_is() -> None:
    about = RscriptSession(RSCRIPT).about()
    live = make_engine("lme4").fit(corpus_design("seed_case1")).versions
    assert {name: about["versions"][name] for name in live} == dict(live)
    assert about["platform"]


@pytest.mark.needs_r
def test_a_request_cannot_call_another_function(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(EngineError, match="should be one of"):
        r_stack.make(RSCRIPT, "lme4").session.call("system", {"command": f"touch {touched}"})
    assert not touched.exists()


@pytest.mark.parametrize("command", [("no-such-program",), ("false",), ("echo", "ready?")])
def test_a_command_that_is_no_r_is_unavailable(command: tuple[str, ...]) -> None:
    this = corpus_design("seed_case1")
    with pytest.raises(UnavailableError, match=command[0]):
        list(r_stack.fits(command, [("lme4", this)]))
    fit = r_stack.make(command, "lme4").fit(this)
    assert fit.status == "error"
    assert command[0] in fit.messages[0]


def test_another_engine_is_not_an_r_engine() -> None:
    with pytest.raises(InputError, match="'statsmodels' is not an R engine"):
        r_stack.make(RSCRIPT, "statsmodels")


def stand_in(tmp_path: Path, third: str) -> tuple[str, ...]:
    """A program that speaks as R does, answers "a" and "b", and does something else on "dies"."""
    code = f"""
    import base64, os, signal, sys, time
    from pp_compare.engines.xdr import dumps, loads
    for _ in range(int(sys.stdin.readline())):
        sys.stdin.readline()
    print("chatter of a start-up file")
    print("ready", flush=True)
    for line in sys.stdin:
        call = loads(base64.b64decode(line))["call"][0]
        if call == "dies":
            print("last words", file=sys.stderr, flush=True)
            {third}
        print("answer", base64.b64encode(dumps({{"name": [call]}})).decode(), flush=True)
    """
    program = tmp_path / "stand_in.py"
    program.write_text(textwrap.dedent(code))
    return (sys.executable, str(program))


@pytest.mark.parametrize(
    ("third", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process died: signal 11 (SIGSEGV)"),
        ("os._exit(3)", "its process died: exit status 3"),
        ("time.sleep(3600)", "stopped after 2 s"),
    ],
)
def test_a_death_costs_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, third: str, reason: str
) -> None:
    monkeypatch.setattr(rscript, "_GRACE_SECONDS", 0.0)
    with RscriptSession(stand_in(tmp_path, third), seconds=2.0) as session:
        first, dead, last = session.answers([("a", {}), ("dies", {}), ("b", {})])
    assert first == {"name": ["a"]}
    assert last == {"name": ["b"]}
    assert isinstance(dead, EngineError)
    assert reason in str(dead)
    assert "last words" in str(dead)


def test_answers_left_unread_leave_no_process(tmp_path: Path) -> None:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("no /proc here to list child processes by")
    before = children.read_text()
    with RscriptSession(stand_in(tmp_path, "time.sleep(3600)")) as session:
        next(session.answers([("a", {}), ("dies", {})]))
        assert children.read_text() != before
    assert children.read_text() == before


@pytest.mark.needs_r
def test_two_processes_give_the_same_bits() -> None:
    """Penicillin is where lme4 1.1-31 does not, unless the layout of memory is fixed."""
    if not rscript._fixed_layout():
        pytest.skip("this system does not let a process fix its addresses (setarch -R)")
    task = ("lme4", corpus_design("Penicillin"))
    found = {next(iter(r_stack.fits(RSCRIPT, [task])))["beta"].tobytes() for _ in range(2)}
    assert len(found) == 1


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match="no program 'Rscriptt' here to run R; pp-compare"):
        RscriptSession(["Rscriptt"]).start()
