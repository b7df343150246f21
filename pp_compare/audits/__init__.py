"""Select, fit, judge: a run over many models, and what is made with its answers.

`audit.audit` makes the `Report`; `provenance` says with what, `record` keeps R's answers for
machines without it, `reproduce` writes a case for another person, `league` and `doctor` answer who
is best and what runs here. Imports everything below; never the command line or pytest.
"""
