"""The report of a generalised mixed model: the judgements, and every number beside both truths."""
