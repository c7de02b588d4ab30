"""Update metadata after The Update Framework: built on the low side, verified on the high one.

The state that a verification leaves (the newest trusted files) is promoted by the caller together
with its ledger entry. What a client decides stands in `tuf_trust`, which role names what in
`tuf_layout`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Signer as RawSigner
from tuf.api.metadata import Delegations, Metadata, MetaFile, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from lockgate.core.artifact import PATH_LIMIT
from lockgate.core.wire import encode, whole_second
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.keys import Signer
from lockgate.trust.tuf_layout import Branch, branches, delegation, known_bits
from lockgate.trust.tuf_trust import TOP, Edge, TrustedUpdates, answering

TUF_FILES = ("timestamp.json", "snapshot.json", "targets.json")
"""The files that every crossing has; one for each delegated role comes in addition."""

_TARGETS = re.compile(rb'"targets"\s*:')
"""Where the list of targets begins in the file of a role."""

FILES_LIMIT = 10_000
"""Most metadata files of one crossing."""

CHAIN_LIMIT = 3
"""Most roles on the way from the top-level one to a target."""

MATCHING_LIMIT = 1 << 30
"""Most characters of patterns and prefixes that the targets of one crossing are compared with, in all."""

PARTS_LIMIT = 200
"""Most different parts of the patterns of one role: fewer than Python keeps compiled."""

KEPT = timedelta(days=180)
"""How much longer than the timestamp the metadata of a delegated role may be used."""

_COMPACT = JSONSerializer(compact=True)


@dataclass(frozen=True, slots=True)
class Target:
    """Length in bytes and SHA-256 of one target."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TufSigners:
    """The keys of the online roles; an ecosystem without a key of its own is signed with the targets key."""

    targets: Signer
    snapshot: Signer
    timestamp: Signer
    ecosystems: Mapping[str, Signer] = field(default_factory=dict)

    def of(self, ecosystem: str) -> Signer:
        """Return the key of an ecosystem's role and bins."""
        return self.ecosystems.get(ecosystem, self.targets)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a verification leaves: every target, and the files to remember."""

    targets: dict[str, Target]
    files: dict[str, bytes]


def _sign(signed: Signed, raw: RawSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(raw)
    return metadata.to_bytes(_COMPACT)


class _Builder:
    """Collects the signed roles of one crossing; what did not change is taken over as it was."""

    def __init__(self, version: int, until: datetime, previous: Mapping[str, bytes]) -> None:
        self._version = version
        self._until = until
        self._previous = previous
        self.files: dict[str, bytes] = {}
        before = previous.get("snapshot.json")
        # What was listed once stays listed, or clients refuse the snapshot (specification, 5.5.5).
        self.meta: dict[str, MetaFile] = {} if before is None else dict(_own(before, Snapshot).meta)

    def bits(self) -> dict[str, int]:
        """Return how many bits of bin number each role had."""
        return {
            name.removesuffix(".json"): known_bits(_own(data, Targets))
            for name, data in self._previous.items()
            if name not in TUF_FILES and "-" not in name
        }

    def add(self, name: str, targets: dict[str, TargetFile], bins: Delegations | None, key: Signer) -> None:
        """Add a delegated role."""
        file = f"{name}.json"
        old = self._previous.get(file)
        if old is not None and self._same(old, targets, bins, key):
            self.files[file] = old
            return
        signed = Targets(self._version, None, self._until + KEPT, targets, bins)
        self._put(file, signed, key)

    def top(self, delegations: Delegations, key: Signer) -> None:
        """Add the top-level role, which names no target itself."""
        self._put("targets.json", Targets(self._version, None, self._until, {}, delegations), key)

    def _put(self, file: str, signed: Targets, key: Signer) -> None:
        self.files[file] = _sign(signed, key.raw)
        self.meta[file] = MetaFile.from_data(self._version, self.files[file], ["sha256"])

    def _same(
        self, old: bytes, targets: dict[str, TargetFile], bins: Delegations | None, key: Signer
    ) -> bool:
        metadata: Metadata[Any] = Metadata.from_bytes(old)
        known = metadata.signed
        return (
            known.targets == targets
            and known.delegations == bins
            and known.expires >= self._until
            and key.raw.public_key.keyid in metadata.signatures
        )


def _own(data: bytes, kind: type[Any]) -> Any:
    signed = Metadata[Any].from_bytes(data).signed
    if not isinstance(signed, kind):
        what = f"What was kept of an earlier crossing is of the type {signed.type!r}."
        raise UpdateMetadataError(what)
    return signed


def build(
    targets: Mapping[str, Target],
    version: int,
    signers: TufSigners,
    expires: datetime,
    previous: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return all metadata files of one crossing by name.

    Args:
        targets: Every target by path.
        version: The crossing's number; it must rise from crossing to crossing.
        signers: Keys of the roles.
        expires: When the timestamp stops admission (cadence and grace from now).
        previous: What was built for the crossing before. Roles that did not change are taken over
            from it with their old version, and no role ever disappears from the snapshot.

    Raises:
        UpdateMetadataError: More targets than there can be bins for.

    """
    until = whole_second(expires)
    builder = _Builder(version, until, previous or {})
    found = branches(targets, builder.bits())
    for branch in found:
        _add_branch(builder, branch, targets, signers.of(branch.name))
    keys = {s.raw.public_key.keyid: s.raw.public_key for s in (signers.of(b.name) for b in found)}
    roles = {b.name: delegation(b, signers.of(b.name).raw.public_key.keyid) for b in found}
    builder.top(Delegations(dict(keys), roles), signers.targets)
    snapshot = _sign(Snapshot(version, None, until, builder.meta), signers.snapshot.raw)
    named = MetaFile.from_data(version, snapshot, ["sha256"])
    timestamp = _sign(Timestamp(version, None, until, named), signers.timestamp.raw)
    return {"timestamp.json": timestamp, "snapshot.json": snapshot} | {
        name: builder.files[name] for name in ("targets.json", *sorted(set(builder.files) - set(TUF_FILES)))
    }


def _add_branch(builder: _Builder, branch: Branch, targets: Mapping[str, Target], key: Signer) -> None:
    public = key.raw.public_key
    listed = {
        path: TargetFile(targets[path].size, {"sha256": targets[path].sha256}, path) for path in branch.paths
    }
    bins = branch.bins(public.keyid)
    if bins is None:
        builder.add(branch.name, listed, None, key)
        return
    builder.add(branch.name, {}, Delegations({public.keyid: public}, None, bins), key)
    by_bin: dict[str, dict[str, TargetFile]] = {name: {} for name in bins.get_roles()}
    for path, target in listed.items():
        by_bin[bins.get_role_for_target(path)][path] = target
    for name, part in by_bin.items():
        builder.add(name, part, None, key)


def verify(
    root: bytes, files: Mapping[str, bytes], trusted: Mapping[str, bytes], at: datetime
) -> dict[str, Target]:
    """Return the targets that a crossing's metadata names (see `settle`)."""
    return settle(root, files, trusted, at).targets


def settle(root: bytes, files: Mapping[str, bytes], trusted: Mapping[str, bytes], at: datetime) -> Settled:
    """Verify a crossing's metadata after the client workflow of TUF and list every target.

    A delegated role that the crossing does not bring is taken from what was trusted before; it is
    verified again, against the present snapshot and the present delegator. Every target must be
    one that the search for it would find: below its role's delegations, and in one role alone.

    Args:
        root: The newest trusted supply root.
        files: The metadata files of the crossing by name.
        trusted: Those of the crossing trusted before, or nothing.
        at: The moment that expiry is judged by.

    Raises:
        UpdateMetadataError: Missing, forged, expired, mixed, older than what is trusted, or more
            than was delegated.

    """
    missing = [name for name in TUF_FILES if name not in files]
    if missing:
        what = f"The crossing brings no {missing[0]}."
        raise UpdateMetadataError(what)
    if len(files) > FILES_LIMIT:
        what = f"{len(files)} metadata files came; at most {FILES_LIMIT} are read."
        raise UpdateMetadataError(what, limit="files")
    updates = TrustedUpdates(root, at)
    if trusted:
        updates.recall_timestamp(trusted["timestamp.json"])
    if not updates.accept_timestamp(files["timestamp.json"]):
        what = "The timestamp is not newer than the one trusted before."
        raise UpdateMetadataError(what, role=Timestamp.type, field="$.signed.version")
    if trusted:
        updates.recall_snapshot(trusted["snapshot.json"])
    updates.accept_snapshot(files["snapshot.json"])
    return _Reading(updates, files, trusted).all()


class _Reading:
    """Reads every delegated role of a crossing, each after its delegator."""

    def __init__(
        self, updates: TrustedUpdates, files: Mapping[str, bytes], trusted: Mapping[str, bytes]
    ) -> None:
        self._updates = updates
        self._files = files
        self._trusted = trusted
        self._read: dict[str, bytes] = {name: files[name] for name in TUF_FILES[:2]}
        self._targets: dict[str, Target] = {}
        self._lengths: dict[str, int] = {}
        self._compared = 0

    def all(self) -> Settled:
        """Read all roles, and demand that the crossing brought no other file."""
        todo: list[tuple[Edge, ...]] = [(TOP,)]
        while todo:
            chain = todo.pop()
            role = self._role(chain[-1])
            self._list(chain, role)
            todo += [(*chain, Edge(chain[-1].role, child)) for child in _children(role, chain)]
        foreign = sorted(set(self._files) - set(self._read))
        if foreign:
            what = f"The crossing brings {foreign[0][:120]!r}, which no role delegates to."
            raise UpdateMetadataError(what, role=foreign[0].removesuffix(".json")[:PATH_LIMIT])
        return Settled(self._targets, self._read)

    def _role(self, edge: Edge) -> Targets:
        name = f"{edge.role}.json"
        if name in self._read:
            what = f"The role {edge.role[:120]!r} is delegated to twice."
            raise UpdateMetadataError(what, role=edge.delegator[:PATH_LIMIT])
        data = self._files.get(name, self._trusted.get(name))
        if data is None:
            what = f"The crossing brings no {name[:120]}."
            raise UpdateMetadataError(what, role=edge.delegator[:PATH_LIMIT])
        if len(self._read) == FILES_LIMIT:
            what = f"More than {FILES_LIMIT} roles are delegated to."
            raise UpdateMetadataError(what, limit="files")
        role = self._updates.accept_role(data, edge)
        self._read[name] = data
        self._lengths[edge.role] = _delegated_length(role, edge.role)
        return role

    def _list(self, chain: tuple[Edge, ...], role: Targets) -> None:
        self._compared += len(role.targets) * sum(self._lengths[edge.delegator] for edge in chain[1:])
        if self._compared > MATCHING_LIMIT:
            what = f"The role {chain[-1].role[:120]!r} names more than can be compared with its delegation."
            raise UpdateMetadataError(what, limit="matching", role=chain[-1].role[:PATH_LIMIT])
        for path, target in role.targets.items():
            if len(path) > PATH_LIMIT:
                what = f"The target {path[:120]!r} has a path of more than {PATH_LIMIT} characters."
                raise UpdateMetadataError(what, **self._entry(chain[-1].role, path))
            for edge in chain[1:]:
                if edge.role not in answering(self._updates.role(edge.delegator), path)[0]:
                    what = f"The role {edge.role!r} names {path[:120]!r}, which is not delegated to it."
                    raise UpdateMetadataError(what, **self._entry(chain[-1].role, path))
            if path in self._targets:
                what = f"Two roles name {path[:120]!r}."
                raise UpdateMetadataError(what, **self._entry(chain[-1].role, path))
            if "sha256" not in target.hashes:
                what = f"The target {path[:120]!r} has no SHA-256."
                raise UpdateMetadataError(what, **self._entry(chain[-1].role, path))
            self._targets[path] = Target(target.length, target.hashes["sha256"])

    def _entry(self, role: str, path: str) -> dict[str, Any]:
        """Return where in a role's file the entry of a target begins, as facts for an error's `where`."""
        data = self._read[f"{role}.json"]
        listed = _TARGETS.search(data)
        start = listed.end() if listed else 0
        found = (data.find(form, start) for form in (encode(path), json.dumps(path).encode()))
        at = next((place for place in found if place >= 0), None)
        return {"path": path[:PATH_LIMIT], "role": role[:PATH_LIMIT]} | ({} if at is None else {"offset": at})


def _delegated_length(role: Targets, name: str) -> int:
    """Return how many characters the patterns and prefixes have that a path is compared with.

    Matching takes time by the number of targets times this number, and much more where patterns are long or
    where there are more of them than Python keeps compiled.

    Raises:
        UpdateMetadataError: Patterns are longer than paths, or have too many parts.

    """
    roles = ((role.delegations and role.delegations.roles) or {}).values()
    patterns = [pattern for each in roles for pattern in each.paths or ()]
    prefixes = [prefix for each in roles for prefix in each.path_hash_prefixes or ()]
    parts = {part for pattern in patterns for part in pattern.split("/")}
    if len(parts) > PARTS_LIMIT or any(len(pattern) > PATH_LIMIT for pattern in patterns):
        what = f"The role {name[:120]!r} delegates by too many or too long patterns."
        raise UpdateMetadataError(what, limit="patterns", role=name[:PATH_LIMIT])
    return sum(map(len, patterns)) + sum(map(len, prefixes))


def _children(role: Targets, chain: tuple[Edge, ...]) -> Iterator[str]:
    if role.delegations is None:
        return
    if len(chain) == CHAIN_LIMIT:
        what = f"The role {chain[-1].role!r} delegates on; at most {CHAIN_LIMIT} roles lead to a target."
        raise UpdateMetadataError(what, limit="chain", role=chain[-1].role[:PATH_LIMIT])
    bins = role.delegations.succinct_roles
    if bins is None:
        yield from role.delegations.roles or {}
    elif bins.number_of_bins > FILES_LIMIT:
        what = f"The role {chain[-1].role!r} delegates to {bins.number_of_bins} bins."
        raise UpdateMetadataError(what, limit="bins", role=chain[-1].role[:PATH_LIMIT])
    else:
        yield from bins.get_roles()


__all__ = ["FILES_LIMIT", "TUF_FILES", "Settled", "Target", "TufSigners", "build", "settle", "verify"]
