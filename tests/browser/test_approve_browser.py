"""Approving in the console with Chromium's virtual authenticator: enrolled, listed, signed, published."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from corpora.authenticator import list_in_root
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.ports import free_port
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.trust import site_root
from lockgate.approve import read_statement
from lockgate.core.roots import HeldKey, Purpose
from lockgate.core.wire import digest_of
from lockgate.trust.ceremony import read_card
from lockgate.watch import Condition, HttpProbe, Target, check

REQUEST = "publish-000001"


@contextmanager
def console(high: HighSide, port: int) -> Iterator[str]:
    """Serve the console of a home; it reads the site root when it starts."""
    words = ["console", "serve", "--home", str(high.lane.high), "--port", str(port)]
    with subprocess.Popen([sys.executable, "-m", "lockgate.cli.main", *words]) as server:
        target, probe, deadline = Target("console", "127.0.0.1", port), HttpProbe(), time.monotonic() + 120
        try:
            while check(probe, target).condition is not Condition.UP:
                assert server.poll() is None
                assert time.monotonic() < deadline, "the console did not start"
            yield f"http://localhost:{port}"
        finally:
            server.terminate()


class Person:
    """A browser with a security key in it."""

    def __init__(self, browser: Browser, *, verified: bool = True, scheme: str = "light") -> None:
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]  # a parameter
        self.page: Page = context.new_page()
        self.trouble: list[str] = []
        self.page.on("console", lambda message: self.note(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.cdp = context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        made = self.cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "usb",
                    "hasUserVerification": True,
                    "isUserVerified": verified,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        self.key = made["authenticatorId"]

    def note(self, text: str) -> None:
        """Keep a complaint; that RSA is not asked for is on purpose: a site root lists P-256 and Ed25519."""
        if "pubKeyCredParams" not in text:
            self.trouble.append(text)

    def said(self) -> str:
        place = self.page.locator("#said").filter(has_text=re.compile("."))
        place.wait_for()
        return place.inner_text()

    def enrol(self, base: str, person: str) -> bytes:
        """Enrol the key; return the card that the page offers."""
        self.page.goto(f"{base}/enrol")
        self.page.get_by_label("Your name").fill(person)
        self.page.get_by_role("button").press("Enter")
        assert "read aloud" in self.said(), self.trouble
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name="Save the card").click()
        return Path(download.value.path()).read_bytes()

    def sign(self, base: str) -> str:
        self.page.goto(f"{base}/pending")
        self.page.get_by_role("link", name=REQUEST).click()
        self.page.get_by_role("button", name="Sign exactly this").press("Enter")
        return self.said()


def ask(high: HighSide) -> bytes:
    high.arrive(1, "a")
    gate = open_gate(high.side)
    gate.inspect(1, Scripted())
    envelope = gate.request(1, "stable", high.operator)
    write_request(high.side, REQUEST, envelope, None)
    return envelope


def list_card(high: HighSide, card: bytes) -> None:
    entry = read_card(card)
    expires = site_root(high.side, None).expires
    held = HeldKey(key=entry.card.key, purpose=Purpose.APPROVER, person=entry.card.person, expires=expires)
    list_in_root(high, held)


def test_a_security_key_is_enrolled_and_its_signature_publishes(browser: Browser, tmp_path: Path) -> None:
    high, port, anna = HighSide.new(tmp_path), free_port(), Person(browser)
    with console(high, port) as base:
        card = anna.enrol(base, "approver-1")
        assert "no security key" not in anna.page.content()
    list_card(high, card)
    envelope = ask(high)
    with console(high, port) as base:
        anna.page.goto(f"{base}/pending/{REQUEST}")
        assert digest_of(read_statement(envelope)) in anna.page.content()
        shoot(anna.page, "statement-light")
        assert anna.sign(base).startswith("approver-1 signed.")
        assert anna.trouble == []
        anna.page.goto(f"{base}/pending")
        assert anna.page.get_by_role("row", name=REQUEST).inner_text().endswith("approver-1")
    (signed,) = (high.side.home.pending / "signed").glob(f"{REQUEST}.*.json")
    execute(high.side, [signed, *high.signed(envelope, "file", ["approver-2"])])
    assert open_gate(high.side).served("stable") is not None


def test_a_console_that_shows_another_statement_gets_no_signature_for_it(
    browser: Browser, tmp_path: Path
) -> None:
    """The page is changed under way: what is posted is signed over something else, and is refused."""
    high, port, anna = HighSide.new(tmp_path), free_port(), Person(browser, scheme="dark")
    with console(high, port) as base:
        list_card(high, anna.enrol(base, "approver-1"))
    ask(high)
    with console(high, port) as base:
        anna.page.goto(f"{base}/pending/{REQUEST}")
        shoot(anna.page, "statement-dark")
        anna.page.evaluate("document.querySelector('form').dataset.payload = btoa('another statement')")
        anna.page.get_by_role("button", name="Sign exactly this").click()
        assert "LG-2108" in anna.said()
        assert not list((high.side.home.pending / "signed").glob("*"))


def test_a_key_that_does_not_verify_its_person_signs_nothing(browser: Browser, tmp_path: Path) -> None:
    high, port, anna = HighSide.new(tmp_path), free_port(), Person(browser)
    with console(high, port) as base:
        list_card(high, anna.enrol(base, "approver-1"))
    ask(high)
    with console(high, port) as base:
        anna.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": anna.key, "isUserVerified": False})
        said = anna.sign(base)
        assert "signed." not in said
        assert not list((high.side.home.pending / "signed").glob("*"))


def test_posts_from_elsewhere_are_refused(browser: Browser, tmp_path: Path) -> None:
    high, port = HighSide.new(tmp_path), free_port()
    ask(high)
    with console(high, port) as base:
        api = browser.new_context().request
        body = json.dumps({"credential": "x", "assertion": {}})
        address = f"{base}/pending/{REQUEST}/signature"
        for headers, status in (
            ({}, 403),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": base, "Content-Type": "text/plain"}, 415),
            ({"Origin": base, "Content-Type": "application/json"}, 400),
        ):
            assert api.post(address, data=body, headers=headers).status == status, headers
        large = json.dumps({"credential": "x" * 40_000})
        right = {"Origin": base, "Content-Type": "application/json"}
        assert api.post(address, data=large, headers=right).status == 413


def shoot(page: Page, name: str) -> None:
    """Keep a picture for people to look at, where the environment names a folder."""
    if folder := os.environ.get("LOCKGATE_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
