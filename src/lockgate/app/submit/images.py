"""Images that were pushed into an open namespace, on their way to the gate, with what refers to them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from packageurl import PackageURL

from lockgate.app.high.internal import held_pushed
from lockgate.app.settings import Side
from lockgate.app.submit.making import Offer, UnknownSubmissionError
from lockgate.collect.errors import CollectLimitError
from lockgate.collect.oci.service import COSIGN_TAGS, MANIFESTS_LIMIT
from lockgate.collect.ports import Limits
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.oci import Descriptor, is_digest, is_tag, parse_manifest
from lockgate.core.submission import INSIDE
from lockgate.store import FileBlobs
from lockgate.store.errors import BlobTooLargeError

if TYPE_CHECKING:
    from lockgate.mirror.taking.pushed import Held, Pushed

_PREFIX = "sha256:"


def make_image(side: Side, offer: Offer, limits: Limits) -> Artifact:
    """Bring a pushed image into quarantine, and return the artifact that it is.

    It is admitted under a name of its own (``inside/team/app``): what clients push to stays what it is, a
    place that anybody with a key may change.

    Raises:
        UnknownSubmissionError: No such image was pushed, no tag names it, or a part of it is absent.
        CollectLimitError: It has too many manifests, or a file is too large.
        BadManifestError, StoreIoError: It cannot be carried, or the disk refused.

    """
    pushed = held_pushed(side)
    repository, reference = _parts(offer.image)
    found = pushed.manifest(repository, reference) if pushed and reference else None
    if pushed is None or found is None or not found[0].startswith(_PREFIX):
        what = f"No image {offer.image[:200]!r} is held in an open namespace under a SHA-256."
        raise UnknownSubmissionError(what, advice="`lockgate mirror pushed` lists what was pushed.")
    tags = [t for t in pushed.tags(repository) or () if (m := pushed.manifest(repository, t)) and m == found]
    if not tags:
        what = f"No tag names {offer.image[:200]!r} any more."
        raise UnknownSubmissionError(what, advice="Push it with a tag.")
    taking = _Taking(pushed, repository, side, limits)
    taking.whole(found[0], found[1])
    return _artifact(offer, repository, found[0], tags, taking.held)


def _parts(image: str) -> tuple[str, str]:
    """Return repository and digest or tag of a reference; no reference where it is malformed."""
    repository, at, digest = image.partition("@")
    if at:
        return repository, digest if is_digest(digest) else ""
    repository, _, tag = image.rpartition(":")
    return repository, tag if is_tag(tag) else ""


class _Taking:
    """What one digest leads to, copied from the open namespace into quarantine, hashed on the way."""

    def __init__(self, pushed: "Pushed", repository: str, side: Side, limits: Limits) -> None:
        self._pushed = pushed
        self._repository = repository
        self._from = FileBlobs(side.home.internal / "blobs")
        self._to = FileBlobs(side.home.quarantine)
        self._limits = limits
        self.held: dict[str, tuple[Role, int]] = {}

    def whole(self, digest: str, held: "Held") -> None:
        """Take a manifest with all that it lists, and all that refers to any of it."""
        waiting = [(digest, held)]
        while waiting:
            current, lies = waiting.pop()
            if lies.sha256 in self.held:
                continue
            if sum(role is Role.MANIFEST for role, _ in self.held.values()) >= MANIFESTS_LIMIT:
                what = f"An image of {self._repository} has more than {MANIFESTS_LIMIT} manifests."
                raise CollectLimitError(what, limit="MANIFESTS_LIMIT")
            self._copy(lies, Role.MANIFEST)
            manifest = parse_manifest(self._to.read(lies.sha256))
            for blob in manifest.blobs():
                if not blob.urls:
                    layer = self._pushed.blob(self._repository, blob.digest)
                    self._copy(self._demand(layer, blob), Role.BLOB)
            listed = [self._listed(entry) for entry in manifest.manifests or ()]
            waiting += [*listed, *self._referrers(current)]

    def _listed(self, entry: Descriptor) -> tuple[str, "Held"]:
        found = self._pushed.manifest(self._repository, entry.digest)
        return entry.digest, self._demand(found[1] if found else None, entry)

    def _referrers(self, digest: str) -> Iterator[tuple[str, "Held"]]:
        """Yield what refers to a manifest: by its subject, by the tag that replaces it, by cosign's tags."""
        for listed in self._pushed.referrers(self._repository, digest):
            yield from self._named(_digest_of(listed))
        tag = digest.replace(":", "-")
        for name in (tag, *(f"{tag}.{end}" for end in COSIGN_TAGS)):
            yield from self._named(name)

    def _named(self, reference: str) -> Iterator[tuple[str, "Held"]]:
        found = self._pushed.manifest(self._repository, reference)
        if found:
            yield found

    def _demand(self, held: "Held | None", wanted: Descriptor) -> "Held":
        if held is None or held.size != wanted.size or not wanted.sha256:
            what = f"The image of {self._repository} lacks {wanted.digest[:19]}, or has it in another form."
            raise UnknownSubmissionError(what, advice="Push the whole image, with digests of SHA-256.")
        return held

    def _copy(self, held: "Held", role: Role) -> None:
        if not self._to.has(held.sha256):
            try:
                with self._from.open(held.sha256) as stream:
                    self._to.put_stream(stream, expected=held.sha256, limit=self._limits.file_bytes)
            except BlobTooLargeError as error:
                what = f"A part of {self._repository} has more than {self._limits.file_bytes} bytes."
                raise CollectLimitError(what, limit="file_bytes") from error
        self.held.setdefault(held.sha256, (role, held.size))


def _digest_of(listed: bytes) -> str:
    return msgspec.json.decode(listed, type=Descriptor).digest


def _artifact(
    offer: Offer, repository: str, digest: str, tags: list[str], held: dict[str, tuple[Role, int]]
) -> Artifact:
    """Return the artifact, laid out as one that crossed."""
    name, root = f"{INSIDE}/{repository}", digest.removeprefix(_PREFIX)
    purl = PackageURL(
        type="oci",
        name=name.rpartition("/")[2],
        version=digest,
        qualifiers={"repository_url": name},
    )
    return Artifact(
        purl=purl.to_string(),
        kind=Kind.OCI,
        name=name,
        version=digest,
        files=tuple(
            ArtifactFile(path=f"oci/{name}/{root}/{each}", role=role, size=size, sha256=each)
            for each, (role, size) in sorted(held.items())
        ),
        licence=offer.licence,
        label=offer.label,
        attributes={"tags": " ".join(sorted(tags))},
    )
