"""What is fitted, and what came of it; no input or output.

The records are imported from here: `Dataset`, `ModelSpec` and `RandomTerm` with `Method` and
`Term`, `Quantity` (`pp_compare.model.quantity` has the vocabulary), `Fit` and `Status`.
`formula` reads lme4's grammar, `variables` codes columns, `matrices` makes their products, `design`
puts them together into a `Design`; `answer` puts an engine's numbers under its labels.

Imports the ground (`errors`, `resources`) alone; never an engine, a file or a report.
"""

from __future__ import annotations

from pp_compare.model.dataset import Dataset
from pp_compare.model.fit import Fit, Status
from pp_compare.model.quantity import Quantity
from pp_compare.model.spec import Method, ModelSpec, RandomTerm, Term

__all__ = [
    "Dataset",
    "Fit",
    "Method",
    "ModelSpec",
    "Quantity",
    "RandomTerm",
    "Status",
    "Term",
]
