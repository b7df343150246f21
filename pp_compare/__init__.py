"""A verification suite for linear mixed models.

The public names, each loaded when it is first used, so that importing the package costs nothing:

- data and models: `Dataset`, `read_dataset`, `dataset_of`, `all_cases`, `case`, `parse_formula`,
  `build_design`
- engines: `make_engine`, `engine_names`, `Fit`, `Quantity`
- verdicts: `audit_engine`, `parametrize_with_cases`, `assert_parity`
- errors: `PPCompareError`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pp_compare.version import __version__

if TYPE_CHECKING:
    from pp_compare.conformance import assert_parity, parametrize_with_cases
    from pp_compare.conformance import audit as audit_engine
    from pp_compare.data.corpus import all_cases, case
    from pp_compare.data.files import read_dataset
    from pp_compare.data.frames import dataset_of
    from pp_compare.engines import engine_names, make_engine
    from pp_compare.errors import PPCompareError
    from pp_compare.model import Dataset, Fit, Quantity
    from pp_compare.model.design import build_design
    from pp_compare.model.formula import parse_formula

_HOME = {
    "Dataset": "model",
    "Fit": "model",
    "PPCompareError": "errors",
    "Quantity": "model",
    "all_cases": "data.corpus",
    "assert_parity": "conformance",
    "build_design": "model.design",
    "case": "data.corpus",
    "dataset_of": "data.frames",
    "engine_names": "engines",
    "make_engine": "engines",
    "parametrize_with_cases": "conformance",
    "parse_formula": "model.formula",
    "read_dataset": "data.files",
}
_RENAMED = {"audit_engine": ("conformance", "audit")}

__all__ = [
    "Dataset",
    "Fit",
    "PPCompareError",
    "Quantity",
    "__version__",
    "all_cases",
    "assert_parity",
    "audit_engine",
    "build_design",
    "case",
    "dataset_of",
    "engine_names",
    "make_engine",
    "parametrize_with_cases",
    "parse_formula",
    "read_dataset",
]


def __getattr__(name: str) -> Any:
    module, attribute = _RENAMED.get(name, (_HOME.get(name), name))
    if module is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
