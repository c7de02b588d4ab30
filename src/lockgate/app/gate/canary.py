"""A canary host: it asks the mirror of ``candidate`` what it serves, runs its checks, and signs what it saw.

It needs no home: a key of its own, the pinned site root, and the mirror's address.
"""

import http.client
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from lockgate.app.files import read_named, write_named
from lockgate.app.gate.gate import open_gate
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.trust import signer_from, utc_now
from lockgate.core.errors import HostError, InputError
from lockgate.core.roots import Purpose
from lockgate.core.soak import CANDIDATE, HEALTH_FORMAT, HEALTH_TYPE, HealthReport
from lockgate.core.wire import encode, whole_second
from lockgate.trust.dsse import sign
from lockgate.trust.roots import load_newest_site_root

ANSWER_LIMIT = 64 * 1024
"""Longest answer of a mirror's health address that is read, in bytes."""

MIRROR_SECONDS = 20.0
CHECK_SECONDS = 3600
"""Longest time that one check may take, in seconds."""


class CanaryAddressError(InputError):
    """A check or the mirror's address is not as a canary host can use it."""

    code = "LG-1f62"
    advice = "Name the mirror as http://host:port, and checks as name=command."


class CanaryMirrorError(HostError):
    """The mirror did not say what it serves, or served something else after the checks than before."""

    code = "LG-5f16"
    advice = "Look at the mirror of the candidate channel (`/healthz`), then let the host report again."


class _Health(msgspec.Struct):
    channel: str | None
    version: int | None
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Canary:
    """What a canary host trusts: the pinned site root with those that followed it, and its own key."""

    site_root: Sequence[bytes]
    pin: str
    lane: str
    key: KeyPlace


def parse_checks(words: Sequence[str]) -> dict[str, list[str]]:
    """Return checks by name: each ``name=command with arguments``; no shell ever runs.

    Raises:
        CanaryAddressError: Not of this form, or one name twice.

    """
    checks: dict[str, list[str]] = {}
    for word in words:
        name, equals, command = word.partition("=")
        try:
            parts = shlex.split(command)
        except ValueError as error:
            what = f"The check {name[:64]!r} cannot be read: {error}."
            raise CanaryAddressError(what) from error
        if not equals or not parts or name in checks:
            what = f"The check {word[:80]!r} is not name=command, or named twice."
            raise CanaryAddressError(what)
        checks[name] = parts
    return checks


def asked(mirror: str) -> _Health:
    """Return what a mirror says that it serves.

    Raises:
        CanaryAddressError: Not an address.
        CanaryMirrorError: No answer, or one that cannot be read.

    """
    parts = urlsplit(mirror)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        what = f"{mirror[:120]!r} is no address of a mirror."
        raise CanaryAddressError(what)
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=MIRROR_SECONDS)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/healthz")
        body = connection.getresponse().read(ANSWER_LIMIT)
        return msgspec.json.decode(body, type=_Health)
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        what = f"The mirror did not say what it serves: {error}."
        raise CanaryMirrorError(what) from error
    finally:
        connection.close()


def report(canary: Canary, mirror: str, checks: Mapping[str, Sequence[str]]) -> tuple[HealthReport, bytes]:
    """Run checks against what ``candidate`` serves, and return what was seen with its signed envelope.

    Raises:
        CanaryMirrorError: The mirror serves nothing, another channel, or moved meanwhile.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key is no canary's.

    """
    now = utc_now()
    site = load_newest_site_root(canary.site_root, canary.pin, canary.lane, now)
    signer = signer_from(canary.key, Purpose.CANARY, site)
    host = site.held(signer.keyid, Purpose.CANARY, now).person
    before = asked(mirror)
    if before.channel != CANDIDATE or before.version is None or before.snapshot is None:
        what = f"The mirror serves {before.channel!r}, not {CANDIDATE!r}."
        raise CanaryMirrorError(what)
    passed = {name: _passes(command) for name, command in checks.items()}
    if asked(mirror) != before:
        raise CanaryMirrorError("The channel moved while the checks ran.")
    seen = HealthReport(
        format=HEALTH_FORMAT,
        lane=site.lane,
        host=host,
        channel=CANDIDATE,
        channel_version=before.version,
        snapshot_sha256=before.snapshot,
        made=whole_second(utc_now()),
        checks=passed,
    )
    return seen, sign(HEALTH_TYPE, encode(seen), [signer])


def _passes(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  # the operator of this host names it
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def write_report(canary: Canary, mirror: str, checks: Mapping[str, Sequence[str]], out: Path) -> HealthReport:
    """Write the signed report of a canary host; see `report`."""
    seen, envelope = report(canary, mirror, checks)
    write_named(out, envelope)
    return seen


def take_reports(side: Side, files: Sequence[Path]) -> list[HealthReport]:
    """Keep reports that canary hosts signed; see `admit.Promoter.keep`."""
    gate = open_gate(side)
    return [gate.promoter.keep(read_named(file)) for file in files]
