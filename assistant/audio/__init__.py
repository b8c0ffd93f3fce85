"""Hearing: samples, speech or silence, utterances, and what a voice says."""

SAMPLE_RATE = 16_000
"""Hz. Everything inside works at this rate."""
