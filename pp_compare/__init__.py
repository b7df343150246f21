"""A verification suite for linear mixed models."""

__version__ = "0.1.0"
