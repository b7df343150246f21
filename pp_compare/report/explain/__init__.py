"""The report of an explanation: its story, terminal, page, figures."""
