"""Recommendations: what an app offers, in which order for whom, and why."""
