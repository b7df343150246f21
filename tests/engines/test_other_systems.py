"""What other systems do otherwise, held by its parts: no process groups, other places, spaces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pp_compare.engines import child_process
from pp_compare.engines.child_process import ChildProcess, kill_tree
from pp_compare.releases.environment import _interpreter

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="this system has the other way")
SLEEPS = "import time; print('{}', flush=True); time.sleep(3600)"


@POSIX
def test_where_there_is_no_killpg_the_tree_is_ended_by_the_systems_own_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        asked.append(command)
        os.kill(int(command[-1]), signal.SIGTERM)

    process = subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.DEVNULL)
    monkeypatch.setattr(child_process.sys, "platform", "win32")
    monkeypatch.delattr(child_process.os, "killpg")
    monkeypatch.setattr(child_process.subprocess, "run", run)
    kill_tree(process)
    assert asked == [["taskkill", "/F", "/T", "/PID", str(process.pid)]]
    assert process.returncode is not None


@POSIX
def test_a_nested_process_ends_without_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(child_process.os, "killpg")
    with closing(ChildProcess([sys.executable, "-c", SLEEPS], os.environ, nested=True)) as child:
        child.ask(None, 60.0)
        process = child._process
        assert process is not None
        assert os.getpgid(process.pid) == os.getpgrp()
    assert process.poll() is not None


@POSIX
def test_whoever_ends_a_worker_ends_what_is_nested_in_it(tmp_path: Path) -> None:
    """As R in a worker: killed by its group, the worker has no time to end it itself."""
    note = tmp_path / "a note.txt"
    inner = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid()))"
    inner += "; print(dict(), flush=True); time.sleep(3600)"
    outer = (
        "import os, sys; from pp_compare.engines.child_process import ChildProcess as C; "
        f"c = C([sys.executable, '-c', {inner!r}], "
        "os.environ, read=lambda line: {}, nested=True); c.ask(None, 60.0); "
        "print('{}', flush=True); import time; time.sleep(3600)"
    )
    with closing(ChildProcess([sys.executable, "-c", outer], os.environ)) as worker:
        worker.ask(None, 60.0)
    pid = int(note.read_text())
    for _ in range(50):
        if not _runs(pid):
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} outlives its worker")


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_in_a_folder_with_spaces_is_started(tmp_path: Path) -> None:
    folder = tmp_path / "Program Files"
    folder.mkdir()
    program = folder / "my program.py"
    program.write_text(
        "import json, sys\nprint(json.dumps(sys.argv[1:] and {'got': sys.argv[1]}))\n"
    )
    command = [sys.executable, str(program), "D:\\data\\my file.csv"]
    with closing(ChildProcess(command, os.environ)) as child:
        assert child.ask(None, 60.0) == {"got": "D:\\data\\my file.csv"}


def test_an_environment_has_its_interpreter_where_the_system_puts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _interpreter(Path("made")) == Path("made", "bin", "python")
    monkeypatch.setattr(sys, "platform", "win32")
    assert _interpreter(Path("made")) == Path("made", "Scripts", "python.exe")
