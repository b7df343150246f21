"""Which random effects MixedLM can be asked for, and the reason where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from pp_compare.data.files import read_dataset
from pp_compare.engines.statsmodels import layout
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula

DATA = read_dataset(Path(__file__).parents[1] / "cases" / "unsupported_message.csv")
REASONS = {
    "y ~ x + (x|subject) + (x|subject:tissue)": "of 'subject:tissue' within 'subject'",
    "y ~ x + (x|subject:tissue) + (1|subject)": "of 'subject:tissue' within 'subject'",
    "y ~ x + (1|subject) + (x|tissue)": "of 'tissue' beside a crossed factor",
}


@pytest.mark.parametrize("formula", REASONS)
def test_the_reason_names_the_block_that_offends(formula: str) -> None:
    design = build_design(DATA, parse_formula(formula, "REML"))
    assert layout(design) == f"correlated random effects {REASONS[formula]}"
