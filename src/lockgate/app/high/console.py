"""What the console may read of a high side, and how it is served. It holds no key and writes nothing."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit import ChannelPointer, Crossing, Verdicts
from lockgate.admit.hold import CROSSING_HOLDS
from lockgate.admit.model import CROSSINGS, HISTORY, crossing_key
from lockgate.app.crossing.custody import RecordedCustody
from lockgate.app.high.channel import CHANNEL, HOME_VARIABLE, channel_reader
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.high.tls import scheme, tls_of
from lockgate.app.logs import configure_logs
from lockgate.app.record.asking import last_asked, places
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import utc_now
from lockgate.approve import VerifiedChannel, judge
from lockgate.approve.service import STATEMENT_LIMIT, read_statement
from lockgate.core.custody import CustodyReport
from lockgate.core.errors import TrustError
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.core.statement import Statement
from lockgate.core.wire import decode, encode
from lockgate.store import FileBlobs
from lockgate.trust.attest import INSPECTION, check
from lockgate.watch import Condition, Health, HttpProbe, Target, check_all

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_VERDICTS = 16
"""How many crossings' verdicts are kept in memory."""


class UnsignedVerdictsError(TrustError):
    """Verdicts are not those that the inspector signed."""

    code = "LG-2f02"
    advice = "Somebody altered them. Inspect the crossing again and compare the audit log."


class Readings:
    """Reads a high side for the console, checking signatures as it reads."""

    def __init__(self, side: Side) -> None:
        """Open what is read; nothing is read yet."""
        self.side = side
        self._roots = InstalledRoots(side)
        self._records = records_of(side)
        self._quarantine = FileBlobs(side.home.quarantine)
        self._blobs = blobs_of(side)
        self._reader = channel_reader(side, "console")
        self._checked: Callable[[str, str, str], Verdicts] = lru_cache(KEPT_VERDICTS)(self._check)

    def channel(self) -> VerifiedChannel:
        """Return what is served, verified through its approvers' signatures.

        Raises:
            LockgateError: Nothing is published, or it does not verify.

        """
        return self._reader.current()

    def crossings(self) -> list[Crossing]:
        """Return all crossings, newest first."""
        with self._records.transaction() as tx:
            return [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)][::-1]

    def held(self) -> int:
        """Return how many crossings an operator holds."""
        with self._records.transaction() as tx:
            return sum(1 for _ in tx.scan(CROSSING_HOLDS))

    def crossing(self, sequence: int) -> Crossing | None:
        """Return one crossing, or None when there is no such number."""
        with self._records.transaction() as tx:
            value = tx.get(CROSSINGS, crossing_key(sequence))
        return None if value is None else decode(Crossing, value)

    def verdicts(self, crossing: Crossing) -> Verdicts | None:
        """Return a crossing's verdicts, or None before it was inspected.

        Raises:
            LockgateError: They are missing, or not those that the inspector signed.

        """
        if not crossing.verdicts_sha256:
            return None
        return self._checked(crossing.verdicts_sha256, crossing.attestation_sha256, crossing.crate_sha256)

    def _check(self, verdicts_sha256: str, attestation_sha256: str, crate_sha256: str) -> Verdicts:
        verdicts = decode(Verdicts, self._quarantine.read(verdicts_sha256), name="verdicts")
        envelope = self._quarantine.read(attestation_sha256)
        signed = check(envelope, self._roots.newest(), Purpose.INSPECTOR, INSPECTION, verdicts.inspected)
        if encode(signed.predicate) != encode(verdicts) or verdicts.crate_sha256 != crate_sha256:
            raise UnsignedVerdictsError("These verdicts are not those that the inspector signed.")
        return verdicts

    def custody(self, crossing: Crossing) -> CustodyReport | None:
        """Return how a crossing's package came, its hand-overs verified again."""
        return RecordedCustody(self.side).report(crossing)

    def approvals(self) -> list[tuple[ChannelPointer, Statement, frozenset[str]]]:
        """Return the statements that took effect on the channel, newest first, signatures verified.

        Raises:
            LockgateError: One does not verify.

        """
        with self._records.transaction() as tx:
            pointers = [decode(ChannelPointer, value) for _, value in tx.scan(HISTORY, f"{CHANNEL}:")]
        pointers.sort(key=lambda pointer: -pointer.version)
        return [(pointer, *self._approved(pointer)) for pointer in pointers]

    def _approved(self, pointer: ChannelPointer) -> tuple[Statement, frozenset[str]]:
        envelope = self._blobs.read(pointer.statement_sha256, limit=STATEMENT_LIMIT)
        site = self._roots.newest()
        need = (site.policy or Policy()).approvers
        return judge(envelope, site, read_statement(envelope).created, need=need)

    def health(self) -> tuple[Health, ...]:
        """Return how the other services are."""
        serve, engine = self.side.settings.serve, self.side.settings.engine
        tls = tls_of(self.side, utc_now())
        targets = [Target("mirror", serve.host, serve.mirror_port)]
        if engine.serves:
            targets.append(Target("gateway", serve.host, serve.gateway_port))
        return (*check_all(HttpProbe(tls=tls.client() if tls else None), targets), *self._witnesses())

    def page_of(self, health: Health) -> str:
        """Return the address of a running service's page for people: the gateway's chat."""
        target = health.target
        if target.name != "gateway" or health.condition is not Condition.UP:
            return ""
        return f"{scheme(self.side)}://{target.host}:{target.port}/chat"

    def _witnesses(self) -> list[Health]:
        """Return how the witnesses are that this side asks by itself."""
        told = {each.address: each for each in last_asked(self.side)}
        found = []
        for place in places(self.side):
            last = told.get(place.address)
            fine = last is not None and not last.code
            detail = last.sentence if last else "not asked yet"
            target = Target("witness", place.host, place.port)
            found.append(Health(target, Condition.UP if fine else Condition.FAILING, detail))
        return found


def serve_console(side: Side, host: str, port: int) -> None:
    """Serve the console until a signal ends it."""
    from lockgate.mirror import serve  # noqa: PLC0415  # the server is heavy

    configure_logs(side.settings.log.level)
    os.environ[HOME_VARIABLE] = str(side.home.root)
    os.environ[HOSTS_VARIABLE] = msgspec.json.encode([host]).decode()
    serve("lockgate.console.home:console_app", host, port, tls=tls_of(side, utc_now()))


HOSTS_VARIABLE = "LOCKGATE_CONSOLE_HOSTS"
"""Names that requests may ask for beside loopback's: a JSON list, set for the worker process."""
