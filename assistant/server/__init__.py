"""The edge: HTTP and WebSocket in, the contract out."""
