"""The code blocks of the documentation run, page by page, and print what the page shows.

A ``python`` block is executed, the blocks of a page one after the other in one folder; one with a
title is written to a file of that name. Of a ``console`` block each line that begins with ``$`` is
run without a shell, and what it prints is compared with the lines below: ``...`` stands for
anything, as in doctest.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

DOCS = Path(__file__).parents[2] / "docs"
RUN = ("tutorial", "how-to", "explanation")
PAGES = sorted(
    path
    for folder in RUN
    for path in (DOCS / folder).glob("*.md")
    if "```python" in path.read_text() or "```console" in path.read_text()
)
QUICK = {"how-to/compare-your-numbers.md", "explanation/partial-pooling.md"}
TITLED = RawFencedCodeBlockLexer(re.compile(r'python title="(?P<name>\w+\.py)"$\n', re.MULTILINE))
SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_console(example: Example) -> str | None:
    """What is wrong with a block, or None."""
    for chunk in str(example.parsed).split("$ ")[1:]:
        command, _, wanted = chunk.partition("\n")
        done = _run(shlex.split(command))
        if not doctest.OutputChecker().check_output(wanted, done.stdout, SHOWN):
            printed = f"--- it prints\n{done.stdout}\n--- and to stderr\n{done.stderr}"
            return f"$ {command}\n--- the page shows\n{wanted}\n{printed}"
    return None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; the interpreter and the scripts beside it are those of the tests."""
    beside = Path(sys.executable).parent / command[0]
    program = sys.executable if command[0] == "python" else str(beside)
    return subprocess.run(
        [program, *command[1:]],
        env={**os.environ, "PYTHONPATH": ".", "COLUMNS": "80", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def file_blocks(document: Document) -> Iterator[Region]:
    """Blocks that are a file."""
    for region in TITLED(document):
        region.parsed, region.evaluator = region.lexemes, write_file
        yield region


def write_file(example: Example) -> None:
    Path(example.parsed["name"]).write_text(str(example.parsed["source"]))


def run_page(path: Path) -> None:
    parsers = [file_blocks, PythonCodeBlockParser(), CodeBlockParser("console", run_console)]
    document: Document = Sybil(parsers, path=str(path.parent)).parse(path)
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page in QUICK else pytest.mark.slow)
        for page in (str(path.relative_to(DOCS)) for path in PAGES)
    ],
)
def test_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    run_page(DOCS / page)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("```python\nassert 1 + 1 == 3\n```", "AssertionError"),
        ("```console\n$ python -c 'print(2)'\n3\n```", "--- it prints\n2"),
        ("```console\n$ python -c 'print(2)'\n2\n$ python -c 'print(3)'\n2\n```", "it prints\n3"),
    ],
)
def test_a_block_that_does_not_do_what_it_shows_fails(
    block: str, words: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{block}\n")
    with pytest.raises((AssertionError, SybilFailure)) as error:
        run_page(page)
    assert words in f"{type(error.value).__name__} {error.value}"
