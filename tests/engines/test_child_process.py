"""A process that answers, dies, hangs or floods: what it said last, and nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pp_compare.engines.child_process import TAIL_BYTES, ChildEndedError, ChildProcess, ending
from pp_compare.errors import EngineError

ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
Start = Callable[[str], ChildProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python with a text as its program; ended with the test."""
    started: list[ChildProcess] = []

    def run(text: str) -> ChildProcess:
        started.append(ChildProcess([sys.executable, "-c", text], os.environ))
        return started[-1]

    yield run
    for child in started:
        child.close()


def test_messages_go_both_ways_whatever_their_size(start: Start) -> None:
    child = start(ECHO)
    for message in ({"a": "é\n"}, {"long": "x" * 300_000}, {}):
        assert child.ask(message, 30.0) == message


def test_two_lines_at_once_are_two_answers(start: Start) -> None:
    child = start('print(\'{"k": 1}\\n{"k": 2}\', flush=True); input()')
    assert [child.ask(None, 30.0) for _ in range(2)] == [{"k": 1}, {"k": 2}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys; print('last words', file=sys.stderr); sys.exit(3)", "exit status 3: last"),
        ("import os; os.kill(os.getpid(), 11)", r"signal 11 \(SIGSEGV\)$"),
        ("print('half a line', end='')", "exit status 0$"),
    ],
)
def test_how_it_ended_is_told(start: Start, text: str, reason: str) -> None:
    with pytest.raises(ChildEndedError, match=f"its process died: {reason}"):
        start(text).ask(None, 30.0)


def test_one_that_is_gone_is_told_where_it_is_written_to(start: Start) -> None:
    child = start("import sys; sys.exit('gone')")
    for _ in range(2):
        with pytest.raises(ChildEndedError, match="exit status 1: gone"):
            child.ask({"x": "y" * 300_000}, 30.0)


@pytest.mark.parametrize("line", ["no JSON", "[1]"])
def test_another_answer_is_no_message(start: Start, line: str) -> None:
    with pytest.raises(EngineError, match="something else than an answer") as raised:
        start(f"print({line!r})").ask(None, 30.0)
    assert not isinstance(raised.value, ChildEndedError)


def test_a_flood_of_words_blocks_nothing(start: Start) -> None:
    flood = f"import sys; sys.stderr.write('x' * {100 * TAIL_BYTES} + '\\n'); print('{{}}')"
    assert start(flood).ask(None, 30.0) == {}


def test_a_hang_ends_in_time_with_all_that_it_started(start: Start, tmp_path: Path) -> None:
    child = start(
        "import subprocess, sys, time\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(inner.pid))\n"
        "print('{}', flush=True)\n"
        "time.sleep(600)"
    )
    child.ask(None, 30.0)
    with pytest.raises(ChildEndedError, match=r"stopped after 0\.2 s"):
        child.ask(None, 0.2)
    child.close()
    assert _gone(int((tmp_path / "pid").read_text()))


def _gone(pid: int) -> bool:
    """Whether a process has ended, a zombie included, within some seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_one_that_reads_nothing_is_stopped_in_time_too(start: Start) -> None:
    """The question is more than a pipe holds, so that writing it never ends."""
    child = start("import time; print('{}', flush=True); time.sleep(600)")
    assert child.ask(None, 30.0) == {}
    with pytest.raises(ChildEndedError, match=r"stopped after 0\.2 s"):
        child.ask({"x": "y" * 3_000_000}, 0.2)
    assert child.ask(None, 30.0) == {}  # of a new process


def test_another_thread_may_close_it_while_it_is_waited_for(start: Start) -> None:
    child = start("import time; print('{}', flush=True); time.sleep(600)")
    child.ask(None, 30.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(child.ask, None, 600.0)
        time.sleep(0.2)
        child.close()
        with pytest.raises(ChildEndedError, match=r"SIGKILL|was closed"):
            waiting.result(30.0)
    with pytest.raises(EngineError, match="was closed"):
        child.ask(None, 30.0)


SERVES = """
import os, time
from pp_compare.engines.parent import Parent
parent = Parent()
print("of a library")
os.system("echo of a program")
for question in parent:
    parent.send({"pid": os.getpid(), **question})
    time.sleep(question.get("rest", 0))
"""


def test_what_is_printed_beside_the_answers_is_none(start: Start) -> None:
    child = start(SERVES)
    answers = [child.ask({"k": k}, 30.0) for k in (1, 2)]
    assert [answer["k"] for answer in answers] == [1, 2]
    assert answers[0]["pid"] == answers[1]["pid"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells of a parent's end")
def test_a_child_ends_with_its_parent_however_that_ends(start: Start) -> None:
    """The parent, itself a child here, is killed while its own one is busy and reads nothing."""
    child = start(
        "import json, os, signal, sys\n"
        "from pp_compare.engines.child_process import ChildProcess\n"
        f"child = ChildProcess([sys.executable, '-c', {SERVES!r}], os.environ)\n"
        "print(json.dumps(child.ask({'rest': 600}, 30.0)), flush=True)\n"
        "input()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    pid = child.ask(None, 60.0)["pid"]
    with pytest.raises(ChildEndedError, match="SIGKILL"):
        child.ask({}, 30.0)
    assert _gone(pid)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not start"):
        ChildProcess([str(tmp_path / "nothing")], {}).ask(None, 5.0)


def test_an_end_in_words() -> None:
    assert (ending(-9), ending(2)) == ("signal 9 (SIGKILL)", "exit status 2")
