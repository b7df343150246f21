"""Engines of generalised mixed models, by id; each fit says which criterion it is of.

``lme4`` is ``glmer()`` as it comes, which is Laplace's criterion; ``lme4:tight`` its closest
settings, ``lme4:agq:10`` adaptive quadrature with ten nodes, ``lme4:tight:agq:10`` both.
``glmmtmb``, ``glmmpql`` (MASS), ``statsmodels:vb`` and ``statsmodels:map`` are the others.
"""
