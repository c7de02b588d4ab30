"""What a client of The Update Framework decides. Pure: no disk, no network, no clock.

After the client workflow of the TUF specification 1.0 (section 5). Every file comes in as bytes
and is either trusted from then on or refused; fetching and keeping files is the caller's work.
Delegated metadata is trusted per delegation: that one delegator's keys signed it says nothing
about another delegator that names the same role.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Key, Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from lockgate.trust.errors import UpdateMetadataError

SEARCH_LIMIT = 32
"""Most roles that the search for one target reads."""

_DER, _SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
_S = TypeVar("_S", Root, Timestamp, Snapshot, Targets)
_REFUSALS = (RepositoryError, DownloadError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class Edge:
    """One delegation: the delegating role and the role that it names."""

    delegator: str
    role: str


TOP = Edge(Root.type, Targets.type)
"""The delegation that every search starts from."""


class TrustedUpdates:
    """The trusted metadata of one repository during one update.

    The order of calls is that of the workflow: roots; what is remembered of timestamp and
    snapshot; the new timestamp; the new snapshot; roles, each after its delegator.

    Attributes:
        root: The newest root so far.

    """

    def __init__(self, root: bytes, at: datetime) -> None:
        """Start from a trusted root, which must be signed by itself.

        Args:
            root: Root metadata that the caller trusts.
            at: The moment that expiry is judged by, fixed for the whole update.

        Raises:
            UpdateMetadataError: Not a root, or not signed by its own threshold.

        """
        self._at = at
        metadata = _read(root, Root, Root.type)
        _demand_signed(metadata.signed, Root.type, metadata)
        self.root: Root = metadata.signed
        self._timestamp: Timestamp | None = None
        self._snapshot: Snapshot | None = None
        self._snapshot_is_final = False
        self._roles: dict[str, Metadata[Targets]] = {}
        self._edges: set[Edge] = set()

    @property
    def timestamp(self) -> Timestamp:
        """Return the trusted timestamp; demands that there is one."""
        if self._timestamp is None:
            raise UpdateMetadataError("There is no trusted timestamp yet.", role=Timestamp.type)
        return self._timestamp

    @property
    def snapshot(self) -> Snapshot:
        """Return the trusted snapshot of this update; demands that there is one."""
        if self._snapshot is None or not self._snapshot_is_final:
            raise UpdateMetadataError("There is no trusted snapshot yet.", role=Snapshot.type)
        return self._snapshot

    def accept_root(self, data: bytes) -> None:
        """Trust the next version of the root (5.3.4 to 5.3.6): signed by the old and by itself.

        Raises:
            UpdateMetadataError: Not the next version, or a threshold is not met.

        """
        if self._timestamp is not None:
            raise UpdateMetadataError("A root came after the timestamp.", role=Root.type)
        metadata = _read(data, Root, Root.type)
        _demand_signed(self.root, Root.type, metadata)
        if metadata.signed.version != self.root.version + 1:
            what = f"Root {metadata.signed.version} does not follow root {self.root.version}."
            raise UpdateMetadataError(what, role=Root.type)
        _demand_signed(metadata.signed, Root.type, metadata)
        self.root = metadata.signed

    def recall_timestamp(self, data: bytes) -> bool:
        """Load the timestamp that was trusted before, as the floor for the new one.

        Returns:
            Whether it counts: one that the present root's keys did not sign is forgotten, which
            is how a fast-forward is recovered from (5.3.11).

        Raises:
            UpdateMetadataError: Unreadable.

        """
        metadata = _read(data, Timestamp, Timestamp.type)
        if not _is_signed(self.root, Timestamp.type, metadata):
            return False
        self._timestamp = metadata.signed
        return True

    def accept_timestamp(self, data: bytes) -> bool:
        """Trust a timestamp (5.4).

        Returns:
            Whether it is newer; with an equal version what was trusted stays.

        Raises:
            UpdateMetadataError: The root or the timestamp is expired, it is not signed, or it goes back.

        """
        if self.root.is_expired(self._at):
            what = f"Root {self.root.version} is expired."
            raise UpdateMetadataError(what, role=Root.type)
        metadata = _read(data, Timestamp, Timestamp.type)
        _demand_signed(self.root, Timestamp.type, metadata)
        new, old = metadata.signed, self._timestamp
        if old is not None:
            _demand_not_older(new.version, old.version, Timestamp.type)
            if new.version == old.version:
                self._demand_unexpired(old, Timestamp.type)
                return False
            _demand_not_older(new.snapshot_meta.version, old.snapshot_meta.version, Snapshot.type)
        self._demand_unexpired(new, Timestamp.type)
        self._timestamp = new
        return True

    def recall_snapshot(self, data: bytes) -> bool:
        """Load the snapshot that was trusted before: a floor, or the present one if it still is.

        Returns:
            Whether it is the one that the timestamp names, so that none need be fetched.

        Raises:
            UpdateMetadataError: Unreadable.

        """
        metadata = _read(data, Snapshot, Snapshot.type)
        if not _is_signed(self.root, Snapshot.type, metadata):
            return False
        self._snapshot = metadata.signed
        named = self.timestamp.snapshot_meta
        self._snapshot_is_final = (
            metadata.signed.version == named.version
            and _matches(named, data)
            and not metadata.signed.is_expired(self._at)
        )
        return self._snapshot_is_final

    def accept_snapshot(self, data: bytes) -> None:
        """Trust the snapshot that the timestamp names (5.5).

        Raises:
            UpdateMetadataError: Another one, not signed, expired, or a role in it goes back or is gone.

        """
        named = self.timestamp.snapshot_meta
        _demand_match(named, data, Snapshot.type)
        metadata = _read(data, Snapshot, Snapshot.type)
        _demand_signed(self.root, Snapshot.type, metadata)
        new = metadata.signed
        for name, old in self._snapshot.meta.items() if self._snapshot is not None else ():
            if name not in new.meta:
                what = f"Snapshot {new.version} no longer lists {name}."
                raise UpdateMetadataError(what, role=Snapshot.type)
            _demand_not_older(new.meta[name].version, old.version, name.removesuffix(".json"))
        _demand_version(new.version, named.version, Snapshot.type)
        self._demand_unexpired(new, Snapshot.type)
        self._snapshot, self._snapshot_is_final = new, True

    def listed(self, role: str) -> MetaFile:
        """Return what the snapshot says of a targets role.

        Raises:
            UpdateMetadataError: The snapshot does not list it.

        """
        found = self.snapshot.meta.get(f"{role}.json")
        if found is None:
            what = f"The role {role!r} is delegated to, but the snapshot does not list it."
            raise UpdateMetadataError(what, role=role)
        return found

    def accept_role(self, data: bytes, edge: Edge) -> Targets:
        """Trust the metadata of a targets role for one delegation (5.6).

        Whether the bytes are fresh or were kept from before makes no difference: they must match
        the present snapshot and be signed as the present delegator demands.

        Raises:
            UpdateMetadataError: Not the listed one, not signed for this delegation, or expired.

        """
        listed = self.listed(edge.role)
        delegator = self.root if edge.delegator == Root.type else self.role(edge.delegator)
        _demand_match(listed, data, edge.role)
        metadata = _read(data, Targets, edge.role)
        _demand_signed(delegator, edge.role, metadata)
        _demand_version(metadata.signed.version, listed.version, edge.role)
        self._demand_unexpired(metadata.signed, edge.role)
        known = self._roles.get(edge.role)
        if known is not None and known.signed_bytes != metadata.signed_bytes:
            what = f"There are two different {edge.role!r} with version {listed.version}."
            raise UpdateMetadataError(what, role=edge.role)
        self._roles[edge.role] = metadata
        self._edges.add(edge)
        return metadata.signed

    def trusts(self, edge: Edge) -> bool:
        """Tell whether the role was verified for this very delegation."""
        return edge in self._edges

    def role(self, name: str) -> Targets:
        """Return a trusted targets role.

        Raises:
            UpdateMetadataError: It was not verified for any delegation yet.

        """
        if name not in self._roles:
            what = f"The role {name!r} is not verified yet."
            raise UpdateMetadataError(what, role=name)
        return self._roles[name].signed

    def search(self, path: str) -> Generator[Edge, None, TargetFile | None]:
        """Search for a target, depth first in order of delegation (5.6.7).

        Yields:
            Each delegation whose role has to be brought through `accept_role` before going on.

        Returns:
            What the most trusted role says of the target, or None when no role names it.

        Raises:
            UpdateMetadataError: More than `SEARCH_LIMIT` roles would have to be read, or the
                caller went on without the role.

        """
        todo, visited = [TOP], set[str]()
        while todo:
            edge = todo.pop()
            if edge.role in visited:
                continue
            if len(visited) == SEARCH_LIMIT:
                what = f"The search for {path[:120]!r} leads through more than {SEARCH_LIMIT} roles."
                raise UpdateMetadataError(what, limit="search")
            if not self.trusts(edge):
                yield edge
            if not self.trusts(edge):
                what = f"The role {edge.role!r} was not verified for {edge.delegator!r}."
                raise UpdateMetadataError(what, role=edge.role)
            role = self.role(edge.role)
            if path in role.targets:
                return role.targets[path]
            visited.add(edge.role)
            children, last = answering(role, path)
            if last:
                todo.clear()
            todo += [Edge(edge.role, child) for child in reversed(children)]
        return None

    def _demand_unexpired(self, signed: Signed, role: str) -> None:
        if signed.is_expired(self._at):
            what = f"The metadata of {role!r} expired on {signed.expires:%Y-%m-%d %H:%M:%S} UTC."
            raise UpdateMetadataError(what, role=role, field="$.signed.expires")


def answering(role: Targets, path: str) -> tuple[list[str], bool]:
    """Return the roles that a role delegates a path to, and whether the last one ends the search."""
    children: list[str] = []
    for name, terminating in role.delegations.get_roles_for_target(path) if role.delegations else ():
        children.append(name)
        if terminating:
            return children, True
    return children, False


def _read(data: bytes, kind: type[_S], role: str) -> Metadata[_S]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except _REFUSALS as error:
        what = f"The metadata of {role!r} is unreadable: {error}."
        raise UpdateMetadataError(what, role=role) from error
    if not isinstance(metadata.signed, kind):
        what = f"The metadata of {role!r} is of the type {metadata.signed.type!r}."
        raise UpdateMetadataError(what, role=role)
    return metadata


def _is_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> bool:
    """Tell whether enough keys signed. One key that is listed under several ids counts once."""
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        signed = {_identity(key) for key in result.signed.values()}
    except _REFUSALS as error:
        what = f"The signatures of {role!r} cannot be judged: {error}."
        raise UpdateMetadataError(what, role=role) from error
    return len(signed) >= result.threshold


def _identity(key: Key) -> str:
    """Return what makes two keys the same, whatever their type is called: the public half in one form."""
    public = str(key.keyval["public"])
    try:
        return load_pem_public_key(public.encode()).public_bytes(_DER, _SPKI).hex()
    except ValueError:  # a bare hexadecimal key
        return public.lower()


def _demand_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    if not _is_signed(delegator, role, metadata):
        what = f"The metadata of {role!r} lacks signatures of the keys that its delegator names."
        raise UpdateMetadataError(what, role=role)


def _matches(named: MetaFile, data: bytes) -> bool:
    try:
        named.verify_length_and_hashes(data)
    except _REFUSALS:
        return False
    return True


def _demand_match(named: MetaFile, data: bytes, role: str) -> None:
    if not _matches(named, data):
        what = f"The metadata of {role!r} has another length or digest than was signed for."
        raise UpdateMetadataError(what, role=role)


def _demand_not_older(new: int, old: int, role: str) -> None:
    if new < old:
        what = f"Version {new} of {role!r} is older than {old}, which was trusted before."
        raise UpdateMetadataError(what, role=role)


def _demand_version(found: int, named: int, role: str) -> None:
    if found != named:
        what = f"The metadata of {role!r} has version {found}, and {named} was signed for."
        raise UpdateMetadataError(what, role=role, field="$.signed.version")
