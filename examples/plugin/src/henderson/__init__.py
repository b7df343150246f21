"""Linear mixed models with one random intercept, by Henderson's mixed model equations."""

from henderson.fit import RandomIntercept, fit_random_intercept

__all__ = ["RandomIntercept", "fit_random_intercept"]
