"""What is sent over the wire, and what is understood."""
