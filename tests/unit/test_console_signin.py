"""The console's door: who gets in, who sees what, and what a stolen session or another site's form can do."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import httpx
import pytest

from console_double import Fixed
from corpora.commands import Commands
from corpora.homes import HighSide
from infer_doubles import NOW, Counting, MemoryDirectory
from lockgate.app.settings import load_settings
from lockgate.console.door import Doors
from lockgate.console.joining import doors_of
from lockgate.console.pages import build_app
from lockgate.infer.errors import BadCredentialsError, PersonError
from lockgate.infer.identity import (
    Found,
    Holder,
    Issuer,
    IssuerConfig,
    MemoryGrants,
    Passwords,
    Role,
    Seal,
    Source,
    TokenRules,
    grant,
)
from lockgate.infer.identity.flow import OidcFlow, OidcSignIn
from lockgate.infer.identity.kept import OWN_LIMIT, SESSIONS, KeptSessions
from lockgate.infer.identity.local import PASSWORD_LEAST, LocalDirectory
from lockgate.store import MemoryRecords
from oidc_double import CLIENT, IssuerDouble

BASE = "http://127.0.0.1:8730"
ORIGIN = {"Origin": BASE}
HTML = {"Accept": "text/html"}
WORD = re.compile(r'name="word" value="([0-9a-f]{64})"')
run, say, refused = Commands().run, Commands().json, Commands().refused


class House:
    """A console with its door, a clock that tests move, and people in a directory."""

    def __init__(self, *, secure: bool = False, flow: OidcFlow | None = None) -> None:
        self.now = NOW
        self.records = MemoryRecords()
        self.directory = MemoryDirectory(ann="ann's password", bea="bea's password", cy="cy's password")
        self.journal: list[tuple[str, str]] = []
        self.grants = MemoryGrants()
        self.grants.add(grant(Source.LDAP, Holder.CALLER, "ann", ("internal",), (Role.USER, Role.OPERATOR)))
        self.grants.add(grant(Source.LDAP, Holder.CALLER, "bea", ("public",)))
        self.grants.add(grant(Source.OIDC, Holder.GROUP, "analysts", ("internal",)))
        self.sessions = KeptSessions(
            self.records,
            lambda: self.now,
            Counting(),
            idle=timedelta(minutes=30),
            longest=timedelta(hours=8),
        )
        self.passwords = Passwords(self.directory, b"p" * 32, 0)
        self.doors = Doors(
            sessions=self.sessions,
            grants=self.grants,
            passwords={Source.LDAP: self.passwords},
            flow=flow,
            seal=Seal(b"s" * 32, lambda: self.now),
            secure=secure,
            journal=lambda action, who: self.journal.append((action, who)),
        )
        self.data = Fixed()
        self.app = build_app(self.data, (), self.doors)

    def browser(self, base: str = BASE) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=base, headers=HTML)


async def enter(browser: httpx.AsyncClient, name: str, password: str = "") -> httpx.Response:
    form = {"name": name, "password": password or f"{name}'s password"}
    return await browser.post("/sign-in", data=form, headers={"Origin": str(browser.base_url).rstrip("/")})


@asynccontextmanager
async def signed_in(house: House, name: str = "ann") -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    async with house.browser() as browser:
        assert (await enter(browser, name)).status_code == 303
        page = await browser.get("/requests")
        found = WORD.search(page.text)
        assert found is not None
        yield browser, found[1]


@pytest.mark.parametrize(
    "path", ["/", "/crossings/1", "/catalogue", "/appeals", "/pending", "/enrol", "/nope"]
)
def test_nobody_sees_a_page_before_the_door(path: str) -> None:
    async def check() -> None:
        async with House().browser() as browser:
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
            answer = await browser.get(path, headers={"Accept": "application/json"})
            assert answer.status_code == 401
            answer = await browser.post(path, headers=ORIGIN)
            assert answer.status_code == 401
            for cookie in ("x", "A" * 43, "ls-" + "A" * 60, "é" * 20, "A" * 5000):
                headers = [(b"cookie", b"lockgate-console=" + cookie.encode()), (b"accept", b"text/html")]
                assert (await browser.get(path, headers=headers)).status_code == 303
            for free in ("/healthz", "/metrics", "/static/console.css", "/sign-in"):
                assert (await browser.get(free)).status_code == 200

    asyncio.run(check())


def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    async def check() -> None:
        house = House(secure=True)
        async with house.browser("https://127.0.0.1:8730") as browser:
            answer = await enter(browser, "ann")
            said = answer.headers["set-cookie"]
            assert said.startswith("__Host-lockgate-console=")
            flags = {part.strip().lower() for part in said.split(";")[1:]}
            assert {"httponly", "secure", "samesite=strict", "path=/"} <= flags
            assert not any(flag.startswith(("domain", "max-age", "expires")) for flag in flags)
            assert (await browser.get("/")).status_code == 200
            token = said.partition("=")[2].partition(";")[0]
            with house.records.transaction() as tx:
                stored = list(tx.scan(SESSIONS))
            assert token not in str(stored)
            assert "password" not in str(stored)
        assert house.journal == [("console-sign-in", "ldap:ann")]

    asyncio.run(check())


def test_pages_have_headers_that_keep_forms_at_home() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house) as (browser, _):
            for path in ("/", "/pending", "/requests", "/sign-in"):
                answer = await browser.get(path)
                policy = answer.headers["content-security-policy"]
                assert "form-action 'self'" in policy
                assert "default-src 'none'" in policy
                assert answer.headers["referrer-policy"] == "same-origin"
                assert answer.headers["cache-control"] == "no-store"

    asyncio.run(check())


def test_roles_and_labels_say_what_is_seen_and_hold_at_once() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house, "bea") as (browser, _):
            assert (await browser.get("/")).headers["location"] == "/catalogue"
            assert (await browser.get("/clients")).status_code == 200
            for path in ("/crossings/1", "/pending", "/enrol", "/exposure", "/models"):
                assert (await browser.get(path)).status_code == 403
            page = await browser.get("/catalogue")
            assert page.status_code == 200
            assert "/crossings/" not in page.text  # nothing of her label is served
            house.grants.add(grant(Source.LDAP, Holder.CALLER, "bea", ("public",), (Role.USER, Role.AUDITOR)))
            assert (await browser.get("/")).status_code == 200
            assert "/crossings/" in (await browser.get("/catalogue")).text
            house.grants.shut("ldap:bea", out=True)
            assert (await browser.get("/")).headers["location"] == "/sign-in"
            house.grants.shut("ldap:bea", out=False)
            assert (await browser.get("/")).status_code == 200
            del house.directory.passwords["bea"]
            assert (await browser.get("/")).headers["location"] == "/sign-in"

    asyncio.run(check())


def test_sessions_end_by_silence_by_age_and_by_signing_out_for_thieves_too() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house) as (browser, word), house.browser() as thief:
            thief.cookies.update(browser.cookies)
            for _ in range(3):
                house.now += timedelta(minutes=29)
                assert (await browser.get("/")).status_code == 200
            answer = await browser.post("/sign-out", data={"word": word}, headers=ORIGIN)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
            assert (await thief.get("/")).status_code == 303
            assert house.journal[-1] == ("console-sign-out", "ldap:ann")
        async with signed_in(house) as (browser, _):
            house.now += timedelta(minutes=30)
            assert (await browser.get("/")).status_code == 303
        async with signed_in(house) as (browser, _):
            for _ in range(17):
                house.now += timedelta(minutes=28)
                await browser.get("/healthz")
                await browser.get("/")
            house.now += timedelta(minutes=4)
            assert (await browser.get("/")).status_code == 303

    asyncio.run(check())


def test_forms_of_other_sites_and_without_the_word_are_refused() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house) as (browser, word), signed_in(house, "bea") as (_, other):
            form = {"purl": "pkg:pypi/httpx", "reason": "why", "word": word}
            wrong: tuple[dict[str, str], ...] = (
                {},
                {"Origin": "null"},
                {"Origin": "https://evil.example"},
                {"Origin": "https://127.0.0.1:8730"},
                ORIGIN | {"Sec-Fetch-Site": "cross-site"},
            )
            for headers in wrong:
                for path in ("/requests", "/appeals", "/sign-out", "/sign-in"):
                    assert (await browser.post(path, data=form, headers=headers)).status_code == 403
            for bad in ("", "0" * 64, other):
                answer = await browser.post("/requests", data=form | {"word": bad}, headers=ORIGIN)
                assert answer.status_code == 403
                assert "did not come from a page of yours" in answer.text
            assert (await browser.post("/requests", json=form, headers=ORIGIN)).status_code == 415
            twice = f"word={word}&word={word}"
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            assert (await browser.post("/requests", content=twice, headers=ORIGIN | kind)).status_code == 400
            long = "word=" + "a" * 700_000
            assert (await browser.post("/requests", content=long, headers=ORIGIN | kind)).status_code == 413
            assert house.data.asked == []
            assert (await browser.get("/")).status_code == 200
            assert (await browser.post("/requests", data=form, headers=ORIGIN)).status_code == 303
            assert [each.wish.owner for each in house.data.asked] == ["Ann"]

    asyncio.run(check())


def test_a_stolen_session_hands_in_no_approval() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house) as (browser, word):
            body = {"credential": "AA", "assertion": {}, "word": word}
            answer = await browser.post("/pending/x/signature", json=body, headers=ORIGIN)
            assert answer.status_code == 400
            assert (await browser.post("/pending/x/approve", data=body, headers=ORIGIN)).status_code == 404

    asyncio.run(check())


def test_guesses_are_slowed_and_say_nothing_of_who_is_known() -> None:
    async def check() -> None:
        house = House()
        async with house.browser() as browser:
            pages = [await enter(browser, name, "wrong") for name in ("ann", "nobody", "cy")]
            assert {page.status_code for page in pages} == {403}
            assert len({page.text for page in pages}) == 1
            ungranted = await enter(browser, "cy")
            assert (ungranted.status_code, ungranted.text) == (403, pages[0].text)
            assert "set-cookie" not in ungranted.headers
            for name in ("ann", "nobody"):
                for _ in range(4):
                    assert (await enter(browser, name, "wrong")).status_code == 403
                slowed = await enter(browser, name)
                assert slowed.status_code == 429
                assert int(slowed.headers["retry-after"]) > 0
            assert len([name for name in house.directory.asked if name == "ann"]) == 5
            assert (await enter(browser, "bea")).status_code == 303

    asyncio.run(check())


def test_a_directory_that_is_down_lets_nobody_in() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house) as (browser, _):
            house.directory.down = True
            assert (await browser.get("/")).status_code == 503

    asyncio.run(check())


def test_appeals_are_ones_own_and_texts_are_escaped() -> None:
    async def check() -> None:
        house = House()
        text = "<script>alert(1)</script>\r\nline"
        async with signed_in(house, "bea") as (browser, word), signed_in(house) as (boss, theirs):
            form = {"receipt": "ab" * 16, "reason": "a <b>manual</b>", "text": text, "word": word}
            answer = await browser.post("/appeals", data=form, headers=ORIGIN)
            assert (answer.status_code, answer.headers["location"]) == (303, "/appeals/1")
            page = (await browser.get("/appeals/1")).text
            assert "&lt;script&gt;" in page
            assert "<script>alert" not in page
            assert house.data.appealed[0].caller == "ldap:bea"
            assert house.data.appealed[0].passages[0].text == text.replace("\r\n", "\n")
            other = form | {"receipt": "cd" * 16, "word": theirs}
            assert (await boss.post("/appeals", data=other, headers=ORIGIN)).status_code == 303
            assert (await browser.get("/appeals/2")).status_code == 404
            assert (await browser.get("/appeals/3")).status_code == 404
            assert "/appeals/2" not in (await browser.get("/appeals")).text
            assert "/appeals/1" in (await boss.get("/appeals")).text
            empty = await browser.post("/appeals", data=form | {"text": ""}, headers=ORIGIN)
            assert (empty.status_code, "The texts are missing." in empty.text) == (409, True)
            bad = {"purl": "left-pad", "reason": "why", "word": word}
            assert (await browser.post("/requests", data=bad, headers=ORIGIN)).status_code == 409

    asyncio.run(check())


def test_operators_decide_about_the_appeals_of_others_and_nobody_else_does() -> None:
    async def check() -> None:
        house = House()
        async with signed_in(house, "bea") as (browser, word), signed_in(house) as (boss, theirs):
            for who, sent, receipt in ((browser, word, "ab" * 16), (boss, theirs, "cd" * 16)):
                form = {"receipt": receipt, "reason": "a manual", "text": "say <b>it</b>", "word": sent}
                assert (await who.post("/appeals", data=form, headers=ORIGIN)).status_code == 303
            own = (await browser.get("/appeals/1")).text
            assert "/decide" not in own
            assert "/replay" not in own
            refused = {"decision": "grant", "reason": "I say so", "word": word}
            for path in ("decide", "replay"):
                answer = await browser.post(f"/appeals/1/{path}", data=refused, headers=ORIGIN)
                assert answer.status_code == 403
                assert "Only operators decide this." in answer.text
            assert "/decide" in (await boss.get("/appeals/1")).text
            assert "/decide" not in (await boss.get("/appeals/2")).text, "nobody decides about their own"
            mine = {"decision": "grant", "reason": "mine", "word": theirs}
            assert (await boss.post("/appeals/2/decide", data=mine, headers=ORIGIN)).status_code == 409
            replayed = await boss.post("/appeals/1/replay", data={"word": theirs}, headers=ORIGIN)
            assert "now: <strong>block</strong> by override" in replayed.text
            for form in ({"decision": "perhaps", "reason": "a"}, {"decision": "grant", "reason": " "}):
                answer = await boss.post("/appeals/1/decide", data=form | {"word": theirs}, headers=ORIGIN)
                assert answer.status_code == 400
            forged = {"decision": "grant", "reason": "a manual"}
            assert (await boss.post("/appeals/1/decide", data=forged, headers=ORIGIN)).status_code == 403
            elsewhere = {"Origin": "http://evil.example"}
            forged |= {"word": theirs}
            assert (await boss.post("/appeals/1/decide", data=forged, headers=elsewhere)).status_code == 403
            assert house.data.appealed[0].state == "open"
            done = await boss.post("/appeals/1/decide", data=forged, headers=ORIGIN)
            assert (done.status_code, done.headers["location"]) == (303, "/appeals/1")
            assert (house.data.appealed[0].state, house.data.appealed[0].decider) == ("granted", "ldap:ann")
            page = (await browser.get("/appeals/1")).text
            assert "a manual" in page
            again = await boss.post("/appeals/1/decide", data=forged, headers=ORIGIN)
            assert (again.status_code, "decided already" in again.text) == (409, True)
            gone = await boss.post("/appeals/9/decide", data=forged, headers=ORIGIN)
            assert gone.status_code == 404

    asyncio.run(check())


def test_at_the_issuer_and_back() -> None:
    async def check() -> None:
        async with IssuerDouble().running() as double, aiohttp.ClientSession() as away:
            rules = TokenRules(double.url, CLIENT, frozenset({CLIENT}), own=True)
            oidc = OidcSignIn(Issuer(IssuerConfig(double.url)), rules, CLIENT, BASE, back="/sign-in/back")
            house = House(flow=OidcFlow(oidc, lambda: NOW, Counting()))
            async with house.browser() as browser, house.browser() as other:
                begun = await browser.get("/sign-in/issuer")
                assert "samesite=lax" in begun.headers["set-cookie"].lower()
                async with away.get(begun.headers["location"], allow_redirects=False) as answer:
                    back = answer.headers["Location"].removeprefix(BASE)
                assert back.startswith("/sign-in/back?")
                assert (await other.get(back)).status_code == 403, "another browser's answer"
                assert (await browser.get(back.replace("state=", "state=x"))).status_code == 403
                landed = await browser.get(back)
                assert landed.status_code == 200
                assert 'http-equiv="refresh"' in landed.text
                assert (await browser.get("/requests")).status_code == 200
                assert house.journal == [("console-sign-in", "oidc:u-17")]
                house.now += timedelta(days=1)
                assert (await browser.get("/requests")).status_code == 303

    asyncio.run(check())


def test_an_open_console_has_no_door_and_takes_nothing() -> None:
    async def check() -> None:
        app = build_app(Fixed())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=HTML) as browser:
            assert (await browser.get("/")).status_code == 200
            page = await browser.get("/appeals")
            assert "<form" not in page.text
            form = {"purl": "pkg:pypi/httpx", "reason": "why", "word": ""}
            assert (await browser.post("/requests", data=form, headers=ORIGIN)).status_code == 403
            assert (await browser.get("/sign-in")).status_code == 404

    asyncio.run(check())


def test_one_person_has_few_sessions_and_a_clock_that_goes_back_revives_none() -> None:
    now = [NOW]
    kept = KeptSessions(
        MemoryRecords(), lambda: now[0], Counting(), idle=timedelta(minutes=5), longest=timedelta(hours=1)
    )
    jane = Found(Source.LDAP, "jane", "Jane")
    tokens = []
    for _ in range(OWN_LIMIT + 2):
        tokens.append(kept.begin(jane))
        now[0] += timedelta(seconds=1)
    assert [kept.find(token) is not None for token in tokens] == [False] * 2 + [True] * OWN_LIMIT
    early = kept.begin(jane, NOW + timedelta(seconds=30))
    assert kept.find(early) is not None
    now[0] = NOW - timedelta(seconds=1)
    assert kept.find(early) is None
    now[0] = NOW + timedelta(seconds=20)
    assert kept.find(early) is None, "what ended once is gone"
    assert kept.end_all(Source.LDAP, "jane") == OWN_LIMIT - 1


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> HighSide:
    return HighSide.new(tmp_path_factory.mktemp("console-door"))


def test_people_of_the_sites_own(high: HighSide, tmp_path: Any) -> None:
    home = ("--home", high.lane.high)
    (tmp_path / "pass").write_text("correct horse battery\n")
    say("console", "user", "set", "ann", "--group", "desk", "--from-file", tmp_path / "pass", *home)
    assert say("console", "user", "list", *home) == [{"name": "ann", "groups": ["desk"]}]
    file = high.lane.high / "trust/people.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "horse" not in file.read_text()
    run("gateway", "grant", "set", "local", "desk", "--label", "internal", "--operator", *home)
    config = high.lane.high / "lockgate.toml"
    config.write_text(config.read_text() + '\n[serve]\nconsole_access = "people"\n')
    side = load_settings(high.lane.high).require("high")

    async def check() -> None:
        doors = doors_of(side)
        assert doors is not None
        app = build_app(Fixed(), (), doors)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=HTML) as browser:
            assert (await enter(browser, "ann", "wrong horse battery")).status_code == 403
            assert (await enter(browser, "ann", "correct horse battery")).status_code == 303
            assert (await browser.get("/")).status_code == 200
            await asyncio.to_thread(say, "console", "user", "remove", "ann", *home)
            assert (await browser.get("/")).status_code == 303

    asyncio.run(check())
    assert refused("console", "user", "remove", "ann", *home)[1]["code"] == "LG-1a31"
    told = str(say("audit", "show", *home))
    for action in ("person-set", "console-sign-in", "person-remove"):
        assert action in told


def test_names_and_passwords_of_the_sites_own_have_bounds(tmp_path: Any) -> None:
    people = LocalDirectory(tmp_path / "people.json")
    for name, password in (
        ("Ann", "x" * 20),
        ("", "x" * 20),
        ("a/b", "x" * 20),
        ("ann", "x" * (PASSWORD_LEAST - 1)),
        ("ann", "x" * 300),
    ):
        with pytest.raises(PersonError):
            people.put(name, password, (), Counting())
    people.put("ann", "x" * 20, ("desk",), Counting())
    assert asyncio.run(people.sign_in("ann", "x" * 20)).groups == ("desk",)
    for name, password in (("ann", "x" * 21), ("ben", "x" * 20), ("ann", "")):
        with pytest.raises(BadCredentialsError):
            asyncio.run(people.sign_in(name, password))
