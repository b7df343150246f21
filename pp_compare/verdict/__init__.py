"""How an engine is judged: numbers held against numbers; tolerance, cause, registry.

`digits` and `tolerance` measure, `agreement` compares, `attribution` finds the cause of a
difference, `definitions` has the documented other quantities, `deviations` the registry of known
differences, `probes` and `outcome` ask what no fit shows, `metamorphic` what related data must
show. Imports `certified`, `identities` and `engines`; never a report.
"""
