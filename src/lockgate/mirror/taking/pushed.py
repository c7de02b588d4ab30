"""What clients pushed into open namespaces: internal, not admitted, and never part of a snapshot.

It lies in a store and in records of its own, beside the admitted content. Every change leaves an
intent and an outcome in the log. It is temporary until it was admitted like everything else.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, BinaryIO

from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.oci import OciManifest, is_digest, is_tag, parse_manifest
from lockgate.core.wire import Document, decode, encode
from lockgate.mirror.errors import BadPushError, NotPushedError, PushDigestError, PushLimitError
from lockgate.mirror.pages.oci import referrer
from lockgate.mirror.taking.sessions import PushLimits, Upload

if TYPE_CHECKING:
    from lockgate.mirror.ports import Journal
    from lockgate.store.ports import DiscardingBlobs, Records, Transaction

STATE = "internal, not admitted"
"""What every answer about pushed content says of it."""

REPOSITORIES = "pushed-repository"
MANIFESTS = "pushed-manifest"
BLOBS = "pushed-blob"
TAGS = "pushed-tag"
REFERRERS = "pushed-referrer"
USES = "pushed-use"
"""Who uses the bytes of a SHA-256: they are removed with the last use."""

_BINARY = "application/octet-stream"


class Held(Document, frozen=True):
    """Where content lies: its SHA-256 in the store, its length, its media type, what it refers to."""

    sha256: str
    size: int
    media_type: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ManifestPush:
    """A manifest as a client sent it: under a tag or digest, and under more tags."""

    repository: str
    reference: str
    body: bytes
    media_type: str
    tags: Sequence[str] = ()


class Pushed:
    """The content of open namespaces; one writer at a time.

    Args:
        records: Its own records.
        blobs: Its own store.
        journal: The log.
        limits: Bounds.

    """

    def __init__(
        self, records: "Records", blobs: "DiscardingBlobs", journal: "Journal", limits: PushLimits
    ) -> None:
        """Keep the parts; whoever writes calls `recover` first."""
        self._records = records
        self._blobs = blobs
        self._journal = journal
        self._limits = limits
        self._lock = RLock()
        self._bytes = 0

    def recover(self) -> None:
        """Count what is held, and remove the bytes that a killed server left without a use."""
        with self._records.transaction() as tx:
            used = {key.partition(" ")[0] for key, _ in tx.scan(USES)}
        self._blobs.sweep()
        self._bytes = 0
        for digest, size in list(self._blobs.digests()):
            if digest in used:
                self._bytes += size
            else:
                self._blobs.discard(digest)

    def held_bytes(self) -> int:
        """Return how many bytes the store holds."""
        return self._bytes

    def blob(self, repository: str, digest: str) -> Held | None:
        """Return where a repository's blob lies."""
        with self._records.transaction() as tx:
            return _get(tx, BLOBS, repository, digest)

    def manifest(self, repository: str, reference: str) -> tuple[str, Held] | None:
        """Return the digest that a tag or digest stands for, and where that manifest lies."""
        with self._records.transaction() as tx:
            tagged = tx.get(TAGS, f"{repository} {reference}") if is_tag(reference) else None
            digest = tagged.decode() if tagged else reference
            found = _get(tx, MANIFESTS, repository, digest) if is_digest(digest) else None
        return (digest, found) if found else None

    def repositories(self) -> list[str]:
        """Return the names of all repositories that something was ever pushed to."""
        with self._records.transaction() as tx:
            return [name for name, _ in tx.scan(REPOSITORIES)]

    def tags(self, repository: str) -> list[str] | None:
        """Return a repository's tags, sorted; `None` where nothing was ever pushed to it."""
        with self._records.transaction() as tx:
            if tx.get(REPOSITORIES, repository) is None:
                return None
            return [key.partition(" ")[2] for key, _ in tx.scan(TAGS, f"{repository} ")]

    def referrers(self, repository: str, subject: str) -> list[bytes]:
        """Return the manifests that refer to a subject, each as canonical JSON."""
        with self._records.transaction() as tx:
            return [value for _, value in tx.scan(REFERRERS, f"{repository} {subject} ")]

    def keep_blob(self, upload: Upload, digest: str, client: str) -> None:
        """Make a finished upload a blob of its repository.

        Raises:
            PushLimitError: There are too many repositories.
            StoreIoError, RecordsUnavailableError: The disk refused; nothing changed.

        """
        held = Held(sha256=upload.hashes["sha256"].hexdigest(), size=upload.size, media_type=_BINARY)
        facts = {"repository": upload.repository, "digest": digest, "size": upload.size, "client": client}
        with self._recorded("push blob", **facts), upload.file.open("rb") as stream:
            self._store(stream, held)
            with self._records.transaction() as tx:
                self._demand_repository(tx, upload.repository)
                _put(tx, BLOBS, upload.repository, digest, held)

    def mount(self, repository: str, digest: str, source: str | None, client: str) -> bool:
        """Make another repository's blob one of this repository too; tell whether there is such a blob.

        Without a source every repository of the open namespaces is looked at.
        """
        names = [source] if source else self.repositories()
        held = next((found for name in names if (found := self.blob(name, digest))), None)
        if held is None:
            return False
        facts = {"repository": repository, "digest": digest, "source": source or "any", "client": client}
        with self._recorded("mount blob", **facts), self._records.transaction() as tx:
            self._demand_repository(tx, repository)
            _put(tx, BLOBS, repository, digest, held)
        return True

    def keep_manifest(self, push: ManifestPush, client: str) -> tuple[str, OciManifest]:
        """Keep a manifest; return its digest and itself.

        Raises:
            BadPushError: No manifest, another media type than it says, or no reference.
            PushDigestError: It has another digest.
            PushLimitError: Too many repositories, manifests or tags.
            StoreIoError, RecordsUnavailableError: The disk refused; nothing changed.

        """
        manifest = _parsed(push)
        digest = _digest_for(push)
        tags = [*([] if is_digest(push.reference) else [push.reference]), *push.tags]
        if not all(map(is_tag, tags)):
            raise BadPushError("This cannot be a tag.")
        held = Held(
            sha256=sha256(push.body),
            size=len(push.body),
            media_type=manifest.kind,
            subject=manifest.subject.digest if manifest.subject else "",
        )
        facts = {"repository": push.repository, "digest": digest, "tags": tags, "client": client}
        with self._recorded("push manifest", **facts):
            self._store(io.BytesIO(push.body), held)
            with self._records.transaction() as tx:
                self._demand_repository(tx, push.repository)
                _put(tx, MANIFESTS, push.repository, digest, held)
                for tag in tags:
                    tx.put(TAGS, f"{push.repository} {tag}", digest.encode())
                if held.subject:
                    key = f"{push.repository} {held.subject} {digest}"
                    tx.put(REFERRERS, key, encode(referrer(manifest, digest, held.size)))
                _demand_few(tx, MANIFESTS, f"{push.repository} ", self._limits.manifests, "manifests")
                _demand_few(tx, TAGS, f"{push.repository} ", self._limits.tags, "tags")
        return digest, manifest

    def remove_manifest(self, repository: str, reference: str, client: str) -> None:
        """Remove a tag; or a manifest by its digest, with its tags.

        Raises:
            NotPushedError: There is none.

        """
        found = self.manifest(repository, reference)
        if found is None:
            raise NotPushedError("This repository has no such tag or manifest.")
        digest, held = found
        with self._recorded("remove manifest", repository=repository, reference=reference, client=client):
            with self._records.transaction() as tx:
                if not is_digest(reference):
                    tx.delete(TAGS, f"{repository} {reference}")
                    return
                for key, value in tx.scan(TAGS, f"{repository} "):
                    if value == digest.encode():
                        tx.delete(TAGS, key)
                tx.delete(REFERRERS, f"{repository} {held.subject} {digest}")
                _delete(tx, MANIFESTS, repository, digest, held)
            self._release(held)

    def remove_blob(self, repository: str, digest: str, client: str) -> None:
        """Remove a blob from a repository.

        Raises:
            NotPushedError: There is none.

        """
        held = self.blob(repository, digest)
        if held is None:
            raise NotPushedError("This repository has no such blob.")
        with self._recorded("remove blob", repository=repository, digest=digest, client=client):
            with self._records.transaction() as tx:
                _delete(tx, BLOBS, repository, digest, held)
            self._release(held)

    @contextmanager
    def _recorded(self, action: str, **facts: object) -> Iterator[None]:
        """Let one change happen at a time, between its intent and its outcome."""
        with self._lock:
            intent = self._journal.intent(f"oci {action}", state=STATE, **facts)
            try:
                yield
            except LockgateError as error:
                self._journal.outcome(intent, "refused", code=error.code, error=error.what)
                raise
            self._journal.outcome(intent, "done")

    def _store(self, stream: BinaryIO, held: Held) -> None:
        if not self._blobs.has(held.sha256):
            if self._bytes + held.size > self._limits.total_bytes:
                what = f"Internal namespaces hold at most {self._limits.total_bytes} bytes."
                raise PushLimitError(what, limit="total_bytes")
            self._blobs.put_stream(stream, expected=held.sha256, limit=max(held.size, 1))
            self._bytes += held.size

    def _release(self, held: Held) -> None:
        """Remove bytes that nobody uses any more; whoever reads them keeps the open file."""
        with self._records.transaction() as tx:
            used = next(iter(tx.scan(USES, f"{held.sha256} ")), None)
        if used is None and self._blobs.has(held.sha256):
            self._blobs.discard(held.sha256)
            self._bytes -= held.size

    def _demand_repository(self, tx: "Transaction", repository: str) -> None:
        if tx.get(REPOSITORIES, repository) is None:
            tx.put(REPOSITORIES, repository, STATE.encode())
            _demand_few(tx, REPOSITORIES, "", self._limits.repositories, "repositories")


def _parsed(push: ManifestPush) -> OciManifest:
    try:
        manifest = parse_manifest(push.body)
    except LockgateError as error:
        raise BadPushError(error.what) from error
    if push.media_type and push.media_type != manifest.kind:
        what = f"The manifest says that it is {manifest.kind}, the request says {push.media_type[:200]}."
        raise BadPushError(what)
    return manifest


def _digest_for(push: ManifestPush) -> str:
    """Return the digest that a manifest is kept under: the client's own, where it names one."""
    algorithm = push.reference.partition(":")[0] if is_digest(push.reference) else "sha256"
    digest = f"{algorithm}:{hashlib.new(algorithm, push.body).hexdigest()}"
    if ":" in push.reference and push.reference != digest:
        raise PushDigestError("The manifest has another digest.", expected=push.reference[:160])
    return digest


def _get(tx: "Transaction", collection: str, repository: str, digest: str) -> Held | None:
    value = tx.get(collection, f"{repository} {digest}")
    return decode(Held, value) if value else None


def _put(tx: "Transaction", collection: str, repository: str, digest: str, held: Held) -> None:
    tx.put(collection, f"{repository} {digest}", encode(held))
    tx.put(USES, f"{held.sha256} {collection} {repository} {digest}", b"")


def _delete(tx: "Transaction", collection: str, repository: str, digest: str, held: Held) -> None:
    tx.delete(collection, f"{repository} {digest}")
    tx.delete(USES, f"{held.sha256} {collection} {repository} {digest}")


def _demand_few(tx: "Transaction", collection: str, prefix: str, limit: int, name: str) -> None:
    """Demand that a collection has not grown over its bound; the transaction fails with it."""
    if sum(1 for _ in tx.scan(collection, prefix)) > limit:
        what = f"At most {limit} {name} are kept."
        raise PushLimitError(what, limit=name)
