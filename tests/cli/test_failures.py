"""Every failure of the world is a sentence and a status."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pp_compare import cli
from pp_compare.cli.console import print_lines
from pp_compare.cli.failures import LONGEST, Stopped, explained
from pp_compare.cli.options import read_as, words_of
from pp_compare.cli.workspace import PREFIX, workspace
from pp_compare.errors import DataError, EngineError, InputError, UnavailableError
from pp_compare.resources import UNFINISHED, require_folder, write_text

FAILURES = {
    "bad input": (DataError("no column"), 2, "no column"),
    "not here": (UnavailableError("no R"), 3, "no R"),
    "an engine": (EngineError("died"), 3, "died"),
    "a full disk": (OSError(errno.ENOSPC, "No space left", "/x/y"), 3, "'/x/y': No space left"),
    "a full output": (OSError(errno.ENOSPC, "No space left"), 3, "output: No space left"),
    "a forbidden path": (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "'/x': Perm"),
    "memory": (MemoryError(), 3, "not enough memory"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted"),
    "SIGTERM": (Stopped(signal.SIGTERM), 143, "stopped by SIGTERM"),
    "a reader that left": (BrokenPipeError(), 141, ""),
}


@pytest.mark.parametrize("what", FAILURES)
def test_each_family_has_its_status(what: str) -> None:
    failure, status, words = FAILURES[what]
    sentence, found = explained(failure)
    assert found == status
    assert words in sentence


def test_a_message_is_one_line_of_bounded_length_that_no_terminal_obeys() -> None:
    sentence, _ = explained(InputError("a\nb\x1b[31m\x9b" + "x" * 10_000))
    assert sentence.startswith(r"a b\x1b[31m\x9bxxx")
    assert len(sentence) == LONGEST


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pp-compare", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_a_fault_of_ours_is_said_to_be_one_with_a_file_to_send(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import pp_compare.cli.commands.cases

    def broken() -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(pp_compare.cli.commands.cases, "all_cases", broken)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert run(monkeypatch, "cases") == 4
    said = capsys.readouterr().err
    assert "this is a fault of pp-compare, not of what you gave it (ZeroDivisionError" in said
    assert "Traceback" not in said
    (path,) = tmp_path.glob("pp-compare-fault-*.txt")
    assert str(path) in said
    about = path.read_text()
    assert about.startswith("command: pp-compare cases\n")
    assert "in broken" in about


def test_a_full_output_is_said_and_is_status_3() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "pp_compare", "cases"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "pp-compare: output: No space left on device\n")


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error there")
@pytest.mark.parametrize("words", [["cases"], ["--help"], ["check", "--r-function"]])
def test_a_reader_that_has_enough_ends_it_quietly(words: list[str]) -> None:
    """As ``pp-compare cases | head -1``: the status of a program that SIGPIPE ended."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "pp_compare", *words],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_names_beyond_the_terminals_letters_are_written_with_escapes() -> None:
    code = "from pp_compare.cli import console, entry; entry._tolerate_names(); "
    code += "console.print_lines(['größe [/] :heart:'])"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stdout == rb"gr\xf6\xdfe [/] :heart:" + b"\n"


def test_text_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(["column '[/]' of [bold]d[/bold]"])
    assert capsys.readouterr().out == "column '[/]' of [bold]d[/bold]\n"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    abandoned = tmp_path / f".r.json.{dead}{UNFINISHED}"
    at_work = tmp_path / f".r.json.{os.getppid()}{UNFINISHED}"
    for path in (abandoned, at_work):
        path.write_text("half")
    write_text(tmp_path / "r.json", "whole")
    assert (tmp_path / "r.json").read_text() == "whole"
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", at_work.name}
    with pytest.raises(
        InputError, match=r"cannot write '.*r\.json/x': Not a directory|File exists"
    ):
        write_text(tmp_path / "r.json" / "x", "")


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    if Path("/dev/full").exists():
        with pytest.raises(UnavailableError, match="cannot write '/dev/full': No space left"):
            write_text(Path("/dev/full"), "text")


def test_a_folder_that_cannot_be_one_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    require_folder(None)
    require_folder(tmp_path / "new" / "newer")
    with pytest.raises(InputError, match="is a file, so no folder to write into"):
        require_folder(tmp_path / "file" / "new")


def test_what_killed_commands_left_is_removed_and_what_is_at_work_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    left, at_work = (tmp_path / f"{PREFIX}{pid}-a" for pid in (2**22 + 1, os.getppid()))
    others = tmp_path / "pp-compare-fault-x.txt"
    for folder in (left, at_work):
        folder.mkdir()
    others.write_text("")
    with workspace():
        (inside,) = tmp_path.glob(f"{PREFIX}{os.getpid()}-*")
        assert os.environ["TMPDIR"] == str(inside)
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert set(tmp_path.iterdir()) == {at_work, others}


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (("search", "--seconds", "nan"), "--seconds is a number of seconds above 0"),
        (("audit", "--limit", "inf"), "--limit is a number of seconds above 0"),
        (("record", "x", "--rscript", 'R "'), "--rscript 'R \"': no closing quotation"),
        (("releases", "--rscript", ""), "--rscript is empty"),
        (("audit", "--type", "x"), "--type is NAME=factor or NAME=number, not 'x'"),
        (("audit", "--na-value", "0"), "--type and --na-value are about --data"),
        (("explain", "seed_case1", "--engine", "sys:path"), "is no engine factory: not a function"),
        (("explain", "seed_case1", "--engine", "json:dumps"), "it gives a str without name, fit"),
        (("explain", "seed_case1", "--engine", "recorded:bookworm/../lme4"), "is not recorded"),
    ],
)
def test_what_cannot_be_meant_is_status_2(
    flag: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *flag) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_module_with_a_syntax_error_is_no_engine_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_engine.py").write_text("def make(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run(monkeypatch, "explain", "seed_case1", "--engine", "broken_engine:make") == 2
    said = capsys.readouterr().err
    assert "'broken_engine' cannot be imported, because SyntaxError" in said
    assert len(said.splitlines()) == 1


def test_commands_and_types_as_they_are_typed() -> None:
    assert words_of("chroot '/a b' Rscript", "--rscript") == ["chroot", "/a b", "Rscript"]
    told = read_as(["a=b=factor"], ["-999"])
    assert (told.kind("a=b"), told.missing) == ("factor", ("-999",))


LOST = """
import os, signal, sys, time
import pp_compare.cli.entry as entry

class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        for _ in range(1000):
            pass  # the signal is met here, where Python drops what is raised

def app(standalone_mode):
    Callback()
    time.sleep(60)
    print("went on")

entry.app = app
entry.run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_that_comes_in_a_callback_is_not_lost(name: str, status: int) -> None:
    command = [sys.executable, "-c", LOST.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
