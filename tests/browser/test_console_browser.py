"""The console and the report in a real browser: no error, no breach of policy, nothing fetched elsewhere."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request

from console_examples import report_data
from corpora.ports import free_port
from lockgate.console.report import render_report
from lockgate.watch import Condition, HttpProbe, Target, check

SERVE = """
import sys
from lockgate.mirror import serve
serve("console_double:app", "127.0.0.1", int(sys.argv[1]))
"""
WIDTHS = [1280, 390]
SCHEMES = ["light", "dark"]


@pytest.fixture(scope="module")
def console() -> Iterator[str]:
    port = free_port()
    tests = str(Path(__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": tests}
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env=env) as server:
        target, probe, deadline = Target("console", "127.0.0.1", port), HttpProbe(), time.monotonic() + 120
        while check(probe, target).condition is not Condition.UP:
            assert server.poll() is None
            assert time.monotonic() < deadline, "the console did not start"
        yield f"http://127.0.0.1:{port}"
        server.terminate()


class Watched:
    """A page, with everything that it complained about and every address that it asked for."""

    def __init__(self, browser: Browser, scheme: str, width: int) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # a parameter of the test
        )
        self.page: Page = context.new_page()
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Request) -> None:
        # Browsers fetch the icon after the page is whole; who follows a link meanwhile ends that, and
        # nothing else may be ended so.
        if not (request.url.endswith("/static/icon.svg") and request.failure == "net::ERR_ABORTED"):
            self.trouble.append(f"{request.url}: {request.failure}")

    def shoot(self, name: str) -> None:
        """Keep a picture for people to look at, where the environment names a folder."""
        if folder := os.environ.get("LOCKGATE_SHOTS"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    def wider_than_screen(self) -> int:
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


def follow(page: Page, name: str) -> None:
    """Follow a link and wait for the whole page: without its style sheet it has another width."""
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("link", name=name, exact=True).click()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_console_renders_without_a_complaint(
    browser: Browser, console: str, scheme: str, width: int
) -> None:
    watched = Watched(browser, scheme, width)
    page = watched.page
    page.goto(console)
    assert page.get_by_role("heading", level=1).inner_text() == "What crossed, and what is served"
    assert page.get_by_role("main").count() == 1
    assert watched.wider_than_screen() == 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(250, 249, 245)", "dark": "rgb(17, 24, 27)"}[scheme]
    follow(page, "2")
    follow(page, "opaque 1")
    assert page.get_by_role("table", name="1 file with the outcome opaque").is_visible()
    assert watched.wider_than_screen() == 0
    follow(page, "how it came here")
    assert page.get_by_role("heading", name="courier-7 gave it to cara").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"custody-{scheme}-{width}")
    follow(page, "exposure")
    assert page.get_by_role("row", name="pkg:pypi/old@1.0").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"exposure-{scheme}-{width}")
    assert watched.trouble == []
    assert watched.asked
    assert all(url.startswith(console) for url in watched.asked)


def test_the_policy_stops_what_a_page_was_made_to_carry(browser: Browser, console: str) -> None:
    watched = Watched(browser, "light", 1280)
    watched.page.goto(console)
    watched.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.reached = 1';"
        "document.body.append(s)"
    )
    assert watched.page.evaluate("window.reached") is None
    assert any("Content Security Policy" in text for text in watched.trouble)


def test_the_first_key_leads_past_the_navigation(browser: Browser, console: str) -> None:
    page = Watched(browser, "light", 1280).page
    page.goto(console)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_url("**#content")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("isolated", [True, False])
def test_the_report_stands_alone(
    browser: Browser, tmp_path: Path, scheme: str, width: int, *, isolated: bool
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(report_data(isolated=isolated)))
    watched = Watched(browser, scheme, width)
    page = watched.page
    page.goto(file.as_uri())
    assert watched.wider_than_screen() == 0
    assert page.locator("svg.broad").is_visible() == (width == 1280)
    assert page.locator("svg.tall").is_visible() == (width == 390)
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily").startswith('"Iowan')
    assert page.get_by_text("not isolated in this run").is_visible() is not isolated
    page.get_by_role("link", name="source 2").click()
    assert page.url.endswith("#q2-2")
    assert watched.trouble == []
    assert set(watched.asked) == {file.as_uri()}


def test_the_report_prints_with_the_wide_picture(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(report_data()))
    page = Watched(browser, "dark", 390).page
    page.goto(file.as_uri())
    page.emulate_media(media="print", color_scheme="light")
    assert page.locator("svg.broad").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
