"""Evaluation of recommendations: SiTunes, and logs of other policies."""
