"""Turnout's core: from a parameterised notebook to a served model version, and back."""

__version__ = "0.1.0"
