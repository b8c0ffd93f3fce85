"""Master keys, each person's own key, and the vault that seals data with it."""
