"""Bearer tokens of the site's OpenID Connect issuer, verified here: nobody is asked about a token."""

import hashlib
import re
from collections import OrderedDict

from lockgate.core.ports import Clock
from lockgate.infer.identity.claims import Judged, TokenRules, judge
from lockgate.infer.identity.issuer import Issuer
from lockgate.infer.identity.jws import VerificationKey, parse, strict_object
from lockgate.infer.identity.ports import Credentials, Found, Identities

SEEN_LIMIT = 4096
"""Most verified tokens that are remembered."""

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


async def verified(
    token: str, issuer: Issuer, rules: TokenRules, nonce: str | None = None
) -> tuple[Judged, VerificationKey]:
    """Return what a token proves and the key that signed it, its time not yet looked at.

    Args:
        token: The token in compact form.
        issuer: Whose it has to be.
        rules: What it has to say.
        nonce: See `judge`.

    Raises:
        BadCredentialsError: It proves nothing.
        IdentitySourceError: The issuer's keys are not known.

    """
    parsed = parse(token)
    key = await issuer.key(parsed)
    claims = strict_object(parsed.payload, "The token's payload")
    return judge(claims, rules, parsed.kind, nonce), key


class BearerTokens(Identities):
    """Verifies tokens, and remembers those that it verified for as long as their key and their time last."""

    def __init__(self, issuer: Issuer, rules: TokenRules, clock: Clock) -> None:
        """Keep the parts; the issuer is asked when the first token comes."""
        self._issuer = issuer
        self._rules = rules
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[Judged, VerificationKey]] = OrderedDict()

    async def find(self, credentials: Credentials) -> Found | None:
        """Return whom a bearer token proves; nothing where there is none with a token's dots."""
        match = _BEARER.fullmatch(credentials.authorization or "")
        if match is None or match[1].count(".") != 2:  # noqa: PLR2004  # RFC 7515, section 7.1
            return None
        name = hashlib.sha256(match[1].encode()).digest()
        found = self._seen.get(name)
        if found is None or not await self._issuer.holds(found[1]):
            self._seen.pop(name, None)
            found = await verified(match[1], self._issuer, self._rules)
            self._remember(name, found)
        found[0].demand_now(self._clock().timestamp())
        return found[0].found

    def _remember(self, name: bytes, found: tuple[Judged, VerificationKey]) -> None:
        self._seen[name] = found
        while len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)
