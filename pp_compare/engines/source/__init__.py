"""A model as the call that its user would write, to paste: in R for lme4 and nlme, in Python."""
