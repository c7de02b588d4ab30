"""What a gateway looks at again and again while it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

_log = structlog.get_logger("lockgate.infer")


async def again(look: Callable[[], Awaitable[None]], seconds: float, trouble: str) -> NoReturn:
    """Look every so many seconds until cancelled; what goes wrong is logged as `trouble`."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await look()
        except Exception:  # noqa: BLE001  # whatever it was, the next look may be better
            _log.exception(trouble)
