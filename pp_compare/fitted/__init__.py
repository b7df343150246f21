"""What people have after fitting, read back as the model and the Fit that it is.

One module a kind: `statsmodels_results` (a ``MixedLMResults``), `r_objects` (lme4's ``merMod`` and
nlme's ``lme`` through rpy2, a pymer4 model), `r_json` (a file that ``r/write_fit.R`` wrote),
`printout` (the text of a ``summary()``). Each gives a `FittedModel`, whose design is held against
the matrices of the object itself before anything is judged.

Imports engines and adapters, which read the numbers; never a verdict.
"""

from __future__ import annotations

from pp_compare.fitted.record import FittedModel

__all__ = ["FittedModel"]
