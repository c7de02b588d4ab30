"""Joining the mirrors of the high side: the channel, who reads it, what clients may upload."""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.app.high.channel import (
    CHANNEL,
    HOME_VARIABLE,
    channel_file,
    channel_reader,
    derived_pages,
    served_side,
)
from lockgate.app.high.internal import internal_of, open_namespaces
from lockgate.app.high.tls import mirror_tls, scheme
from lockgate.app.logs import configure_logs
from lockgate.app.settings import Side
from lockgate.app.stores import blob_files
from lockgate.app.trust import utc_now

if TYPE_CHECKING:
    from lockgate.mirror import MirrorNames

CHANNEL_VARIABLE = "LOCKGATE_CHANNEL"
"""The channel that a mirror serves, for its worker process."""

NAMESPACES_VARIABLE = "LOCKGATE_SERVE__OPEN_NAMESPACES"
"""Overrides the setting in the server's worker, which reads the configuration anew."""


def mirror_app() -> Any:
    """Return the mirrors' application for the home that the environment names."""
    from lockgate.app.advice.registry import RecordedAdvisor  # noqa: PLC0415  # servers alone need it
    from lockgate.app.gate.repository import signed_repositories  # noqa: PLC0415  # the same
    from lockgate.app.high.reading import access_of, door_of, models_of_door, registry_keys  # noqa: PLC0415  # the same
    from lockgate.mirror import (  # noqa: PLC0415  # servers alone need it
        Asked,
        SignedChannel,
        SignedView,
        build_app,
    )

    side = served_side()
    channel = os.environ.get(CHANNEL_VARIABLE, CHANNEL)
    reader = channel_reader(side, "mirror", channel, pages=derived_pages)
    signed = partial(signed_repositories, side)
    view = SignedView(SignedChannel(reader, channel_file(side, channel), signed), time.monotonic)
    asked = Asked(
        advisor=RecordedAdvisor(side),
        address=side.settings.serve.mirror_url,
        names=mirror_names(side),
        misses=misses_file(side),
        uses=uses_file(side, channel),
        npm_keys=partial(registry_keys, side),
    )
    return build_app(
        view,
        blob_files(side),
        utc_now,
        internal=internal_of(side),
        asked=asked,
        access=access_of(side),
        door=door_of(side),
        models=models_of_door(side),
    )


def misses_file(side: Side) -> Path:
    """Return where the mirrors keep what they were asked for in vain."""
    return side.home.run / "misses.json"


def uses_file(side: Side, channel: str) -> Path:
    """Return where the mirrors of a channel keep which files were taken and by whom."""
    return side.home.run / f"uses-{channel}.json"


def mirror_url(side: Side) -> str:
    """Return the address that clients reach the mirrors by."""
    serve = side.settings.serve
    return serve.mirror_url or f"{scheme(side)}://{serve.host}:{serve.mirror_port}"


def mirror_names(side: Side) -> "MirrorNames":
    """Return the names of single protocols.

    Raises:
        MirrorNamesError: The setting cannot be used.

    """
    from lockgate.mirror import MirrorNames  # noqa: PLC0415  # who serves or prints alone needs it

    return MirrorNames.of(side.settings.serve.mirror_names)


def serve_mirror(
    side: Side, host: str, port: int, opened: Sequence[str] = (), *, channel: str = CHANNEL
) -> None:
    """Serve the mirrors of a channel until a signal ends it.

    Args:
        side: The high side.
        host: Address to listen on.
        port: Port to listen on.
        opened: Namespaces to open beside those of the settings.
        channel: What is served.

    Raises:
        CannotListenError: The address is taken or not ours.
        SettingsError: A namespace that is to be open cannot be one.

    """
    from lockgate.mirror import serve  # noqa: PLC0415  # servers alone need it

    configure_logs(side.settings.log.level)
    os.environ[HOME_VARIABLE] = str(side.home.root)
    os.environ[NAMESPACES_VARIABLE] = " ".join(open_namespaces(side, opened))
    os.environ[CHANNEL_VARIABLE] = channel
    serve("lockgate.app.high.mirrors:mirror_app", host, port, tls=mirror_tls(side, utc_now()))
