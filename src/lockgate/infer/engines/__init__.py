"""Engines: the programs that answer, started and watched or run by others, and how each kind is spoken to."""
