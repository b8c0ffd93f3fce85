"""Mood: readings fused over modalities and time, relative to how the person usually is."""
