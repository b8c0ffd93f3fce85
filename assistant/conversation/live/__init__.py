"""One live microphone: audio in, events out."""
