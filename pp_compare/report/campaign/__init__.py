"""The report of a campaign: words, terminal, page, JSON, figures."""
