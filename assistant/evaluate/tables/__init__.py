"""A researcher's files: manifests, labels, databases, session files."""
