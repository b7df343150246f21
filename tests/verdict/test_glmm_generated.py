"""Generated generalised models: a sound engine in doubles is never accused, by either truth."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.model.glmm import GlmmDesign
from pp_compare.verdict.glmm import judge_glmm, tell
from tests.glmm_models import PlainQuadrature, design_of

SOUND = 1e-7
"""Of a log-likelihood: a tenth of what is let pass."""
COMPARED: Counter[str] = Counter()
ENGINES = (PlainQuadrature(), PlainQuadrature(40, "exact"))


@st.composite
def models(draw: st.DrawFn) -> GlmmDesign:
    """Trials, 0/1 or counts of 3 to 8 groups of unequal size, with one covariate or none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    family = draw(st.sampled_from(["binomial", "poisson"]))
    sizes = draw(st.lists(st.integers(2, 6), min_size=3, max_size=8))
    most = draw(st.sampled_from([1, 4, 30]))
    sd, slope = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])), draw(st.sampled_from([0.0, 0.7]))
    g = np.repeat(np.arange(len(sizes)), sizes)
    x = np.round(rng.normal(size=len(g)), 1)
    eta = rng.normal() * 0.5 + slope * x + rng.normal(0, 1, len(sizes))[g] * sd
    right = "x + (1|g)" if draw(st.booleans()) else "1 + (1|g)"
    names = [f"g{k}" for k in g]
    if family == "poisson":
        return design_of(family, f"y ~ {right}", y=rng.poisson(np.exp(eta)), x=x, g=names)
    n = rng.integers(1, most + 1, len(g))
    y = rng.binomial(n, 1 / (1 + np.exp(-eta)))
    return design_of(family, f"cbind(y, f) ~ {right}", y=y, f=n - y, x=x, g=names)


def not_accused(design: GlmmDesign) -> None:
    model = GlmmModel(design)
    for engine in ENGINES:
        answer = model.optimum(engine.definition)
        if answer.direction or answer.claim == "none":
            # Separated data, or a likelihood that rises with the standard deviation for ever.
            assert answer.reason
            return
        fit = engine.fit(design)
        if abs(tell(model, fit, float(answer.quantities["loglik"].values)).misevaluated) > SOUND:
            continue  # its nodes are too few for so large a variance: it is no sound engine there
        judgement, _ = judge_glmm(model, fit)
        if judgement.standing == "wrong optimum":
            # Said of a search that stopped at another optimum; its own criterion agrees.
            beta, cov = (answer.quantities[q].values for q in ("beta", "random_cov[g]"))
            assert engine.loglik(design, np.append(beta, np.sqrt(cov))) > float(fit["loglik"])
            continue
        assert not judgement.bad, judgement.sentence
        COMPARED[engine.definition] += 1


@settings(
    max_examples=1, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(models())
def test_a_sound_engine_is_not_accused(design: GlmmDesign) -> None:
    not_accused(design)


@pytest.mark.slow
def test_of_300_sound_fits_none_is_accused() -> None:
    COMPARED.clear()

    @settings(
        max_examples=300, derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate],
    )  # fmt: skip
    @given(models())
    def check(design: GlmmDesign) -> None:
        not_accused(design)

    check()
    assert all(COMPARED[engine.definition] >= 150 for engine in ENGINES), COMPARED
