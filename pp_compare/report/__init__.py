"""What a run found, in every form: one folder a report, and what they share beside them.

`record` has the `Report`, `digest` counts it, `table`, `document`, `page`, `svg`, `rich_table` and
`plain` are the forms. Imports records of `verdict` and `inferences`; never fits or judges.
"""
