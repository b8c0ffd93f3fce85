"""What every request passes: callers, errors, limits, headers."""
