"""A hook of mkdocs: the page of the command line gets what ``pp-compare COMMAND --help`` prints."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from pp_compare.cli.app import COMMANDS, app


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Add a section for each command to its page."""
    if page.file.src_uri != "reference/command-line.md":
        return markdown
    return markdown + "".join(f"\n## {name}\n\n```text\n{_help(name)}\n```\n" for name in COMMANDS)


def _help(name: str) -> str:
    environment = {"COLUMNS": "92", "NO_COLOR": "1", "TERM": "dumb"}
    printed = CliRunner(env=environment).invoke(app, [name, "--help"], prog_name="pp-compare")
    return "\n".join(line.rstrip() for line in printed.output.strip().splitlines())
