"""Salts that keep the prefix caches of tenants apart where they share an engine.

Whether a prompt's beginning is in an engine's cache shows in the time to the first token, so a cache that is
shared tells one tenant what another asked. Engines that take a salt look only among
prompts with the same one.
A caller's own salt is never passed on: it could choose another's.
"""

import hmac

from lockgate.core.ports import Clock

EPOCH_SECONDS = 24 * 3600
"""For how long a tenant has one salt."""

KEPT_SALTS = 4096
"""How many tenants' salts of an epoch are remembered; more begin anew."""


class Salts:
    """Makes salts: HMAC-SHA-256 of tenant and epoch.

    Args:
        secret: Known to the gateways of a site alone.
        clock: The present moment.
        epoch_seconds: For how long a salt holds.

    """

    def __init__(self, secret: bytes, clock: Clock, epoch_seconds: int = EPOCH_SECONDS) -> None:
        """Keep the parts."""
        self._secret = secret
        self._clock = clock
        self._epoch = epoch_seconds
        self._made: tuple[int, dict[str, str]] = (-1, {})

    def of(self, tenant: str) -> str:
        """Return a tenant's salt of this epoch, as 64 hex digits."""
        epoch = int(self._clock().timestamp()) // self._epoch
        if self._made[0] != epoch or len(self._made[1]) >= KEPT_SALTS:
            self._made = epoch, {}
        found = self._made[1].get(tenant)
        if found is None:
            found = hmac.digest(self._secret, f"{tenant}\0{epoch}".encode(), "sha256").hex()
            self._made[1][tenant] = found
        return found
