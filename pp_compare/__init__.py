"""A verification suite for linear mixed models.

The public names, each loaded when it is first used, so that importing the package costs nothing:

- a fit in hand: `check`, `from_printout`, `assert_parity`
- a table in hand: `audit`, `explain`, `inference`; `Report` is what they give
- data and models: `Dataset`, `read_dataset`, `dataset_of`, `all_cases`, `case`, `parse_formula`,
  `build_design`
- engines: `make_engine`, `engine_names`, `parametrize_with_cases`, `Fit`, `Quantity`
- errors: `PPCompareError`, and `VerdictError` of `Report.raise_for_status`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pp_compare.version import __version__

if TYPE_CHECKING:
    from pp_compare.audits.asked import audit, explain, inference
    from pp_compare.audits.handed import check
    from pp_compare.conformance import assert_parity, parametrize_with_cases
    from pp_compare.data.corpus import all_cases, case
    from pp_compare.data.files import read_dataset
    from pp_compare.data.frames import dataset_of
    from pp_compare.engines import engine_names, make_engine
    from pp_compare.errors import PPCompareError
    from pp_compare.fitted.printout import from_printout
    from pp_compare.model import Dataset, Fit, Quantity
    from pp_compare.model.design import build_design
    from pp_compare.model.formula import parse_formula
    from pp_compare.report.record import Report, VerdictError

_HOME = {
    "Dataset": "model",
    "Fit": "model",
    "PPCompareError": "errors",
    "Quantity": "model",
    "Report": "report.record",
    "VerdictError": "report.record",
    "all_cases": "data.corpus",
    "assert_parity": "conformance",
    "audit": "audits.asked",
    "build_design": "model.design",
    "case": "data.corpus",
    "check": "audits.handed",
    "dataset_of": "data.frames",
    "engine_names": "engines",
    "explain": "audits.asked",
    "from_printout": "fitted.printout",
    "inference": "audits.asked",
    "make_engine": "engines",
    "parametrize_with_cases": "conformance",
    "parse_formula": "model.formula",
    "read_dataset": "data.files",
}

__all__ = [
    "Dataset",
    "Fit",
    "PPCompareError",
    "Quantity",
    "Report",
    "VerdictError",
    "__version__",
    "all_cases",
    "assert_parity",
    "audit",
    "build_design",
    "case",
    "check",
    "dataset_of",
    "engine_names",
    "explain",
    "from_printout",
    "inference",
    "make_engine",
    "parametrize_with_cases",
    "parse_formula",
    "read_dataset",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
