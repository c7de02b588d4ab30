"""The issuer: its keys change, it fails, it lies; what a stranger sends moves nothing and leads nowhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infer_doubles import NOW
from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity import BearerTokens, Credentials, Issuer, IssuerConfig, TokenRules
from lockgate.infer.identity.issuer import RETRY_SECONDS
from oidc_double import AUDIENCE, EcKey, IssuerDouble, RsaKey, signed


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def tokens(double: IssuerDouble) -> AsyncIterator[tuple[BearerTokens, Clock]]:
    async with double.running():
        clock = Clock()
        issuer = Issuer(IssuerConfig(double.url, refresh_seconds=300, stale_seconds=900), clock)
        yield BearerTokens(issuer, TokenRules(double.url, AUDIENCE), lambda: NOW), clock


async def who(source: BearerTokens, token: str) -> str:
    found = await source.find(Credentials(f"Bearer {token}"))
    assert found is not None
    return found.id


def test_keys_are_fetched_once_and_anew_when_they_are_old() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, clock):
            await asyncio.gather(*[who(source, double.token(jti=str(n))) for n in range(5)])
            assert double.asked == ["discovery", "keys"]
            clock.now += 299
            assert await who(source, double.token(jti="later")) == "oidc:u-17"
            assert len(double.asked) == 2
            clock.now += 1
            await who(source, double.token())
            assert len(double.asked) == 4

    asyncio.run(run())


def test_a_new_key_is_found_and_an_old_one_ceases() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, clock):
            old = double.token()
            await who(source, old)
            double.keys = [RsaKey("two")]
            clock.now += RETRY_SECONDS
            assert await who(source, double.token()) == "oidc:u-17"
            with pytest.raises(BadCredentialsError, match="none of its issuer's"):
                await who(source, old)  # remembered, and forgotten with its key

    asyncio.run(run())


def test_a_key_of_the_same_name_is_another_key() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, clock):
            old = double.token()
            await who(source, old)
            double.keys = [EcKey("one")]
            clock.now += 300
            with pytest.raises(BadCredentialsError):
                await who(source, old)
            assert await who(source, double.token()) == "oidc:u-17"

    asyncio.run(run())


def test_made_up_tokens_do_not_move_the_issuer() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, clock):
            await who(source, double.token())
            clock.now += RETRY_SECONDS
            for n in range(20):
                with pytest.raises(BadCredentialsError):
                    await who(source, signed(EcKey(f"made up {n}"), double.claims()))
            assert len(double.asked) == 4, "asked once more for all of them"
            for forged in (signed(EcKey("one"), double.claims()), signed(EcKey(""), double.claims())):
                with pytest.raises(BadCredentialsError):
                    await who(source, forged)

    asyncio.run(run())


def test_a_token_without_a_key_name_needs_a_single_key() -> None:
    async def run() -> None:
        double = IssuerDouble(keys=[EcKey("")])
        async with tokens(double) as (source, clock):
            token = double.token()
            assert await who(source, token) == "oidc:u-17"
            double.keys.append(EcKey("second"))
            clock.now += 300
            with pytest.raises(BadCredentialsError):
                await who(source, double.token(jti="new"))

    asyncio.run(run())


def test_an_issuer_that_fails_is_outlived_for_the_stated_time() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, clock):
            await who(source, double.token())
            double.down = True
            clock.now += 899
            assert await who(source, double.token(jti="a")) == "oidc:u-17"
            asked = len(double.asked)
            await who(source, double.token(jti="b"))
            assert len(double.asked) == asked, "not asked again at once"
            clock.now += 1
            with pytest.raises(IdentitySourceError):
                await who(source, double.token())
            double.down = False
            clock.now += RETRY_SECONDS
            assert await who(source, double.token()) == "oidc:u-17"

    asyncio.run(run())


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "http://other.internal"},
        {"jwks_uri": "http://localhost:1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "https://127.0.0.1/token"},
        {"authorization_endpoint": None},
        {"jwks_uri": "{url}@evil.internal/keys"},
        {"jwks_uri": "{url}/elsewhere"},
        {"jwks_uri": "{url}/huge"},
        {"jwks_uri": "{url}/missing"},
    ],
    ids=str,
)
def test_an_issuer_that_lies_or_leads_elsewhere_is_not_believed(document: dict[str, str | None]) -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, _):
            double.document = {k: v and v.replace("{url}", double.url) for k, v in document.items()}
            with pytest.raises(IdentitySourceError):
                await who(source, double.token())

    asyncio.run(run())


def test_what_is_no_token_is_left_to_others() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with tokens(double) as (source, _):
            for header in (None, "", "Basic a.b.c", "Bearer lg-1-2", "Bearer a.b", "Bearer a.b.c.d"):
                assert await source.find(Credentials(header)) is None
            assert double.asked == []

    asyncio.run(run())
