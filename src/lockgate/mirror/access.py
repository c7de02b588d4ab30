"""Who may read what: callers by their API keys, and for each set of labels a world of its own.

A caller who may not see an artifact is answered as if it had never crossed: from a table that is made of
what they may see alone, its indexes, searches and checksums included. So no answer tells of anything
hidden, and no handler has to think of it. Who sees everything is answered from the signed table itself.
"""

import asyncio
import base64
import binascii
import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lockgate.core.artifact import Kind
from lockgate.core.digests import checked
from lockgate.core.parts import parts_of
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.mirror.entries import Table
from lockgate.mirror.errors import CredentialsError
from lockgate.mirror.pages.base import ReadBlob
from lockgate.mirror.ports import BlobFiles
from lockgate.mirror.service import generate_pages
from lockgate.mirror.spread.labels import Labels
from lockgate.mirror.tables import build_table

WORLDS_LIMIT = 16
"""How many worlds are kept beside the whole one; beyond it the one unused longest is made anew."""

HEADER_LIMIT = 1024
"""Longest ``Authorization`` header that is read, in characters."""

ANONYMOUS_TOKEN = "anonymous"  # noqa: S105  # what a registry's client is given that has no key
PUSH = "push:"
"""Begins the label by which a key may write into an open namespace: ``push:team/images``."""

INTERNAL = "internal"
"""The label of what was pushed and not admitted."""


_SIGNED = frozenset({Kind.APT, Kind.RPM})
"""Kinds whose repositories the lane's key signs."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of their key, empty without one, and the labels that they may see."""

    name: str
    labels: frozenset[str]

    def may_push(self, namespace: str) -> bool:
        """Tell whether the caller may write into an open namespace."""
        return f"{PUSH}{namespace}" in self.labels


class Callers(ABC):
    """Knows callers by the secret of their API key."""

    @abstractmethod
    def find(self, secret: str) -> Caller | None:
        """Return whose key it is, or None: malformed, unknown, removed."""


class CertifiedCallers(ABC):
    """Knows callers by the certificate that their connection showed."""

    @abstractmethod
    def find(self, certificate: bytes) -> Caller | None:
        """Return who holds a certificate (DER), with the labels granted; None: nothing is granted to them.

        Raises:
            CredentialsError: The certificate has ended, was revoked, or its holder is shut out.

        """


CALLER: ContextVar[Caller | None] = ContextVar("lockgate-mirror-caller", default=None)
"""Who asks this request; None where everybody may read everything."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of reading.

    Args:
        callers: Knows API keys.
        anonymous: Labels that whoever connects may see; where clients need a certificate, whoever has one.
        namespaces: Beginnings of package URLs, each with a label that is needed as well.
        read: Reads a blob by its digest, hashed; for making pages.
        certified: Knows holders of certificates; none: a certificate stands for nobody in particular.

    """

    callers: Callers
    anonymous: frozenset[str]
    namespaces: tuple[tuple[str, str], ...]
    read: ReadBlob
    certified: CertifiedCallers | None = None

    def caller(self, authorization: str | None, certificate: bytes | None = None) -> Caller:
        """Return who a request proves to come from: by a key where it brings one, else by a certificate.

        Args:
            authorization: The request's header.
            certificate: What its connection showed (DER).

        Raises:
            CredentialsError: Neither came and nobody may read without, or they prove nobody.

        """
        secret = secret_of(authorization)
        if secret is None or secret == ANONYMOUS_TOKEN:
            found = self.certified.find(certificate) if self.certified and certificate else None
            if found is None and not self.anonymous:
                raise CredentialsError("This mirror asks for an API key.")
            found = found or Caller("", frozenset())
        else:
            found = self.callers.find(secret)
        if found is None:
            raise CredentialsError("The credentials are not those of an API key on record.")
        return replace(found, labels=found.labels | self.anonymous)

    def sees(self, purl: str, label: str, labels: Collection[str]) -> bool:
        """Tell whether somebody with some labels may see an artifact."""
        return label in labels and all(
            need in labels for start, need in self.namespaces if purl.startswith(start)
        )

    def visible(self, admitted: Sequence[Admitted], labels: Collection[str]) -> tuple[Admitted, ...]:
        """Return what of a snapshot somebody may see.

        Repositories for apt and dnf are seen whole or not at all: the lane's key signs their lists.
        """
        admitted = tuple(admitted)  # of a snapshot in parts each is read when its turn comes, and this once
        shown = [self.sees(a.artifact.purl, a.artifact.label, labels) for a in admitted]
        hidden = {_repository(a) for a, seen in zip(admitted, shown, strict=True) if not seen}
        return tuple(
            a
            for a, seen in zip(admitted, shown, strict=True)
            if seen and not (_repository(a) and _repository(a) in hidden)
        )


def _repository(entry: Admitted) -> str:
    """Return the repository of packages that an artifact is of (``apt/debian``); empty: of none."""
    if entry.artifact.kind not in _SIGNED or not entry.artifact.files:
        return ""
    return "/".join(entry.artifact.files[0].path.split("/")[:2])


def secret_of(authorization: str | None) -> str | None:
    """Return the secret in an ``Authorization`` header: a bearer's, or the password of whatever user.

    Raises:
        CredentialsError: The header is malformed.

    """
    if authorization is None:
        return None
    scheme, _, rest = authorization[: HEADER_LIMIT + 1].partition(" ")
    rest = rest.strip()
    if len(authorization) > HEADER_LIMIT or not rest:
        raise CredentialsError("The credentials are malformed.")
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() != "basic":
        raise CredentialsError("The credentials are of a kind that is not known here.")
    try:
        user, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialsError("The credentials are malformed.") from error
    if not colon:
        raise CredentialsError("The credentials are malformed.")
    return password or user  # some clients have room for one word only


def uploader(callers: Callers, authorization: str | None) -> Caller:
    """Return who a header proves to upload.

    Raises:
        CredentialsError: Nobody.

    """
    secret = secret_of(authorization)
    found = callers.find(secret) if secret else None
    if found is None:
        raise CredentialsError("An upload needs an API key.")
    return found


def may_bring(words: Sequence[str], kind: str, caller: Caller, name: str) -> bool:
    """Tell whether a caller may upload something of a name.

    Args:
        words: Names that are open; one that ends with ``*`` stands for all that begin so.
        kind: What begins the label that a key needs, before the very word: ``push:pypi/team-*``.
        caller: Who asks.
        name: The name.

    """
    return any(
        f"{PUSH}{kind}/{word}" in caller.labels
        and (name.startswith(word[:-1]) if word.endswith("*") else name == word)
        for word in words
    )


class Worlds:
    """The tables of those who do not see everything, each made once for a snapshot and a set of labels."""

    def __init__(self, access: Access, folder: Path) -> None:
        """Keep nothing yet; pages that are made lie in a folder."""
        self._access = access
        self._folder = folder
        self._tables: OrderedDict[tuple[str, frozenset[str]], asyncio.Task[Table]] = OrderedDict()
        self._labels: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._by_part = Labels()

    async def table(self, whole: Table, labels: frozenset[str]) -> Table:
        """Return what somebody with some labels is answered from instead of a whole table."""
        known = await self._known(whole)
        wanted = labels & known
        if wanted == known:  # nothing is hidden from them
            return whole
        key = (whole.statement.snapshot_sha256, wanted)
        task = self._tables.get(key)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(self._make, whole, wanted))
            self._tables[key] = task
            while len(self._tables) > WORLDS_LIMIT:
                self._tables.popitem(last=False)
        self._tables.move_to_end(key)
        try:
            made = await asyncio.shield(task)
        except Exception:
            self._tables.pop(key, None)
            raise
        if made.statement == whole.statement:
            return made
        return replace(made, statement=whole.statement, repository=made.repository and whole.repository)

    async def _known(self, whole: Table) -> frozenset[str]:
        """Return the labels that make a difference; a snapshot is gone through once for them."""
        digest = whole.statement.snapshot_sha256
        known = self._labels.get(digest)
        if known is None:
            named = {need for _, need in self._access.namespaces}
            known = frozenset(named) | await asyncio.to_thread(self._labels_of, whole.snapshot)
            self._labels[digest] = known
            while len(self._labels) > WORLDS_LIMIT:
                self._labels.popitem(last=False)
        return known

    def _labels_of(self, snapshot: Snapshot) -> frozenset[str]:
        parts = parts_of(snapshot)
        if parts is not None:
            return self._by_part.of(parts)
        return frozenset(each.artifact.label for each in snapshot.admitted)

    def _make(self, whole: Table, labels: frozenset[str]) -> Table:
        seen = self._access.visible(whole.snapshot.admitted, labels)
        if len(seen) == len(whole.snapshot.admitted):
            return whole
        pages = generate_pages(seen, self._access.read)
        for page in pages:
            self._keep(page.generated().sha256, page.body)
        snapshot = msgspec.structs.replace(
            whole.snapshot, admitted=seen, generated=tuple(page.generated() for page in pages)
        )
        signed = any(a.artifact.kind in _SIGNED for a in seen)
        return build_table(whole.statement, snapshot, whole.repository if signed else None)

    def _keep(self, digest: str, body: bytes) -> None:
        file = self._folder / digest
        if not file.is_file():
            partial = file.with_suffix(".partial")
            partial.write_bytes(body)
            partial.replace(file)


class PagesBeside:
    """Where blobs lie: pages that this mirror made itself in a folder of its own, others where they are."""

    def __init__(self, files: BlobFiles) -> None:
        """Begin with an empty folder that goes with the process."""
        self._files = files
        self.folder = Path(tempfile.mkdtemp(prefix="lockgate-worlds-"))
        self._end = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, digest: str) -> Path:
        """Return the path of a blob's file."""
        own = self.folder / checked(digest)
        return own if own.is_file() else self._files.path(digest)

    def close(self) -> None:
        """Remove the folder."""
        self._end()
