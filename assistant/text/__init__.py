"""Text: cleaning, tokens, the text reader, crisis words and human help."""
