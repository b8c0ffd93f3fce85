"""Profiles: what a person told the app about themselves."""
