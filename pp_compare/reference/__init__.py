"""The reference set: certified values of mixed models, for any language, with proofs to check.

`make.make_set` writes it: `items` says which models, `columns` how each is made from its data,
`intercept_proof` and `general_proof` what its certificate holds, `inferences` its tests of fixed
effects, `cover` whether its optimum is the global one, and `answers` what engines get. `glmm_items`
and `glmm_proof` are the same of generalised models.
"""
