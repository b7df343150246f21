"""A hook of mkdocs: an example report, as the command beside the link to it writes one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

COMMAND = ("audit", "seed_case1", "sleepstudy", "two_optima_ml", "--fail-on", "none", "--out")
"""The page that links to the report shows it."""
SHOWN = ("report.html", "qualification.html", "report.json")


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the report to those of the site."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pp_compare", *COMMAND, folder],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for name in SHOWN:
            text = Path(folder, name).read_text(encoding="utf-8")
            files.append(File.generated(config, f"example/{name}", content=text))
    return files
