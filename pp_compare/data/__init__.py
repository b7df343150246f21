"""Where data sets come from: a user's file, the named cases, NIST, Hypothesis.

`files.read_dataset`, `corpus.case` and `all_cases`, `nist`, `strategies` (the only importer of
Hypothesis for data). Imports `model`; never an engine or anything that judges.
"""
