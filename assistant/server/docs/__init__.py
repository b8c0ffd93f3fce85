"""The documents that the server makes of itself: OpenAPI and AsyncAPI."""
