"""Any random part: a search in double precision, then a local proof by Krawczyk's operator.

`optimum` puts it together; nothing of `intercept/` is needed here.
"""
