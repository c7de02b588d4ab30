"""The pages that an approver reads in a real browser: what approving would change, and one artifact."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from test_console_browser import SCHEMES, SERVE, WIDTHS, Watched, follow

from corpora.ports import free_port
from lockgate.watch import Condition, HttpProbe, Target, check


@pytest.fixture(scope="module")
def console() -> Iterator[str]:
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env=env) as server:
        target, probe, deadline = Target("console", "127.0.0.1", port), HttpProbe(), time.monotonic() + 120
        while check(probe, target).condition is not Condition.UP:
            assert server.poll() is None
            assert time.monotonic() < deadline, "the console did not start"
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_an_approver_goes_from_the_crossing_to_the_change_and_to_one_artifact(
    browser: Browser, console: str, scheme: str, width: int
) -> None:
    watched = Watched(browser, scheme, width)
    page = watched.page
    page.goto(f"{console}/crossings/2")
    follow(page, "what it would change")
    assert page.get_by_role("heading", level=1).inner_text() == "What approving would change"
    items = page.get_by_role("region").or_(page.get_by_role("listitem")).all_inner_texts()
    risks = [
        item.split()[0] for item in items if item.split()[0] in {"golden", "weights", "network", "facts"}
    ]
    assert risks == ["golden", "weights", "network", "facts"]
    assert page.get_by_text("12 artifacts, list").is_visible()
    assert page.get_by_text("And 2 more changes").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"difference-{scheme}-{width}")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("link", name="pkg:huggingface/a/b@2").first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "a/b 2"
    for name in (
        "What approving would change",
        "Verdict and coverage",
        "Weights and golden prompts",
        "Provenance",
        "Known vulnerabilities",
        "Custody",
    ):
        assert page.get_by_role("heading", name=name, exact=True).is_visible()
    assert page.get_by_text("model-signing: verified by models@example.org").is_visible()
    assert page.get_by_text("GHSA-aaaa-bbbb-cccc").is_visible()
    assert page.get_by_text("Breaks the chain").first.is_visible()
    assert page.get_by_text("capital at token 3").last.is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"artifact-{scheme}-{width}")
    page.goto(f"{console}/crossings/2/artifact?purl=pkg%3Ageneric%2Fdisk")
    assert page.get_by_text("Nothing: it stays in quarantine.").is_visible()
    assert page.get_by_text("Not asked: No advisory data is loaded.").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"artifact-held-{scheme}-{width}")
    assert watched.trouble == []
    assert {url.split("/")[2] for url in watched.asked} == {console.split("/")[2]}


def test_the_keyboard_reaches_every_artifact_and_an_unknown_one_is_not_found(
    browser: Browser, console: str
) -> None:
    watched = Watched(browser, "dark", 1280)
    page = watched.page
    page.goto(f"{console}/crossings/2/difference")
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        if seen[-1] == "pkg:huggingface/a/b@2":
            break
    assert seen[0] == "Skip to the content"
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", level=1).inner_text() == "a/b 2"
    answer = page.goto(f"{console}/crossings/2/artifact?purl=pkg%3Apypi%2Fnone")
    assert answer is not None
    assert answer.status == 404
