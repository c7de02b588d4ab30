"""Signing in at the chat page: codes with PKCE, names and passwords, sessions, and how each is lost."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from infer_doubles import NOW, Counting, MemoryDirectory, Site, site
from lockgate.infer.errors import BadCredentialsError, TooManyRequestsError
from lockgate.infer.identity import (
    BasicPasswords,
    Chain,
    Found,
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
from lockgate.infer.identity.local import LocalDirectory
from lockgate.infer.identity.passwords import FAILURE_SECONDS, FAILURES
from lockgate.infer.identity.session import Attempt, Session
from lockgate.infer.identity.signin import PAGE_HEADER, SignIn
from oidc_double import CLIENT, IssuerDouble

PAGE = {PAGE_HEADER: "1"}
STALE = 900


class Desk:
    """The parts of one gateway's doors, with clocks that the test moves."""

    def __init__(self, double: IssuerDouble, *, secret: str = "") -> None:
        self.double = double
        self.now = NOW
        self.seconds = 0.0
        self.directory = MemoryDirectory(jane="right")
        self.seal = Seal(b"s" * 32, lambda: self.now)
        self.passwords = Passwords(self.directory, b"p" * 32, STALE, lambda: self.seconds)
        self.sources = {Source.LDAP: self.passwords}
        self.grants = MemoryGrants()
        for source in (Source.OIDC, Source.LDAP):
            self.grants.add(grant(source, Holder.GROUP, "analysts", ("internal",)))
        self.secret = secret

    def move(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        async with self.double.running():
            issuer = Issuer(IssuerConfig(self.double.url, refresh_seconds=1e9, stale_seconds=1e9))
            rules = TokenRules(self.double.url, CLIENT, frozenset({CLIENT}), STALE, own=True)
            oidc = OidcSignIn(issuer, rules, CLIENT, "https://gateway.plant.internal", self.secret)
            doors = SignIn(
                self.seal,
                lambda: self.now,
                Counting(),
                oidc=oidc,
                passwords=self.sources,
                session_seconds=3600,
                secure=False,
            )
            sources = (Sessions(self.seal, self.sources), BasicPasswords(self.sources))
            async with site(callers=Chain(sources, self.grants), sign_in=doors) as running:
                yield running


async def status(running: Site, browser: aiohttp.ClientSession, **headers: str) -> int:
    async with browser.get(f"{running.url}/v1/models", headers=headers) as answer:
        return answer.status


def browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def to_issuer(running: Site, person: aiohttp.ClientSession) -> str:
    """Follow the page's link to the issuer and return where that sends the browser back to."""
    async with person.get(f"{running.url}/chat/sign-in", allow_redirects=False) as gone:
        assert gone.status == 303
        place = gone.headers["Location"]
    async with aiohttp.ClientSession() as at_issuer, at_issuer.get(place, allow_redirects=False) as back:
        assert back.status == 302
        return back.headers["Location"]


async def come_back(running: Site, person: aiohttp.ClientSession, place: str) -> tuple[int, Any]:
    parts = urlsplit(place)
    assert f"{parts.scheme}://{parts.netloc}" == "https://gateway.plant.internal"
    async with person.get(f"{running.url}{parts.path}?{parts.query}", allow_redirects=False) as answer:
        return answer.status, await answer.json() if answer.status >= 400 else answer.headers["Location"]


@pytest.mark.parametrize("secret", ["", "a secret: of the client/?"])
def test_a_code_ends_as_a_session_that_the_page_alone_can_use(secret: str) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble(secret=secret), secret=secret)
        async with desk.running() as running, browser() as person:
            place = await to_issuer(running, person)
            assert await come_back(running, person, place) == (303, "/chat")
            cookies = {c.key: c for c in person.cookie_jar}
            assert set(cookies) == {"lockgate-session"}
            assert cookies["lockgate-session"]["httponly"]
            assert cookies["lockgate-session"]["samesite"] == "Strict"
            assert await status(running, person, **PAGE) == 200
            assert await status(running, person) == 401, "a request that the page's script did not make"
            async with person.get(f"{running.url}/chat/session", headers=PAGE) as answer:
                assert await answer.json() == {"name": "jane"}
            async with person.post(f"{running.url}/chat/sign-out", headers=PAGE) as answer:
                assert answer.status == 204
            assert await status(running, person, **PAGE) == 401

    asyncio.run(run())


def test_a_session_of_the_issuer_ends_with_its_token_or_when_that_is_stale() -> None:
    async def run() -> None:
        for claims, seconds in (
            ({"exp": int(NOW.timestamp()) + 60}, 90),
            ({"exp": int(NOW.timestamp()) + 9**9}, STALE - 10),
        ):
            desk = Desk(IssuerDouble(id_claims=claims))
            async with desk.running() as running, browser() as person:
                await come_back(running, person, await to_issuer(running, person))
                desk.move(seconds - 1)
                assert await status(running, person, **PAGE) == 200
                desk.move(1)
                assert await status(running, person, **PAGE) == 401

    asyncio.run(run())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"state=[^&]+", "state=other"),
        (r"state=[^&]+&", ""),
        (r"code=[^&]+", "code=other"),
        (r"code=[^&]+&", "code=&"),
        (r"iss=[^&]+", "iss=http://evil.internal"),
    ],
)
def test_an_answer_that_is_not_to_this_sign_in_signs_nobody_in(old: str, new: str) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as person:
            place = re.sub(old, new, await to_issuer(running, person))
            code, _ = await come_back(running, person, place)
            assert code in {401, 503}
            assert await status(running, person, **PAGE) == 401

    asyncio.run(run())


def test_nobody_is_signed_in_by_a_code_that_another_browser_began() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as mallory, browser() as jane:
            theirs = await to_issuer(running, mallory)
            assert (await come_back(running, jane, theirs))[0] == 401, "no sign-in was begun"
            await to_issuer(running, jane)
            assert (await come_back(running, jane, theirs))[0] == 401, "another one was"
            code = parse_qs(urlsplit(theirs).query)["code"][0]
            own = await to_issuer(running, jane)
            injected = re.sub(r"code=[^&]+", f"code={code}", own)
            assert (await come_back(running, jane, injected))[0] == 503, "the issuer refuses the verifier"
            desk.move(601)
            assert (await come_back(running, jane, own))[0] == 401, "it took too long"

    asyncio.run(run())


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "other"}, {"aud": "other"}, {"azp": "other"}, {"iss": "http://evil.internal"}, {"exp": 1}],
    ids=str,
)
def test_an_id_token_that_is_not_the_answer_signs_nobody_in(claims: dict[str, Any]) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble(id_claims=claims))
        async with desk.running() as running, browser() as person:
            assert (await come_back(running, person, await to_issuer(running, person)))[0] == 401
            assert await status(running, person, **PAGE) == 401

    asyncio.run(run())


async def enter(
    running: Site, person: aiohttp.ClientSession, name: str, password: str, **headers: str
) -> int:
    body = {"name": name, "password": password}
    async with person.post(f"{running.url}/chat/password", json=body, headers=headers) as answer:
        return answer.status


def test_a_password_ends_as_a_session_that_ends_when_its_holder_is_disabled() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as person:
            assert await enter(running, person, "jane", "right") == 400, "only the page's script may"
            assert await enter(running, person, "jane", "wrong", **PAGE) == 401
            assert await enter(running, person, "jane", "right", **PAGE) == 204
            assert await status(running, person, **PAGE) == 200
            desk.directory.passwords.clear()
            desk.move(STALE - 1)
            assert await status(running, person, **PAGE) == 200
            desk.move(1)
            assert await status(running, person, **PAGE) == 401
            desk.directory.passwords["jane"] = "new"
            desk.move(STALE)
            assert await status(running, person, **PAGE) == 200
            desk.directory.groups = ()
            desk.move(STALE)
            assert await status(running, person, **PAGE) == 403, "out of the group"
            desk.directory.down = True
            desk.move(STALE - 1)
            assert await status(running, person, **PAGE) == 403
            desk.move(1)
            assert await status(running, person, **PAGE) == 401, (
                "the session is over, whatever the directory does"
            )

    asyncio.run(run())


def test_a_directory_that_does_not_answer_lets_nobody_stay() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as person:
            await enter(running, person, "jane", "right", **PAGE)
            desk.directory.down = True
            desk.move(STALE)
            assert await status(running, person, **PAGE) == 503

    asyncio.run(run())


def test_programs_bring_name_and_password_with_each_request_and_the_directory_is_asked_seldom() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as program:

            def basic(text: str) -> dict[str, str]:
                return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

            for _ in range(3):
                assert await status(running, program, **basic("jane:right")) == 200
            assert desk.directory.asked == ["jane"]
            assert await status(running, program, **basic("jane:wrong")) == 401
            assert await status(running, program, **basic("jane:")) == 401
            assert await status(running, program, **basic("jane")) == 401
            assert await status(running, program, Authorization="Basic %%%") == 401
            desk.directory.passwords["jane"] = "new"
            desk.move(STALE)
            assert await status(running, program, **basic("jane:right")) == 401

    asyncio.run(run())


def test_passwords_are_not_guessed() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        for n in range(FAILURES):
            with pytest.raises(BadCredentialsError):
                await desk.passwords.sign_in("Jane" if n % 2 else "jane", f"guess {n}")
        asked = len(desk.directory.asked)
        for name in ("jane", "JANE"):
            with pytest.raises(TooManyRequestsError) as refused:
                await desk.passwords.sign_in(name, "right")
            assert refused.value.where["retry_after"] == int(FAILURE_SECONDS) + 1
        assert len(desk.directory.asked) == asked
        desk.move(int(FAILURE_SECONDS))
        assert (await desk.passwords.sign_in("jane", "right")).subject == "jane"

    asyncio.run(run())


def test_a_colon_does_not_move_from_password_to_name() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        desk.directory.passwords = {"a": "bc", "ab": "x"}
        assert (await desk.passwords.sign_in("a", "bc")).subject == "a"
        with pytest.raises(BadCredentialsError):
            await desk.passwords.sign_in("ab", "c")

    asyncio.run(run())


def test_a_sealed_session_cannot_be_altered_or_made() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    seal = Seal(b"k" * 32, lambda: now[0])
    until = int(now[0].timestamp()) + 60
    text = seal.close(Session(source=Source.LDAP, subject="jane", name="Jane", groups=("a",), until=until))
    assert seal.session(text).found == Found(Source.LDAP, "jane", "Jane", ("a",))
    attempt = seal.close(Attempt(state="s", nonce="n", verifier="v", until=until))
    for wrong in (
        "",
        "ls-",
        text[:-4],
        f"{text}AAAA",
        text.removeprefix("ls-"),
        attempt,
        "ls-%",
        "ls-" + "A" * 5000,
        text.swapcase(),
    ):
        with pytest.raises(BadCredentialsError):
            seal.session(wrong)
    with pytest.raises(BadCredentialsError):
        seal.attempt(text)
    with pytest.raises(BadCredentialsError):
        Seal(b"o" * 32, lambda: now[0]).session(text)
    with pytest.raises(BadCredentialsError):
        seal.close(Session(source=Source.LDAP, subject="j", name="J", groups=("g" * 400,) * 9, until=until))
    now[0] += timedelta(seconds=60)
    with pytest.raises(BadCredentialsError):
        seal.session(text)


def test_long_and_malformed_bodies_are_refused() -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        async with desk.running() as running, browser() as person:
            for body, expected in (
                (b"x" * 9000, 413),
                (b"[]", 401),
                (b'{"name":1,"password":"x"}', 400),
                (b"\xff", 401),
            ):
                async with person.post(f"{running.url}/chat/password", data=body, headers=PAGE) as answer:
                    assert answer.status == expected, body[:20]

    asyncio.run(run())


def local_person(desk: Desk, folder: Path) -> LocalDirectory:
    """Give the site's own file a person, and let it count beside the directory."""
    people = LocalDirectory(folder / "people.json")
    people.put("kim", "a long password", ("desk",), Counting())
    kept = Passwords(people, b"q" * 32, STALE, lambda: desk.seconds)
    desk.sources = {Source.LOCAL: kept, Source.LDAP: desk.passwords}
    desk.grants.add(grant(Source.LOCAL, Holder.GROUP, "desk", ("internal",)))
    return people


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_a_person_of_the_sites_own_file_asks_by_api_and_by_page_until_removed(tmp_path: Path) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        people = local_person(desk, tmp_path)
        async with desk.running() as running, browser() as person:
            assert await status(running, person, **basic("kim", "a long password")) == 200
            assert await status(running, person, **basic("jane", "right")) == 200, (
                "the directory's people too"
            )
            for name, password in (("kim", "right"), ("jane", "a long password"), ("kim", "")):
                assert await status(running, person, **basic(name, password)) == 401
            given = {"name": "kim", "password": "a long password"}
            async with person.post(f"{running.url}/chat/password", json=given, headers=PAGE) as answer:
                assert answer.status == 204
            async with person.get(f"{running.url}/chat/session", headers=PAGE) as answer:
                assert await answer.json() == {"name": "kim"}
            assert await status(running, person, **PAGE) == 200
            people.remove("kim")
            desk.move(STALE)
            assert await status(running, person, **PAGE) == 401
            assert await status(running, person, **basic("kim", "a long password")) == 401

    asyncio.run(run())


def test_a_session_of_a_source_that_counts_no_more_opens_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        local_person(desk, tmp_path)
        until = int(NOW.timestamp()) + 60
        found = await desk.sources[Source.LOCAL].sign_in("kim", "a long password")
        sealed = desk.seal.close(Session(found.source, found.subject, found.name, found.groups, until))
        for sources, opens in ((desk.sources, True), ({Source.LDAP: desk.passwords}, False)):
            sessions = Sessions(desk.seal, sources)
            if opens:
                assert (await sessions.standing(desk.seal.session(sealed))).subject == "kim"
            else:
                with pytest.raises(BadCredentialsError):
                    await sessions.standing(desk.seal.session(sealed))

    asyncio.run(run())


def test_somebody_of_the_file_whom_nobody_granted_anything_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        desk = Desk(IssuerDouble())
        people = local_person(desk, tmp_path)
        people.put("lee", "another password", ("hall",), Counting())
        async with desk.running() as running, browser() as person:
            assert await status(running, person, **basic("lee", "another password")) == 403

    asyncio.run(run())
