"""Bytes by SHA-256 and records, behind two small ports."""
