"""Measures of recommendations: exposure, fairness, rates, and what another policy would have earned."""
