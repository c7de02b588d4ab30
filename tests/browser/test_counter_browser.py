"""The counter's page in a real browser: one thing at a time, and nothing signed when it stops."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from corpora.counters import CALL, new_lane, on_the_way
from corpora.ports import free_port
from lockgate.app.crossing.custody import custodians_of
from lockgate.app.settings import load_settings
from lockgate.crossing.custody import verify_chain

SCREENS = [("light", 1280), ("dark", 390)]
SLIP = "42-7F3A-9C12-44B0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counter")
    on_the_way(new_lane(folder / "lane"), folder / "chains")
    return folder


@dataclass
class Started:
    """A counter that runs, as a clerk starts it."""

    folder: Path
    address: str
    number: str

    @property
    def steps(self) -> list[str]:
        side = load_settings(self.folder / "lane/high")
        data = next((self.folder / "chains").glob("*.json")).read_bytes()
        return [s.handover.receiver for s in verify_chain(data, custodians_of(side))]


@pytest.fixture
def counter(made: Path, tmp_path: Path) -> Iterator[Started]:
    shutil.copytree(made, tmp_path / "c")
    port = free_port()
    words = [
        "custody",
        "counter",
        tmp_path / "c/chains",
        "--serve",
        "--port",
        port,
        "--place",
        "High counter",
    ]
    words += ["--key", tmp_path / "c/lane/people/clerk-high", "--home", tmp_path / "c/lane/high"]
    command = [sys.executable, "-m", "lockgate.cli.main", *map(str, words)]
    env = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as server:
        said = server.stdout.readline()
        address, number = re.search(r"(http://\S+)/ .* number (\d{8})", said).groups()
        yield Started(tmp_path / "c", address, number)
        server.terminate()


class Screen:
    """A page, with everything that it complained about and every address that it asked for."""

    def __init__(self, browser: Browser, counter: Started, scheme: str = "light", width: int = 1280) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # a parameter of the test
        )
        self.page: Page = self.context.new_page()
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.shots = os.environ.get("LOCKGATE_SHOTS", "")
        self.name = f"{scheme}-{width}"
        for attempt in range(200):
            try:
                self.page.goto(counter.address, wait_until="load")
                break
            except PlaywrightError:
                assert attempt < 199, "the counter did not start"
                self.page.wait_for_timeout(100)
        self.trouble.clear()

    def press(self, name: str) -> None:
        with self.page.expect_navigation(wait_until="load"):
            self.page.get_by_role("button", name=name).click()

    def at(self, heading: str) -> None:
        assert self.page.get_by_role("heading", level=1).inner_text().startswith(heading)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) == 0
        if self.shots:
            file = f"{self.shots}/{heading.replace(' ', '-')}-{self.name}.png"
            self.page.screenshot(path=file, full_page=True)

    def open(self, number: str) -> None:
        self.page.get_by_label("number").fill(number)
        self.press("Open")

    def look(self, slip: str) -> None:
        """Scan as a hand-held scanner does: it types into the field that has the focus, then Enter."""
        self.type(slip)
        with self.page.expect_navigation(wait_until="load"):
            self.page.keyboard.press("Enter")

    def type(self, text: str) -> None:
        self.page.locator("input:focus, textarea:focus").wait_for()
        self.page.keyboard.type(text)

    def fill(self, seals: str, other: str) -> None:
        self.type(seals)
        self.page.get_by_label("badge").fill(other)


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_right_package_seals_match_done(browser: Browser, counter: Started, scheme: str, width: int) -> None:
    screen = Screen(browser, counter, scheme, width)
    screen.at("Open the counter")
    screen.open(counter.number)
    screen.at("Scan the slip")
    screen.look(f"LGC1:HARBOUR:42:{('7f3a9c1244b0' + f'{42:052x}').upper()}")
    screen.at("Now the seals")
    assert screen.page.get_by_text("Right package").is_visible()
    assert "A104311" not in screen.page.content(), "the clerk reads the seals, not the screen"
    screen.fill("a104312\nA104311", "courier-7")
    screen.press("Sign: I have it now")
    screen.at("Done")
    assert "courier-7 gave it to clerk-high" in screen.page.inner_text("main")
    assert counter.steps == ["clerk-low", "courier-7", "clerk-high"]
    screen.page.reload()
    screen.at("Done")
    assert counter.steps == ["clerk-low", "courier-7", "clerk-high"]
    with screen.page.expect_navigation(wait_until="load"):
        screen.page.get_by_role("link", name="Next package").click()
    screen.at("Scan the slip")
    screen.look(SLIP)
    assert screen.page.get_by_role("button", name="Sign: I gave it away").is_visible()
    assert [text for text in screen.trouble if "401" not in text] == []
    assert all(url.startswith(counter.address) for url in screen.asked)


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_stop_and_call(browser: Browser, counter: Started, scheme: str, width: int) -> None:
    screen = Screen(browser, counter, scheme, width)
    screen.open(counter.number)
    for slip in ("41-7F3A-9C12-44B0", "42-7F3A-9C12-44B1"):
        screen.look(slip)
        screen.at("Stop and call")
        assert CALL in screen.page.get_by_role("alert").inner_text()
        with screen.page.expect_navigation(wait_until="load"):
            screen.page.get_by_role("link", name="Scan again").click()
    screen.look(SLIP)
    screen.press("Broken, open or missing seal")
    screen.at("Stop and call")
    for seals, other in (
        ("A104311 A104313", "courier-7"),
        ("A104311", "courier-7"),
        ("A104311 A104312", "courier-9"),
    ):
        with screen.page.expect_navigation(wait_until="load"):
            screen.page.get_by_role("link", name="look again").click()
        screen.fill(seals, other)
        screen.press("Sign: I have it now")
        screen.at("Stop and call")
        assert "Nothing was signed" in screen.page.inner_text("main")
        assert "A104312" not in screen.page.inner_text("main")
    # After three mistakes even the right answer is no longer taken.
    with screen.page.expect_navigation(wait_until="load"):
        screen.page.get_by_role("link", name="Scan again").click()
    screen.look(SLIP)
    screen.fill("A104311 A104312", "courier-7")
    screen.press("Sign: I have it now")
    screen.at("Stop and call")
    assert screen.page.get_by_text("3 times").is_visible()
    assert counter.steps == ["clerk-low", "courier-7"]


def test_the_keyboard_alone_suffices(browser: Browser, counter: Started) -> None:
    screen = Screen(browser, counter)
    screen.look(counter.number)
    screen.look(SLIP)
    screen.type("A104311 A104312")
    screen.page.keyboard.press("Tab")
    screen.look("courier-7")
    screen.at("Done")
    assert counter.steps[-1] == "clerk-high"


def test_a_page_elsewhere_cannot_have_the_clerk_sign(browser: Browser, counter: Started) -> None:
    """The console, or any page that the clerk has open: it has neither the cookie's site nor the origin."""
    screen = Screen(browser, counter)
    screen.open(counter.number)
    evil = screen.context.new_page()
    evil.set_content(
        f'<form method="post" action="{counter.address}/sign"><input name="slip" value="{SLIP}">'
        '<input name="seals" value="A104311 A104312"><input name="other" value="courier-7">'
        "<button>go</button></form>"
    )
    with evil.expect_navigation(wait_until="load") as sent:
        evil.get_by_role("button").click()
    assert sent.value.status == 403
    assert counter.steps == ["clerk-low", "courier-7"]
