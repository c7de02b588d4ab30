"""One browser for a file of tests, patient with a machine that has more to do."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)
PATIENCE = 180_000
"""Milliseconds for what a page does: no test is about them."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        fresh = started.new_context

        def patient(**settings: Any) -> BrowserContext:
            context = fresh(**settings)
            context.set_default_timeout(PATIENCE)
            return context

        started.new_context = patient  # type: ignore[method-assign]  # every context of these tests
        yield started
        started.close()
