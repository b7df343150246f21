"""The report of an audit: terminal, page, JSON, the folder of `--out`, the evidence."""
