"""The version of microframe."""

__version__ = "0.1.0"
