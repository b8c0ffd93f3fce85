"""The main job, end to end, as a story that checks itself."""
