"""The core: the optimum of the REML or ML criterion, enclosed in exact and ball arithmetic.

`models.certified_model` gives the `CertifiedModel` of a `Design`, its optimum and its curvature;
`intercept/` proves the global optimum of one random intercept, `general/` a local one of any other
random part from the points that `search/` finds, by the mixed model equations of `equations/`.
`models` and the errors of `intercept.degenerate` are for everybody.

Imports `model` and the ground; never an engine: half of the house stands on this room.
"""
