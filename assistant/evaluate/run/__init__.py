"""The run: every row through the served readers, kept in a journal."""
