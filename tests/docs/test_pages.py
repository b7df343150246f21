"""What the pages list is what there is."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from pp_compare.conformance.contract import CONTRACT
from pp_compare.conformance.wording import MEANING
from pp_compare.identities import IDENTITIES
from pp_compare.model.factor import CONTRASTS
from pp_compare.model.words import WORDS
from pp_compare.resources import resource

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: identity.id)
def test_every_identity_is_stated_as_in_the_code(identity) -> None:
    text = " ".join(page("explanation/identities.md").replace("\n>", " ").split())
    assert f"## {identity.id} {identity.statement}" in text


def test_no_page_has_an_identity_that_is_none() -> None:
    headings = [x[3:] for x in page("explanation/identities.md").splitlines() if x[:3] == "## "]
    assert set(headings) - {"Notation"} == {identity.id for identity in IDENTITIES}


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_every_clause_is_listed(clause) -> None:
    assert f"| `{clause.id}` | {clause.promise} |" in page("reference/engine-protocol.md")


@pytest.mark.parametrize("cause", MEANING)
def test_every_cause_is_explained(cause) -> None:
    assert f"| `{cause}` | {MEANING[cause]} |" in page("explanation/tolerances.md")


@pytest.mark.parametrize("word", [*WORDS, *CONTRASTS])
def test_every_word_of_a_formula_is_listed(word: str) -> None:
    assert re.search(
        rf"`{re.escape(word)}[`(]|[ (]{re.escape(word)}\(", page("reference/formulas.md")
    )


def test_every_option_of_the_plugin_is_listed(pytestconfig: pytest.Config) -> None:
    source = resource("plugin.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--pp-[a-z]+)"', source))
    listed = page("reference/pytest.md")
    assert len(options) >= 6
    assert [option for option in sorted(options) if f"`{option}" not in listed] == []


def test_the_navigation_has_every_page_once() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for path in DOCS.rglob("*.md"):
        assert navigation.count(f": {path.relative_to(DOCS)}\n") == 1, path


def test_a_formula_is_set_and_nothing_is_loaded_for_it() -> None:
    pytest.importorskip("latex2mathml")
    path = DOCS / "hooks" / "formulas.py"
    hook = module_from_spec(spec := spec_from_file_location("formulas", path))
    spec.loader.exec_module(hook)
    made = hook.on_page_content('<p>x <span class="arithmatex">\\(a &lt; \\beta^2\\)</span></p>')
    assert re.search(r'<span class="formula"><math [^>]*display="inline"', made)
    assert "arithmatex" not in made
    assert "<msup>" in made


def test_every_picture_is_shown_somewhere() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    for path in (DOCS / "images").iterdir():
        assert path.suffix == ".py" or path.name in pages, path.name
