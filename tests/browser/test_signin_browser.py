"""Signing in at the chat page in Chromium: at the site's issuer and with a password, and out again."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from corpora.ports import free_port
from infer_doubles import (
    NOW,
    Counting,
    MemoryDirectory,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
)
from lockgate.infer import GatewayConfig, MemoryKeys, MemoryReceipts, Parts, serve_until
from lockgate.infer.identity import (
    Chain,
    Holder,
    Issuer,
    IssuerConfig,
    MemoryGrants,
    Passwords,
    Seal,
    Sessions,
    Source,
    TokenRules,
    grant,
)
from lockgate.infer.identity.flow import OidcSignIn
from lockgate.infer.identity.signin import SignIn
from oidc_double import CLIENT, IssuerDouble

STARTS = 180


@dataclass
class Doors:
    """A gateway with both doors, and its issuer, in a thread of their own."""

    url: str
    ledger: MemoryLedger

    def askers(self) -> list[str]:
        return [data["facts"]["api_key"] for kind, data in self.ledger.events if kind == "intent"]


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    port, ledger, ready, loop = free_port(), MemoryLedger(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with IssuerDouble().running() as double:
            seal = Seal(b"s" * 32, lambda: NOW)
            passwords = {Source.LDAP: Passwords(MemoryDirectory(jane="right"), b"p" * 32, 900)}
            issuer = Issuer(IssuerConfig(double.url))
            rules = TokenRules(double.url, CLIENT, frozenset({CLIENT}), own=True)
            oidc = OidcSignIn(issuer, rules, CLIENT, f"http://127.0.0.1:{port}")
            grants = MemoryGrants()
            for source in (Source.OIDC, Source.LDAP):
                grants.add(grant(source, Holder.GROUP, "analysts", ("internal",)))
            parts = Parts(
                source=MemorySource(),
                engines={"small": ScriptedEngine()},
                knowledge={},
                keys=MemoryKeys(),
                ledger=ledger,
                receipts=MemoryReceipts(),
                clock=lambda: NOW,
                entropy=Counting(),
                callers=Chain((Sessions(seal, passwords),), grants),
                sign_in=SignIn(seal, lambda: NOW, Counting(), oidc=oidc, passwords=passwords, secure=False),
            )
            await serve_until(GatewayConfig(port=port), parts, stop, lambda _: ready.set())

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(STARTS)
    yield Doors(f"http://127.0.0.1:{port}", ledger)
    loop.call_soon_threadsafe(stop.set)
    thread.join(STARTS)
    loop.close()


@pytest.fixture
def page(browser: Browser, doors: Doors) -> Iterator[Page]:
    context = browser.new_context()
    made = context.new_page()
    made.goto(f"{doors.url}/chat")
    yield made
    context.close()


def ask(page: Page) -> None:
    box = page.get_by_label("Question")
    expect(box).to_be_focused()
    box.fill("Hello?")
    box.press("Enter")
    expect(page.get_by_text("Hello there.")).to_be_visible()


def test_at_the_issuer_and_out_again(page: Page, doors: Doors) -> None:
    page.get_by_role("link", name="Sign in with the site's account").click()
    ask(page)
    assert doors.askers()[-1] == "oidc:u-17"
    assert page.url == f"{doors.url}/chat", "neither code nor state stays in the address"
    assert page.evaluate("[document.cookie, sessionStorage.length, localStorage.length]") == ["", 0, 0]
    page.reload()
    ask(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Password")).to_be_visible()


def test_with_a_password_by_keyboard(page: Page, doors: Doors) -> None:
    page.get_by_label("Name", exact=True).fill("jane")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill("right")
    page.keyboard.press("Enter")
    ask(page)
    assert doors.askers()[-1] == "ldap:jane"
