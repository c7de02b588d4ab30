"""Names and manifests of container registries, as both sides of the gap read them. Pure.

Sources: OCI distribution specification 1.1 (names, tags, digests), OCI image specification 1.1
(manifests, indexes, descriptors), Docker image manifest version 2, schema 2, which has the same
members under other media types.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from lockgate.core.errors import InputError, TooLargeError

MANIFEST_LIMIT = 4 * 1024 * 1024
"""Longest manifest that is read, in bytes: what every registry takes (distribution spec)."""

SIZE_LIMIT = (1 << 63) - 1
"""Largest content that a descriptor may announce, in bytes: an int64 (OCI image specification)."""

NAME_LIMIT = 255
"""Longest name of a repository, in characters."""

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = (IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST)

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# RFC 6838, section 4.2: what may stand in a Content-Type header without any quoting.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)
_SHA256 = "sha256:"


class BadManifestError(InputError):
    """Bytes are not a manifest that registries serve."""

    code = "LG-1009"
    advice = "Only OCI image manifests and indexes, and Docker's version 2, schema 2, can be carried."


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a manifest says of content that it refers to; members that are not named here are passed over."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] | None = None
    platform: Mapping[str, object] | None = None
    urls: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Return the hexadecimal SHA-256; empty where the digest is of another kind."""
        return self.digest.removeprefix(_SHA256) if self.digest.startswith(_SHA256) else ""


class OciManifest(msgspec.Struct, frozen=True, rename="camel"):
    """An image manifest or an index, whichever it is."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] | None = None

    @property
    def is_index(self) -> bool:
        """Tell whether it lists manifests."""
        return self.manifests is not None

    @property
    def kind(self) -> str:
        """Return the media type: its own word, or what its members show (older images leave it out)."""
        return self.media_type or (INDEX if self.is_index else IMAGE)

    @property
    def described_as(self) -> str:
        """Return the artifact type by which referrers are found (distribution spec, "Listing Referrers")."""
        return self.artifact_type or (self.config.media_type if self.config else "")

    def blobs(self) -> Iterator[Descriptor]:
        """Yield configuration and layers."""
        if self.config:
            yield self.config
        yield from self.layers


def parse_manifest(data: bytes) -> OciManifest:
    """Read a manifest or index.

    Raises:
        TooLargeError: Longer than `MANIFEST_LIMIT`.
        BadManifestError: Not one, or one that names digests or media types that are none.

    """
    if len(data) > MANIFEST_LIMIT:
        what = f"A manifest of {len(data)} bytes is longer than {MANIFEST_LIMIT}."
        raise TooLargeError(what, limit="MANIFEST_LIMIT")
    try:
        manifest = msgspec.json.decode(data, type=OciManifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"This is no manifest: {error}."
        raise BadManifestError(what) from error
    named = [
        *manifest.blobs(),
        *(manifest.manifests or ()),
        *([manifest.subject] if manifest.subject else []),
    ]
    wrong = next((d for d in named if not is_digest(d.digest) or not 0 <= d.size <= SIZE_LIMIT), None)
    types = [manifest.kind, *filter(None, (manifest.artifact_type, *(d.media_type for d in named)))]
    if manifest.schema_version != 2 or wrong or not all(map(is_media_type, types)):  # noqa: PLR2004 - the schema
        what = "This manifest is of another schema, or names a digest or media type that is none."
        raise BadManifestError(what, digest=wrong.digest[:80] if wrong else None)
    if not manifest.is_index and manifest.config is None:
        what = "This manifest has neither a configuration nor a list of manifests."
        raise BadManifestError(what)
    return manifest


def is_name(text: str) -> bool:
    """Tell whether a text can name a repository."""
    return len(text) <= NAME_LIMIT and _NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether a text can be a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of a registered kind."""
    return _DIGEST.fullmatch(text) is not None


def is_media_type(text: str) -> bool:
    """Tell whether a text is a media type without parameters."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def host_folder(host: str) -> str:
    """Return how a registry's host stands in a repository's name: a port's colon is an underscore."""
    return host.lower().replace(":", "_")
