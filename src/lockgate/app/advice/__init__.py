"""Vulnerability data joined to a side: what is known, how long, and what the next crossing should bring."""
