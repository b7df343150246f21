"""Any random part: the minimum that a search has found, proved locally by Krawczyk's operator.

`optimum` puts it together; nothing of `intercept/` is needed here.
"""
