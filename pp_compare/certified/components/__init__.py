"""The independent components of a mixed model: exact cross-products, and their equations solved.

`blocks` are the random terms, and which of their levels are tied to each other; `integer_columns`
and `exact_sums` sum over rows, and `component` is what they give; `narrow` and `elimination` solve
for components with few and with many coefficients, `wide_sums` sums over pairs of levels of these.
"""
