"""Engines around other people's packages, each an optional extra.

An adapter calls the package as its users do and hands back what it answers, in our order and under
our labels. What a package has no answer for is named in `Fit.not_given`, with the reason.
"""
