"""What scanners say, made fit for a report: one line, bounded, without control characters."""

import re

TEXT_LIMIT = 200
"""Longest text of a scanner in a report, in characters."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def one_line(text: str) -> str:
    """Return a scanner's text as one line; what draws lines over others is taken out."""
    return _CONTROLS.sub(" ", text).encode("utf-8", "replace").decode().strip()[:TEXT_LIMIT]
