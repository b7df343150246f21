"""How answers become Fits; no package is needed."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from pp_compare.adapters import answer
from pp_compare.adapters.answer import PackageEngine, correlated, require
from pp_compare.engines import make_engine
from pp_compare.errors import InputError, UnavailableError
from pp_compare.model.answer import quantities
from pp_compare.resources import pip_install
from tests.examples import clusters, corpus_design, design

ADAPTERS = ["bambi", "gpboost", "interlace", "linearmodels", "mixedlm", "pymer4"]


def test_warnings_become_messages_and_versions_are_told() -> None:
    def ask(_):
        warnings.warn("of its own", UserWarning, stacklevel=1)
        return {"converged": True}

    engine = PackageEngine("name", {"np": "numpy"}, ask, settings={"a": 1})
    fit = engine.fit(corpus_design("Dyestuff"))
    assert fit.status == "ok"
    assert fit.converged
    assert fit.messages == ("UserWarning: of its own",)
    assert fit.versions == {"np": np.__version__}
    assert fit.settings == {"a": "1"}


def test_whatever_a_package_raises_is_its_answer() -> None:
    def ask(_):
        raise ZeroDivisionError("by design")

    fit = PackageEngine("name", {}, ask).fit(corpus_design("Dyestuff"))
    assert fit.status == "error"
    assert fit.messages == ("ZeroDivisionError: by design",)
    assert not fit.quantities


def test_what_a_package_cannot_express_is_not_asked_of_it() -> None:
    def ask(_):
        raise ZeroDivisionError("asked")

    engine = PackageEngine("name", {}, ask, correlated)
    fit = engine.fit(design(clusters(1, [4] * 5), "y ~ x + (x|g)"))
    assert fit.status == "unsupported"
    assert fit.messages == ("its random effects are independent; those of 'g' are correlated",)


def test_blocks_of_one_group_stand_together_and_what_is_none_is_left_out() -> None:
    this = design(clusters(1, [4] * 5), "y ~ x + (1|g) + (0 + x|g)")
    found = quantities(
        this,
        beta=np.array([1.0, 2.0]),
        sigma=3.0,
        covariances=[np.array([[4.0]]), np.array([[5.0]])],
        effects=[np.full((5, 1), 6.0), np.full((5, 1), 7.0)],
    )
    assert set(found) == {"beta", "sigma", "random_cov[g]", "blup[g]"}
    assert found["random_cov[g]"].values.tolist() == [[4.0, 0.0], [0.0, 5.0]]
    assert found["blup[g]"].values[0].tolist() == [6.0, 7.0]
    assert found["blup[g]"].columns == ("Intercept", "x")


def test_cluster_means_are_those_of_the_fitted_values() -> None:
    this = corpus_design("seed_case1")
    one = [np.eye(1)]
    found = quantities(this, beta=np.zeros(2), sigma=1.0, covariances=one, fitted=this.y)
    codes = this.group_codes["cluster"]
    expected = [this.y[codes == k].mean() for k in range(8)]
    assert found["cluster_mean[cluster]"].values == pytest.approx(expected)


@pytest.mark.parametrize("engine", ADAPTERS)
def test_a_package_that_is_not_there_is_named_with_what_installs_it(engine, monkeypatch) -> None:
    def gone(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(answer, "version", gone)
    with pytest.raises(UnavailableError, match=re.escape(pip_install(engine))):
        make_engine(engine)


@pytest.mark.parametrize("engine", [*ADAPTERS, "glmmtmb"])
def test_a_setting_that_there_is_not_is_bad_input(engine) -> None:
    with pytest.raises(InputError, match="no setting 'nonsense'"):
        make_engine(f"{engine}:nonsense")


def test_what_is_installed_is_not_refused() -> None:
    require("numpy", "numpy")
