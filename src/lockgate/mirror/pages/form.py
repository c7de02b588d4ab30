"""The form of the pages: what tells whether this release writes a page as an earlier one did.

Whoever changes what a generator writes, for whatever artifacts, raises its number here. A test finds it out
where a fixed sample shows the change (`tests/unit/test_page_form.py`).
"""

from lockgate.mirror.pages.packing import compressors

NUMBERS = {
    "apt": 2,
    "conda": 1,
    "files": 1,
    "huggingface": 1,
    "npm": 2,
    "oci": 1,
    "pypi": 1,
    "rpm": 1,
}
"""Generators of pages, by the names of their modules; a higher number writes pages in another way."""


def page_form() -> str:
    """Return the form of the pages that `generate_pages` makes: two that are the same make the same pages."""
    numbers = " ".join(f"{name}-{number}" for name, number in NUMBERS.items())
    return f"{numbers} packed-{compressors()[:16]}"
