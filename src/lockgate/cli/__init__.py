"""Commands: parse, call, print; no decisions."""
