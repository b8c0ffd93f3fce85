"""Attune: an emotion-aware assistant backend that asks first."""

__version__ = "0.1.0"
