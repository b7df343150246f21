"""What pymer4 adds on top of lme4: does it hand back what R gave?"""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.engines import make_engine
from tests.adapters.packages import engine_or_skip
from tests.examples import corpus_design

EXACT = ("beta", "sigma", "loglik", "fitted")


@pytest.mark.parametrize("name", ["seed_case1", "Penicillin", "sleepstudy"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_it_hands_back_the_bits_that_lme4_gives_in_the_same_r(name: str, method) -> None:
    this = corpus_design(name, method)
    theirs, lme4 = engine_or_skip("pymer4").fit(this), make_engine("lme4").fit(this)
    for quantity in (*EXACT, *(f"blup[{group}]" for group in this.group_levels)):
        assert np.array_equal(theirs[quantity], lme4[quantity]), quantity
    for group in this.group_levels:
        ours = lme4[f"random_cov[{group}]"]
        assert np.array_equal(np.diag(theirs[f"random_cov[{group}]"]), np.diag(ours))
        # Off the diagonal a correlation is multiplied back: three roundings.
        assert theirs[f"random_cov[{group}]"] == pytest.approx(ours, rel=1e-15 * 8)
    # summary() takes the standard errors from vcov(), which symmetrises first.
    assert theirs["beta_se"] == pytest.approx(lme4["beta_se"], rel=1e-14)
