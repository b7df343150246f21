"""The version of this package, for all that name it in what they write."""

__version__ = "0.1.0"
