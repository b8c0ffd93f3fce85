"""WebSockets: the Realtime dialect and phone calls."""
