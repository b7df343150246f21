"""glmmTMB: ``glmmTMB(y ~ x + (1 | g), data, REML = TRUE)``, in the R that runs lme4.

Requests and labels are lme4's, whose grammar it takes; ``r/glmmtmb.R`` does the rest.
"""

from __future__ import annotations

from pp_compare.engines import Engine
from pp_compare.engines._r import REngine
from pp_compare.engines.lme4 import Lme4
from pp_compare.engines.road import session


def make() -> Engine:
    """Engine factory.

    Raises
    ------
    UnavailableError
        Without R or glmmTMB, with what to do.
    """
    return REngine("glmmtmb", Lme4(({},), function="pp_fit_glmmtmb"), session("glmmTMB"))
