"""What a person told the app about themselves."""
