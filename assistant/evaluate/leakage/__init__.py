"""Leakage: copies of a recording or text on both sides of a split."""
