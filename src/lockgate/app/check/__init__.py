"""Checks that a person or another tool runs: of the machine, of the gap, of update metadata."""
