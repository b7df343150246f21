"""One random intercept: exact sufficient statistics, every root of the derivative, a global proof.

`optimum` finds it, `likelihood` and `statistics` are what a profile is drawn from.
"""
