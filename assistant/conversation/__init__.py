"""One person's turn: what they write or say, and what comes of it."""
