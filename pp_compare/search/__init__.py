"""Data that break an engine, found and shrunk by Hypothesis.

`run.search` goes through the `hunts`; `mixedlm` has the scripts that show a defect of statsmodels
alone. Imports `audits` and below; never the command line.
"""
