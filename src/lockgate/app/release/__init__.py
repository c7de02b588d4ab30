"""Lockgate itself as a thing that crosses: made, tried in a slot, activated, taken back."""
