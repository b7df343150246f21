"""A worker that crashes, hangs or chatters costs the call it did so in."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pp_compare.errors import EngineError
from pp_compare.releases import serve
from pp_compare.releases.session import Session
from tests.releases.adapters import PLAIN, write


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with closing(Session(Path(sys.executable), write(tmp_path, PLAIN), {}, seconds=5.0)) as made:
        yield made


def test_it_greets_with_its_versions(session: Session) -> None:
    assert session.about() == {"toy": "1.0"}


def test_values_keep_every_bit(session: Session) -> None:
    matrix = np.array([[0.1, -0.0, np.nan], [np.inf, 5e-324, 1e308]])
    value = {"a": matrix, "b": [1, 0.1 + 0.2, None, True, "é"], "c": np.arange(3), "d": math.nan}
    back = session.call("echo", value)
    assert back["a"].tobytes() == matrix.tobytes()
    assert back["a"].shape == (2, 3)
    assert back["b"] == value["b"]
    assert back["c"].tolist() == [0, 1, 2]
    assert back["c"].dtype == np.int64
    assert math.isnan(back["d"])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("die", r"its process died: signal 11 \(SIGSEGV\): last words"),
        ("leave", "its process died: exit status 3"),
        ("odd", "TypeError: a object has no form in the protocol"),
        ("nothing", "AttributeError"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_call_works(
    session: Session, function: str, reason: str
) -> None:
    with pytest.raises(EngineError, match=reason):
        session.call(function)
    assert session.call("echo", 1) == 1


def test_a_hang_is_stopped_in_time(tmp_path: Path) -> None:
    with closing(Session(Path(sys.executable), write(tmp_path, PLAIN), {}, seconds=0.5)) as session:
        session.about()
        start = time.monotonic()
        with pytest.raises(EngineError, match=r"stopped after 0\.5 s"):
            session.call("hang")
        assert time.monotonic() - start < 5
        assert session.call("echo", "on") == "on"


def test_what_the_candidate_prints_is_no_answer(session: Session) -> None:
    assert session.call("chatter") == "done"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_package", "does not load: ModuleNotFoundError: .*no_such_package"),
        ("raise SystemExit(4)", "does not load: SystemExit: 4"),
        ("import os; os.abort()", r"its process died: signal 6 \(SIGABRT\)"),
    ],
)
def test_an_adapter_that_does_not_load_says_why(tmp_path: Path, text: str, reason: str) -> None:
    session = Session(Path(sys.executable), write(tmp_path, text), {}, seconds=5.0)
    with pytest.raises(EngineError, match=reason):
        session.about()


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    session = Session(tmp_path / "python", write(tmp_path, PLAIN), {}, seconds=5.0)
    with pytest.raises(EngineError, match="does not start"):
        session.about()


def test_a_worker_sees_the_platform(tmp_path: Path) -> None:
    text = "import os\ndef about(): return dict(os.environ)"
    variables = {"OPENBLAS_CORETYPE": "Nehalem"}
    with closing(Session(Path(sys.executable), write(tmp_path, text), variables, 5.0)) as session:
        assert session.about()["OPENBLAS_CORETYPE"] == "Nehalem"


def test_only_values_with_a_form_are_encoded() -> None:
    with pytest.raises(TypeError, match="complex"):
        serve.encode(1j)
