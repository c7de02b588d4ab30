"""What a verified token says, judged: for whom it is, by whom, since when and for how long.

OpenID Connect Core 1.0, section 3.1.3.7 (ID tokens); RFC 9068, section 4 (access tokens); RFC 8725.
"""

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.infer.errors import BadCredentialsError
from lockgate.infer.identity.ports import GROUP_NAME_LIMIT, GROUPS_LIMIT, SUBJECT_LIMIT, Found, Source

LEEWAY_SECONDS = 30
"""By how much the issuer's clock may differ from ours."""

NAME_LIMIT = 64
"""How much of a name for people is kept, in characters."""

ACCESS_KINDS = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""Media types that a token may declare; one of another kind was made for something else."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to say.

    Attributes:
        issuer: Who made it, letter by letter.
        audience: For whom it has to be.
        clients: The programs that may have asked for it (`azp`); nothing: any that the issuer knows.
        stale_seconds: Age from which it counts no more, however long its issuer lets it live.
        groups: Where the groups are: the name of a claim, with dots between for one inside another.
        name: The claim with the name for people.
        own: Whether the audience itself asked for the token, which then need not say so.

    """

    issuer: str
    audience: str
    clients: frozenset[str] = frozenset()
    stale_seconds: int = 900
    groups: str = "groups"
    name: str = "preferred_username"
    own: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What a token proves, and when it ceases to, in seconds since 1970."""

    found: Found
    begins: float
    ends: float

    def demand_now(self, now: float) -> None:
        """Refuse it outside of its time.

        Raises:
            BadCredentialsError: It does not count yet, or no more.

        """
        if now < self.begins - LEEWAY_SECONDS:
            what = "The token does not count yet."
            raise BadCredentialsError(what)
        if now >= self.ends:
            what = "The token has ended; ask its issuer for another one."
            raise BadCredentialsError(what)


def judge(claims: Mapping[str, Any], rules: TokenRules, kind: str = "", nonce: str | None = None) -> Judged:
    """Return what a token's claims prove, whenever it is looked at.

    Args:
        claims: The claims of a token whose signature was verified.
        rules: What they have to say.
        kind: The media type that its header declares, in lower case.
        nonce: What an ID token has to repeat; nothing for an access token, which has none.

    Raises:
        BadCredentialsError: They say something else.

    """
    if kind not in ACCESS_KINDS:
        what = f"A token of the kind {kind[:40]!r} proves nothing here."
        raise BadCredentialsError(what)
    if claims.get("iss") != rules.issuer:
        what = "The token is another issuer's."
        raise BadCredentialsError(what)
    _demand_audience(claims, rules)
    _demand_nonce(claims, nonce)
    ends, issued = _moment(claims, "exp"), _moment(claims, "iat")
    begins = max(issued, _moment(claims, "nbf") if "nbf" in claims else issued)
    return Judged(_found(claims, rules), begins, min(ends + LEEWAY_SECONDS, issued + rules.stale_seconds))


def _demand_audience(claims: Mapping[str, Any], rules: TokenRules) -> None:
    audience, party = claims.get("aud"), claims.get("azp", claims.get("client_id"))
    several = audience if isinstance(audience, list) else [audience]
    if rules.audience not in several:
        what = "The token is for somebody else than this gateway."
        raise BadCredentialsError(what)
    if "azp" in claims and "client_id" in claims and claims["azp"] != claims["client_id"]:
        what = "The token names two programs that asked for it."
        raise BadCredentialsError(what)
    if party is None and (len(several) > 1 or (rules.clients and not rules.own)):
        what = "The token does not say which program asked for it."
        raise BadCredentialsError(what)
    if rules.clients and party is not None and party not in rules.clients:
        what = "The token was made for a program that may not bring it here."
        raise BadCredentialsError(what)


def _demand_nonce(claims: Mapping[str, Any], nonce: str | None) -> None:
    given = claims.get("nonce")
    if nonce is None and given is not None:
        what = "An ID token proves a sign-in to the program that asked for it; send an access token."
        raise BadCredentialsError(what)
    if nonce is not None and not (
        isinstance(given, str) and hmac.compare_digest(given.encode(), nonce.encode())
    ):
        what = "The token is not the answer to this sign-in."
        raise BadCredentialsError(what)


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        what = f"The token says no moment under {name!r}."
        raise BadCredentialsError(what)
    return float(value)


def _found(claims: Mapping[str, Any], rules: TokenRules) -> Found:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_LIMIT or not subject.isprintable():
        what = "The token names nobody."
        raise BadCredentialsError(what)
    name = claims.get(rules.name)
    shown = name if isinstance(name, str) and name and name.isprintable() else subject
    return Found(Source.OIDC, subject, shown[:NAME_LIMIT], _groups(claims, rules.groups))


def _groups(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the groups; whoever has too many has too few rather than a list that was cut somewhere."""
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > GROUPS_LIMIT or not all(isinstance(g, str) for g in found):
        what = f"The token's groups are no list of at most {GROUPS_LIMIT} names."
        raise BadCredentialsError(what)
    return tuple(group for group in found if len(group) <= GROUP_NAME_LIMIT)
