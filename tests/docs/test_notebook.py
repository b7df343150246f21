"""The notebook of examples/ runs from top to bottom, and its answers are what it says of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "check_a_fit.ipynb"


def shown(notebook: Any) -> str:
    """Everything that the notebook's cells show."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found += [output.get("text", "")]
            found += [str(part) for part in output.get("data", {}).values()]
    return "\n".join(found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = copy.deepcopy(nbformat.read(NOTEBOOK, as_version=4))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook, folder


@pytest.mark.filterwarnings("ignore")  # of zmq and of the event loop, which are not ours
def test_the_notebook_runs_and_says_what_it_shows(ran: tuple[Any, Path]) -> None:
    notebook, folder = ran
    answers = shown(notebook)
    assert "right, other definition</span>" in answers
    assert "wrong</span>" in answers
    assert "Estimate of Days 10.647 for 10.46729" in answers
    assert "The numbers of MixedLM (statsmodels" in answers
    assert (folder / "report" / "report.html").is_file()


def test_the_notebook_is_stored_with_its_answers() -> None:
    answers = shown(nbformat.read(NOTEBOOK, as_version=4))
    assert "Estimate of Days 10.647 for 10.46729" in answers
    assert "/home/" not in answers
    assert "/tmp/" not in answers
