"""The version, for those who would not import the whole package for it."""

__version__ = "0.1.0"
