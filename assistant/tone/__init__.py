"""The tone to take: a small table of rules that give reasons."""
