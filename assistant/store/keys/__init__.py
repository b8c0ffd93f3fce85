"""Keys: master keys, the key of each person, and what is sealed with them."""
