"""Measuring the served models on labelled files: metrics, manifests, the run itself, and the report."""
