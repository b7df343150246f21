"""The marginal likelihood of generalised mixed models: the exact one and Laplace's, certified.

`exact` encloses the likelihood of one random intercept by the trapezoidal rule, `laplace` the
Laplace criterion of any random structure; `optimum` proves an optimum of either; `model` gives both
of a design, with values anywhere.
"""
