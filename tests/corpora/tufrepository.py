"""A repository of The Update Framework in memory, to be changed by tests between a client's runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient.fetcher import FetcherInterface

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=60)
TOPS = ("targets", "snapshot", "timestamp", "root")
BASE = "http://repository.invalid"


@dataclass
class Repository:
    """Roles as they are, every version that was published, and what was asked for."""

    roles: dict[str, Metadata] = field(default_factory=dict)  # type: ignore[type-arg]
    keys: dict[str, list[CryptoSigner]] = field(default_factory=dict)
    published: dict[str, list[bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int | None]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    hashes: bool = False

    def __post_init__(self) -> None:
        for name, kind in (
            ("root", Root),
            ("timestamp", Timestamp),
            ("snapshot", Snapshot),
            ("targets", Targets),
        ):
            self.roles[name] = Metadata(kind(expires=FAR))
        for name in TOPS:
            self.add_key(name)
        self.publish(*TOPS, bump=False)

    @property
    def root(self) -> Root:
        return self.roles["root"].signed

    @property
    def timestamp(self) -> Timestamp:
        return self.roles["timestamp"].signed

    @property
    def snapshot(self) -> Snapshot:
        return self.roles["snapshot"].signed

    def targets(self, name: str = "targets") -> Targets:
        return self.roles[name].signed

    def add_key(self, role: str, signer: CryptoSigner | None = None, delegator: str = "root") -> CryptoSigner:
        new = signer or CryptoSigner.generate_ed25519()
        self.roles[delegator].signed.add_key(new.public_key, role)
        self.keys.setdefault(role, []).append(new)
        return new

    def rotate(self, role: str, delegator: str = "root") -> list[CryptoSigner]:
        """Replace the keys of a role by as many new ones; return the old ones."""
        old, self.keys[role] = self.keys[role], []
        for signer in old:
            self.roles[delegator].signed.revoke_key(signer.public_key.keyid, role)
            self.add_key(role, delegator=delegator)
        return old

    def publish(self, *roles: str, bump: bool = True) -> None:
        for name in roles:
            metadata = self.roles[name]
            if bump and name in self.published:
                metadata.signed.version += 1
            metadata.signatures.clear()
            for signer in self.keys[name]:
                metadata.sign(signer, append=True)
            data = metadata.to_bytes(JSONSerializer())
            self.published.setdefault(name, []).append(data)
            self.describe(name, data)

    def describe(self, name: str, data: bytes) -> None:
        """Say in snapshot or timestamp what was published of a role."""
        version = self.roles[name].signed.version
        meta = MetaFile.from_data(version, data, ["sha256"]) if self.hashes else MetaFile(version)
        if name == "snapshot":
            self.timestamp.snapshot_meta = meta
        elif name not in TOPS or name == "targets":
            self.snapshot.meta[f"{name}.json"] = meta

    def publish_all(self, *roles: str) -> None:
        """Publish roles, then snapshot and timestamp, which name them."""
        self.publish(*roles, "snapshot", "timestamp")

    def add_file(self, path: str, data: bytes, role: str = "targets", *algorithms: str) -> None:
        self.targets(role).targets[path] = TargetFile.from_data(path, data, [*algorithms] or ["sha256"])
        self.files[path] = data

    def delegate(
        self,
        delegator: str,
        name: str,
        paths: list[str] | None = None,
        *,
        terminating: bool = False,
        prefixes: list[str] | None = None,
        signer: CryptoSigner | None = None,
    ) -> None:
        known = paths if prefixes is None else None
        role = DelegatedRole(
            name, [], 1, terminating, known or (None if prefixes else ["*", "*/*"]), prefixes
        )
        owner = self.targets(delegator)
        owner.delegations = owner.delegations or Delegations({}, {})
        owner.delegations.roles[name] = role  # type: ignore[index]
        self.roles.setdefault(name, Metadata(Targets(expires=FAR)))
        self.add_key(name, signer, delegator)

    def bins(self, delegator: str, bits: int, prefix: str) -> list[str]:
        signer = CryptoSigner.generate_ed25519()
        bins = SuccinctRoles([], 1, bits, prefix)
        self.targets(delegator).delegations = Delegations({}, None, bins)
        self.targets(delegator).add_key(signer.public_key)
        names = list(bins.get_roles())
        for name in names:
            self.roles[name] = Metadata(Targets(expires=FAR))
            self.keys[name] = [signer]
        return names

    def answer(self, path: str) -> bytes:
        """Return what an address below the base serves; KeyError or IndexError: nothing."""
        kind, _, rest = path.partition("/")
        if kind == "targets":
            self.fetched.append(rest)
            folder, slash, name = rest.rpartition("/")
            digest, _, plain = name.partition(".") if self.root.consistent_snapshot else ("", "", name)
            found = unquote(f"{folder}{slash}{plain}")
            named = [r.signed.targets for r in self.roles.values() if isinstance(r.signed, Targets)]
            if digest and not any(digest in t[found].hashes.values() for t in named if found in t):
                raise KeyError(rest)
            return self.files[found]
        name = rest.removesuffix(".json")
        if name == "timestamp" or (not self.root.consistent_snapshot and not name.endswith(".root")):
            self.asked.append((unquote(name), None))
            return self.published[unquote(name)][-1]
        number, _, role = name.partition(".")
        self.asked.append((role, int(number)))
        # By place, not by what the metadata says of itself.
        return self.published[unquote(role)][int(number) - 1]


class MemoryFetcher(FetcherInterface):
    """Asks a repository in memory, by the addresses that a client would ask over the network."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            data = self.repository.answer(urlsplit(url).path.removeprefix("/"))
        except (KeyError, IndexError) as error:
            raise DownloadHTTPError("not found", 404) from error
        return iter([data[i : i + 1000] for i in range(0, len(data), 1000)])


__all__ = ["BASE", "FAR", "NOW", "MemoryFetcher", "Repository"]
