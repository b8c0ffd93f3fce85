"""Text: clean a message, cut it into tokens, read it."""
