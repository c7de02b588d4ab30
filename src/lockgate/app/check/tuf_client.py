"""A client of The Update Framework: fetches, asks `TrustedUpdates`, and keeps what it trusted.

Every decision is `lockgate.trust.tuf_trust`'s; here are only the network and the folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.api.metadata import MetaFile, Root, Snapshot, TargetFile, Timestamp
from tuf.ngclient.fetcher import FetcherInterface

from lockgate.core.errors import HostError, InputError, TrustError
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.tuf_trust import TOP, Edge, TrustedUpdates

ROOTS_LIMIT = 256
"""Most new roots that one update follows."""

NAME_LIMIT = 180
"""Length of a local file name in characters from which on it ends in a digest."""

_GONE = frozenset({403, 404})
_PATH_SAFE = "/!$&'()*+,;=:@~%"  # RFC 3986, pchar; a target path may be percent-encoded already


class ClientFolderError(InputError):
    """The folder of trusted metadata cannot be used."""

    code = "LG-1f0b"
    advice = "Make it with `lockgate tuf-client --metadata-dir FOLDER init TRUSTED_ROOT`."


class TargetUnknownError(InputError):
    """No role of the repository names the target."""

    code = "LG-1f0c"
    advice = "Compare the target's path with what the repository publishes."


class TargetContentError(TrustError):
    """A target does not hash to what the signed metadata says."""

    code = "LG-2f0b"
    advice = "The repository or somebody on the way altered the file. Nothing was kept of it."


class UpdateFetchError(HostError):
    """The repository does not give a file."""

    code = "LG-5f0b"
    advice = "Check the address and whether the repository is complete."


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Longest metadata files in bytes; `signed` bounds what a signed length may ask for."""

    root: int = 512_000
    timestamp: int = 16_384
    snapshot: int = 2_000_000
    targets: int = 5_000_000
    signed: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """Where a client keeps trusted metadata, and where it fetches from.

    Attributes:
        folder: Trusted metadata, one file a role, without version in the name.
        metadata_url: Base address of the repository's metadata.
        target_url: Base address of its targets.

    """

    folder: Path
    metadata_url: str
    target_url: str = ""


def local_name(name: str, ending: str = "") -> str:
    """Return a role's name or target's path as one safe file name, different for different names."""
    quoted = quote(name, safe="")
    if len(quoted) >= NAME_LIMIT:
        quoted = f"{quoted[: NAME_LIMIT - 65]}-{sha256(name.encode()).hexdigest()}"
    return f"{quoted}{ending}" if f"{quoted}{ending}".strip(".") else "%2E" * len(quoted)


def init_client(folder: Path, trusted_root: Path, at: datetime) -> None:
    """Begin to trust a root; nothing is fetched.

    Raises:
        ClientFolderError: The root cannot be read or the folder not be written.
        UpdateMetadataError: It is not a root that signed itself.

    """
    with _folder_faults(trusted_root):
        root = trusted_root.read_bytes()
    TrustedUpdates(root, at)
    with _folder_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _keep(folder / "root.json", root)


class UpdateClient:
    """One update of one repository: refresh first, then any number of targets."""

    def __init__(
        self, places: Places, fetcher: FetcherInterface, at: datetime, limits: FetchLimits | None = None
    ) -> None:
        """Load the trusted root.

        Args:
            places: Folder and addresses.
            fetcher: Reads addresses.
            at: The moment that expiry is judged by, fixed for the whole update.
            limits: Longest files.

        Raises:
            ClientFolderError: There is no trusted root.
            UpdateMetadataError: It is not one.

        """
        self._places = places
        self._fetcher = fetcher
        self._limits = limits or FetchLimits()
        root = self._kept(Root.type)
        if root is None:
            what = f"There is no trusted root in {places.folder}."
            raise ClientFolderError(what)
        self._updates = TrustedUpdates(root, at)

    def refresh(self) -> None:
        """Update root, timestamp, snapshot and the top-level targets, keeping each as it is trusted.

        Raises:
            UpdateMetadataError: The repository's metadata is refused.
            UpdateFetchError: The repository does not give it.

        """
        self._refresh_root()
        self._refresh_timestamp()
        self._refresh_snapshot()
        self._load(TOP)

    def find(self, path: str) -> TargetFile:
        """Return what the repository says of a target, bringing delegated roles as needed.

        Raises:
            TargetUnknownError: Nothing.
            UpdateMetadataError, UpdateFetchError: A role on the way is refused or missing.

        """
        search = self._updates.search(path)
        try:
            while True:
                self._load(next(search))
        except StopIteration as end:
            found: TargetFile | None = end.value
        if found is None:
            what = f"The repository names no target {path[:120]!r}."
            raise TargetUnknownError(what)
        return found

    def download(self, path: str, folder: Path) -> Path:
        """Return a verified copy of a target below a folder; one that is there already is kept.

        Raises:
            TargetContentError: What came is not what was signed for.
            TargetUnknownError, UpdateMetadataError, UpdateFetchError: See `find`.

        """
        target = self.find(path)
        final = folder / local_name(path)
        with _folder_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if _is_already(final, target):
                return final
            with self._stream(self._target_url(target), target) as stream:
                _keep(final, stream)
        return final

    def _refresh_root(self) -> None:
        for _ in range(ROOTS_LIMIT):
            version = self._updates.root.version + 1
            try:
                data = self._fetch(f"{version}.{Root.type}", self._limits.root)
            except UpdateFetchError as error:
                if error.where.get("status") in _GONE:
                    return
                raise
            self._updates.accept_root(data)
            self._keep(Root.type, data)

    def _refresh_timestamp(self) -> None:
        kept = self._kept(Timestamp.type)
        if kept is not None:
            with suppress(UpdateMetadataError):  # what is unreadable is no floor
                self._updates.recall_timestamp(kept)
        data = self._fetch(Timestamp.type, self._limits.timestamp)
        if self._updates.accept_timestamp(data):
            self._keep(Timestamp.type, data)

    def _refresh_snapshot(self) -> None:
        kept = self._kept(Snapshot.type)
        if kept is not None:
            with suppress(UpdateMetadataError):  # what is unreadable is no floor
                if self._updates.recall_snapshot(kept):
                    return
        named = self._updates.timestamp.snapshot_meta
        name = self._versioned(Snapshot.type, named.version)
        data = self._fetch(name, self._longest(named, self._limits.snapshot))
        self._updates.accept_snapshot(data)
        self._keep(Snapshot.type, data)

    def _load(self, edge: Edge) -> None:
        """Bring a role's metadata: what was kept if it still holds for this delegation, or new one."""
        if self._updates.trusts(edge):
            return
        listed = self._updates.listed(edge.role)
        kept = self._kept(edge.role)
        if kept is not None:
            with suppress(UpdateMetadataError):  # outdated, or of another delegation
                self._updates.accept_role(kept, edge)
                return
        name = self._versioned(quote(edge.role, safe=""), listed.version)
        data = self._fetch(name, self._longest(listed, self._limits.targets))
        self._updates.accept_role(data, edge)
        self._keep(edge.role, data)

    def _longest(self, named: MetaFile, otherwise: int) -> int:
        return min(named.length or otherwise, self._limits.signed)

    def _versioned(self, name: str, version: int) -> str:
        return f"{version}.{name}" if self._updates.root.consistent_snapshot else name

    def _target_url(self, target: TargetFile) -> str:
        folder, slash, name = target.path.rpartition("/")
        if self._updates.root.consistent_snapshot:
            digest = target.hashes.get("sha256") or next(iter(target.hashes.values()))
            name = f"{digest}.{name}"
        return _below(self._places.target_url, quote(f"{folder}{slash}{name}", safe=_PATH_SAFE))

    def _fetch(self, name: str, limit: int) -> bytes:
        url = _below(self._places.metadata_url, f"{name}.json")
        with _fetch_faults(url):
            return self._fetcher.download_bytes(url, limit)

    @contextmanager
    def _stream(self, url: str, target: TargetFile) -> Iterator[IO[bytes]]:
        with _fetch_faults(url), self._fetcher.download_file(url, target.length) as stream:
            try:
                target.verify_length_and_hashes(stream)
            except (RepositoryError, ValueError) as error:
                what = f"The target {target.path[:120]!r} is not what was signed for: {error}."
                raise TargetContentError(what, url=url) from error
            stream.seek(0)
            yield stream

    def _kept(self, role: str) -> bytes | None:
        path = self._places.folder / local_name(role, ".json")
        with _folder_faults(path), suppress(FileNotFoundError):
            return path.read_bytes()
        return None

    def _keep(self, role: str, data: bytes) -> None:
        with _folder_faults(self._places.folder):
            _keep(self._places.folder / local_name(role, ".json"), data)


def _below(base: str, path: str) -> str:
    return f"{base.rstrip('/')}/{path}"


def _is_already(path: Path, target: TargetFile) -> bool:
    try:
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except (OSError, RepositoryError, ValueError):
        return False
    return True


def _keep(path: Path, data: bytes | IO[bytes]) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            while piece := data.read(1 << 20):
                file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _folder_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{path} cannot be used: {error.strerror or error}."
        raise ClientFolderError(what) from error


@contextmanager
def _fetch_faults(url: str) -> Iterator[None]:
    try:
        yield
    except DownloadLengthMismatchError as error:
        what = f"{url} is longer than was signed for or allowed."
        raise UpdateMetadataError(what, url=url) from error
    except DownloadHTTPError as error:
        what = f"The repository answered {error.status_code} for {url}."
        raise UpdateFetchError(what, status=error.status_code) from error
    except DownloadError as error:
        what = f"{url} cannot be fetched: {error}."
        raise UpdateFetchError(what) from error


def http_fetcher() -> FetcherInterface:
    """Return the fetcher over HTTP: 30 seconds a wait, never more bytes than asked for."""
    from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher  # noqa: PLC0415  # only when it is used

    return Urllib3Fetcher(app_user_agent="lockgate")
