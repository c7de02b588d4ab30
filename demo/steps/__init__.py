"""The steps of the demonstration, in the order of a byte's way."""
