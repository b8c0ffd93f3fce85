"""The report: its page, model card, schema, predictions and comparisons."""
