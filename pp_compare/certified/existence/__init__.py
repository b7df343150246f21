"""Whether a model has an optimum on its data, and which quantities it fixes: decided exactly.

`record` has the answer, `Existence`; `span` asks whether the response lies in the span of the fixed
and random effects, `flat` which variances give the rows the same covariance, `modular` makes the
usual answer cheap.
"""
