"""What follows from one fitted model: tests, intervals, partial pooling, profiles.

`explain` takes a random intercept apart step by step, `partial_pooling` has its weights,
`inference` tests and intervals by definition, `r_inference` R's, `profile` the criterion along the
variance ratio. Imports `certified`, `identities` and `engines`; never a verdict or a report.
"""
