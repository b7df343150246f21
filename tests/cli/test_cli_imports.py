"""What a command loads: nothing to be listed, and statsmodels only where something is fitted."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pp_compare.cli import commands as home
from pp_compare.cli.app import COMMANDS, app

SCRIPT = """
import sys
from pp_compare.cli import main

for words in {commands!r}:
    sys.argv = ["pp-compare", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
assert {absent!r} not in sys.modules
from pp_compare.engines import make_engine
make_engine("statsmodels")
assert {absent!r} in sys.modules
"""


@pytest.mark.parametrize(
    ("commands", "absent"),
    [
        ([["--help"]], "pandas"),
        ([["cases"], *([name, "--help"] for name in COMMANDS)], "statsmodels"),
    ],
)
def test_what_fits_nothing_does_not_load_what_fits(
    commands: list[list[str]], absent: str, tmp_path: Path
) -> None:
    script = SCRIPT.format(commands=commands, absent=absent)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    module = import_module(f"pp_compare.cli.commands.{name}")
    own = inspect.getdoc(getattr(module, f"{name}_command"))
    assert own is not None
    assert COMMANDS[name] == own.partition("\n")[0]


def test_every_command_is_listed() -> None:
    for path in Path(home.__file__).parent.glob("[!_]*.py"):
        import_module(f"pp_compare.cli.commands.{path.stem}")
    assert {command.name for command in app.registered_commands} == set(COMMANDS)
