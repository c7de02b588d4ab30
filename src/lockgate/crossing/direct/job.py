"""One sealing onto media: begun anew, or taken up where it was interrupted."""

from collections.abc import Iterable
from dataclasses import dataclass

from lockgate.core.digests import sha256
from lockgate.core.ports import Progress
from lockgate.core.wire import digest_of, encode, whole_second
from lockgate.crossing.bases import listed, usable
from lockgate.crossing.contents import SealRequest
from lockgate.crossing.deltas import spooled
from lockgate.crossing.direct.session import (
    SESSION_FORMAT,
    KeptGroup,
    KeptVolume,
    Session,
    State,
    kept_places,
    tuf_of,
)
from lockgate.crossing.errors import SealingUnfinishedError
from lockgate.crossing.format import folder_name
from lockgate.crossing.prepare import Prepared, Preparer, SealerParts
from lockgate.crossing.sealplan import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """What is sealed onto media, and where each file of it belongs (media count from 1)."""

    session: Session
    prepared: Prepared
    resumed: bool

    @property
    def plan(self) -> Plan:
        """Return the plan."""
        return self.prepared.plan

    @property
    def folder(self) -> str:
        """Return the name of the crate's folder."""
        return folder_name(self.session.slot.sequence, self.session.crate)

    @property
    def media(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the files of each medium."""
        names = self.plan.names
        return tuple(tuple(names[place] for place in places) for places in self.session.places)

    def medium_of(self, name: str) -> int:
        """Return the medium that a file belongs on."""
        return next(number for number, files in enumerate(self.media, 1) if name in files)

    def with_parity(self, names: Iterable[str]) -> set[str]:
        """Return files with the parity volumes that were made from any of them."""
        found = set(names)
        for volumes, parity, _ in self.groups():
            if found & {*volumes, *parity}:
                found |= set(parity)
        return found

    def groups(self) -> list[tuple[tuple[str, ...], tuple[str, ...], int]]:
        """Return for every parity group its volumes, its parity volumes, and the number of the first."""
        volumes = [volume.name for volume in self.plan.volumes]
        spare = self.plan.names[len(volumes) :]
        found, at, first = [], 0, 0
        for one in self.plan.parity:
            members = tuple(volumes[at : at + one.group.volumes])
            found.append((members, tuple(spare[first : first + one.group.parity]), first + 1))
            at, first = at + one.group.volumes, first + one.group.parity
        return found


def asked_digest(parts: SealerParts, request: SealRequest) -> str:
    """Return the digest of what one sealing was asked for."""
    return digest_of(
        {
            "lock": sha256(encode(request.lock)),
            "recipients": sorted(request.recipients or ()),
            "delta": request.delta,
            "since": request.since or 0,
            "earliest": request.earliest,
            "parity": str(parts.parity),
            "volume_bytes": parts.volume_bytes,
            "cleartext": parts.cleartext,
        }
    )


def begin(
    parts: SealerParts, state: State, request: SealRequest, told: Progress, *, own_device: bool
) -> None:
    """Work out a crate and keep the plan of it; nothing is on a medium yet.

    Raises:
        MediumSpaceError: The media do not suffice.
        LockgateError: See `Preparer.prepare`.

    """
    preparer = Preparer(parts)
    with spooled(parts.outbox) as spool:
        prepared = preparer.prepare(request, parts.ledger.begin(), spool, told)
        plan = prepared.plan
        session = Session(
            format=SESSION_FORMAT,
            asked_sha256=asked_digest(parts, request),
            slot=prepared.slot,
            crate=prepared.crate,
            created=prepared.created,
            expires=prepared.expires,
            recipients=tuple(prepared.recipients),
            sealer=parts.signers[0].keyid,
            volumes=tuple(
                KeptVolume(number=v.number, header_size=v.header_size, plaintext_size=v.plaintext_size)
                for v in plan.volumes
            ),
            groups=tuple(KeptGroup(group=one.group, size=one.size) for one in plan.parity),
            places=kept_places(plan.places),
            bases=dict(plan.bases),
            sent_sha256=listed(prepared.slot.sequence, request.lock, parts.blobs),
            own_device=own_device,
        )
        state.begin(session, prepared.prefix, prepared.contents)


def load(parts: SealerParts, state: State, *, resumed: bool) -> Job:
    """Return a sealing as it is kept.

    Raises:
        SealingUnfinishedError: The high side would refuse what it would become by now.

    """
    session, preparer = state.session(), Preparer(parts)
    now = whole_second(parts.clock())
    if state.finished is None:
        _demand_good(parts, preparer, session)
    open_to_all = parts.cleartext or state.finished is not None
    recipients = {} if open_to_all else preparer.recipients(session.recipients, now)
    prefix, contents = state.contents(parts.blobs)
    content = sum(c.entry.length for c in contents)
    plan = Plan(
        *(session.slot.sequence, len(contents), content, len(prefix) + content),
        *(session.planned, session.parity),
        bases=session.bases,
        places=session.places,
    )
    prepared = Prepared(
        slot=session.slot,
        crate=session.crate,
        created=session.created,
        expires=session.expires,
        recipients=recipients,
        prefix=prefix,
        contents=contents,
        tuf=dict(tuf_of(contents)),
        plan=plan,
    )
    return Job(session, prepared, resumed)


def _demand_good(parts: SealerParts, preparer: Preparer, session: Session) -> None:
    now = whole_second(parts.clock())
    preparer.demand_keys(now)
    held = set(usable(parts.ledger.sent(), None))
    why = {
        "it has expired": session.expires <= now,
        "another key seals by now": session.sealer != parts.signers[0].keyid,
        "it is cleartext and sealing was asked for, or the reverse": parts.cleartext
        == bool(session.recipients),
        "another crossing was sealed or declared void since": parts.ledger.peek() != session.slot,
        "a crossing that it builds on was lost or refused": not {int(n) for n in session.bases} <= held,
    }
    for reason, holds in why.items():
        if holds:
            what = f"The unfinished sealing of crossing {session.slot.sequence} cannot go on: {reason}."
            advice = "Discard it with `lockgate seal --give-up` and seal again."
            raise SealingUnfinishedError(what, advice=advice)
