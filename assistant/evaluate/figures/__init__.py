"""The figures: what is computed from labels and answers, with intervals."""
