"""The throw-away high side from inside: it publishes what the lock holds and serves it.

It runs in the network without route; its home, site root and approvers exist for one rehearsal alone.
What two of them sign is published like anything else: mirrors believe nothing less.
"""

import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from lockgate.app.gate.repository import sign_repositories
from lockgate.app.high.channel import CHANNEL, HOME_VARIABLE, channel_file
from lockgate.app.high.mirrors import mirror_app
from lockgate.app.high.repositories import served_to_apt
from lockgate.app.settings import Side, load_settings
from lockgate.app.stores import blobs_of
from lockgate.app.trust import signer_from, site_root, utc_now
from lockgate.approve import approve, request
from lockgate.core.artifact import Lock
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.core.snapshot import SNAPSHOT_FORMAT, Admitted, Snapshot
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.mirror import APT, client_config, generate_pages, serve

ADDRESS, PORT = "127.0.0.1", 8710
URL = f"http://{ADDRESS}:{PORT}"

LOOKUPS = "lookups.jsonl"
"""In the throw-away home: what clients asked for in vain, one JSON list of method and path a line."""

LOOKUPS_LIMIT = 5_000
"""Most of them that are written down."""

APT_SOURCES = "apt.sources"
APPROVERS = ("approver-1", "approver-2")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]


def publish(side: Side, lock: Lock, people: Path) -> None:
    """Publish every artifact of a lock on a throw-away side, approved by two of its approvers."""
    blobs, now = blobs_of(side), whole_second(utc_now())
    admitted = [
        Admitted(
            artifact=each, crossing=1, crate_sha256=NOTHING, verdicts_sha256=NOTHING, outcome="rehearsed"
        )
        for each in lock.artifacts
    ]
    pages = generate_pages(admitted, blobs.read)
    for page in pages:
        blobs.put_bytes(page.body)
    snapshot = Snapshot(
        format=SNAPSHOT_FORMAT,
        lane=side.lane,
        created=now,
        admitted=tuple(admitted),
        generated=tuple(page.generated() for page in pages),
    )
    blobs.put_bytes(encode(snapshot))
    site = site_root(side, None)
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane=side.lane,
        operation=Operation.PUBLISH,
        crossing=1,
        crate_sha256=NOTHING,
        snapshot_sha256=digest_of(snapshot),
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=digest_of(site.policy or Policy()),
        custody_sha256=NOTHING,
        channel=CHANNEL,
        channel_version=1,
        previous_sha256=NOTHING,
        requester="operator",
        log_checkpoint="",
        nonce=secrets.token_hex(16),
        created=now,
        expires=now + timedelta(days=1),
    )
    envelope = request(statement, signer_from(people / "operator", Purpose.OPERATOR, site), site, now)
    for name in APPROVERS:
        envelope = approve(envelope, signer_from(people / name, Purpose.APPROVER, site), site, now)
    sign_repositories(side, envelope)
    file = channel_file(side)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(envelope)
    known = served_to_apt(side)
    if known is not None:
        (side.home.root / APT_SOURCES).write_text(client_config(APT, URL, known).files[0].text)


class Recording:
    """An application whose answers 404 are written down, as far as `LOOKUPS_LIMIT`."""

    def __init__(self, app: Any, file: Path) -> None:
        """Wrap an application."""
        self._app = app
        self._file = file
        self._count = 0

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer, and note what there is nothing of."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:  # noqa: PLR2004
                self._note(scope)
            await send(message)

        await self._app(scope, receive, noting if scope["type"] == "http" else send)

    def _note(self, scope: Scope) -> None:
        self._count += 1
        if self._count > LOOKUPS_LIMIT:
            return
        raw = scope.get("raw_path") or scope["path"].encode()
        line = json.dumps([scope["method"], raw.decode("latin-1")[:2048]])
        with self._file.open("a") as stream:
            stream.write(f"{line}\n")


def far_app() -> Any:
    """Return the mirrors' application, which notes what it was asked for in vain."""
    return Recording(mirror_app(), Path(os.environ[HOME_VARIABLE]) / LOOKUPS)


def main(arguments: list[str]) -> None:
    """Publish the lock in a file, then serve until a signal ends it.

    Args:
        arguments: The home, the lock's file, and the folder of the people's keys.

    """
    home, lock, people = (Path(word) for word in arguments)
    side = load_settings(home).require("high")
    publish(side, decode(Lock, lock.read_bytes(), name="lock"), people)
    os.environ[HOME_VARIABLE] = str(home)
    serve("lockgate.app.rehearsal.far:far_app", ADDRESS, PORT)


def read_lookups(home: Path) -> list[tuple[str, str]]:
    """Return method and path of what clients asked for in vain, in order, each once."""
    found: dict[tuple[str, str], None] = {}
    try:
        with (home / LOOKUPS).open("rb") as stream:
            lines = stream.read(LOOKUPS_LIMIT * 4096).splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        found[msgspec.json.decode(line, type=tuple[str, str])] = None
    return list(found)


if __name__ == "__main__":
    main(sys.argv[1:])
