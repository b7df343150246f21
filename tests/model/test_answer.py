"""An engine's numbers stand under the labels of the design, and no model has others."""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.model.answer import labelled, labels_of, quantities, quantities_of
from tests.examples import corpus_design
from tests.faulty_engines import certified


@pytest.mark.parametrize("case", ["sleepstudy", "Penicillin", "Pastes"])
def test_every_quantity_of_a_model_has_the_labels_of_the_certified_one(case: str) -> None:
    design = corpus_design(case)
    truth = certified(design).quantities
    assert set(quantities_of(design)) == set(truth)
    for name, quantity in truth.items():
        assert labels_of(design, name) == (quantity.rows, quantity.columns)


@pytest.mark.parametrize("name", ["colour", "beta[Subject]", "blup", "blup[nobody]", ""])
def test_a_quantity_that_the_model_has_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"no quantity '{name}'".replace("[", r"\[")):
        labelled(corpus_design("sleepstudy"), {name: np.zeros(1)})


def test_blocks_of_one_group_fill_the_diagonal_and_stand_side_by_side() -> None:
    design = corpus_design("sleepstudy_uncorrelated")
    m = len(design.group_levels["Subject"])
    found = quantities(
        design,
        beta=np.zeros(2),
        sigma=1.0,
        covariances=[np.array([[2.0]]), np.array([[3.0]])],
        effects=[np.full((m, 1), 4.0), np.full((m, 1), 5.0)],
    )
    assert found["random_cov[Subject]"].values.tolist() == [[2.0, 0.0], [0.0, 3.0]]
    assert found["blup[Subject]"].values[0].tolist() == [4.0, 5.0]
    assert not {"loglik", "fitted", "cluster_mean[Subject]"} & set(found)
