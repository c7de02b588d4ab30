"""Manifests and configurations of an image: whether they agree with what is there, and what they run."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.core.oci import Descriptor, OciManifest, parse_manifest
from lockgate.core.verdict import Finding, Severity
from lockgate.inspect.images.model import ImageOf, LayerOf, Structure
from lockgate.inspect.inspectors import image_configs
from lockgate.inspect.tally import printable

READ = "lockgate.inspect.images.structure:read"

_CONFIGS = frozenset({
    "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json",
})  # fmt: skip
LAYERS = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}
"""Media types of layers → how they are packed."""

_PLAIN = re.compile(r"application/json|text/[\w.+-]+|[\w./+-]+\+json")
"""Media types of attached documents that inspection reads by what they are."""

_MOST_FINDINGS = 200


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told beside the root manifest: the files by digest, and the short ones' content."""

    root: str
    sizes: dict[str, int]
    manifests: tuple[str, ...]
    blobs: dict[str, bytes]


def read(data: memoryview, args: bytes) -> bytes:
    """Read an artifact's manifests and configurations together: the entry that the sandbox runs."""
    del data
    given = msgspec.json.decode(args, type=Given)
    return msgspec.json.encode(_Reader(given).structure())


class _Reader:
    """Walks everything that an artifact's manifests name, once."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._named = {given.root}
        self._images: list[ImageOf] = []
        self._findings: dict[str, list[Finding]] = {}
        self._incomplete: dict[str, list[Finding]] = {}

    def structure(self) -> Structure:
        """Return what was read."""
        for digest in self._given.manifests:
            try:
                manifest = parse_manifest(self._given.blobs.get(digest, b""))
            except LockgateError as error:
                self._unfinished(digest, "oci-manifest", error.what)
                continue
            self._one(digest, manifest)
        for digest in sorted(self._given.sizes.keys() - self._named):
            if digest not in self._given.manifests or not self._refers(digest):
                self._note(digest, "oci-unreferenced", Severity.MEDIUM, "No manifest of the image names it.")
        return Structure(tuple(self._images), _frozen(self._findings), _frozen(self._incomplete))

    def _refers(self, digest: str) -> bool:
        """Tell whether a manifest that nothing names refers to one that is there, or signs as cosign does."""
        try:
            manifest = parse_manifest(self._given.blobs.get(digest, b""))
        except LockgateError:
            return True  # it is named as unread already
        attached = manifest.subject is not None and manifest.subject.sha256 in self._given.sizes
        return attached or any(_is_attached(layer.media_type) for layer in manifest.layers)

    def _one(self, digest: str, manifest: OciManifest) -> None:
        for entry in manifest.manifests or ():
            self._agree(digest, entry, needed=False)
        for blob in manifest.blobs():
            self._agree(digest, blob, needed=not blob.urls)
        if manifest.is_index:
            return
        config = manifest.config
        if config is not None and config.media_type in _CONFIGS:
            self._image(digest, manifest, config)
            return
        for blob in manifest.blobs():
            if not _is_attached(blob.media_type) and not _PLAIN.fullmatch(blob.media_type):
                self._unknown(blob)

    def _agree(self, digest: str, named: Descriptor, *, needed: bool) -> None:
        """Hold a descriptor against the file that it names."""
        found = named.sha256
        self._named.add(found)
        size = self._given.sizes.get(found)
        if size is None:
            if needed:
                why = f"It names {named.digest[:19]} ({named.media_type[:60]}), which is not there."
                self._unfinished(digest, "oci-missing", why)
        elif size != named.size:
            why = f"It says that {named.digest[:19]} has {named.size} bytes, and it has {size}."
            self._note(digest, "oci-size", Severity.HIGH, why)

    def _image(self, digest: str, manifest: OciManifest, config: Descriptor) -> None:
        said = self._config(config.sha256)
        diffs = _strings(_object(said.get("rootfs")).get("diff_ids"))
        for layer in manifest.layers:
            if layer.media_type not in LAYERS:
                self._unknown(layer)
        if len(diffs) != len(manifest.layers):
            why = (
                f"The configuration speaks of {len(diffs)} layers, the manifest names {len(manifest.layers)}."
            )
            self._note(digest, "oci-layers-differ", Severity.HIGH, why)
        padded = [*diffs, *[""] * len(manifest.layers)]
        layers = [
            LayerOf(layer.sha256, layer.media_type, diff)
            for layer, diff in zip(manifest.layers, padded, strict=False)
        ]
        self._images.append(ImageOf(digest, tuple(layers)))
        self._runs(config.sha256, said)

    def _config(self, digest: str) -> Mapping[str, Any]:
        raw = self._given.blobs.get(digest)
        try:
            found = json.loads(raw) if raw is not None else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._unfinished(
                digest, "oci-config", "The configuration is missing, too long or cannot be read."
            )
            return {}
        return found

    def _runs(self, digest: str, said: Mapping[str, Any]) -> None:
        """Note what runs when a container starts, in one view."""
        for code, severity, why in image_configs.starts(said):
            self._note(digest, code, severity, why)

    def _unknown(self, blob: Descriptor) -> None:
        why = f"Nobody here reads what is called {blob.media_type[:100]}."
        self._unfinished(blob.sha256, "oci-media-type", why)

    def _note(self, digest: str, code: str, severity: Severity, why: str) -> None:
        notes = self._findings.setdefault(digest, [])
        if len(notes) < _MOST_FINDINGS:
            notes.append(Finding(code=code, severity=severity, where=digest[:12], why=printable(why)))

    def _unfinished(self, digest: str, code: str, why: str) -> None:
        notes = self._incomplete.setdefault(digest, [])
        if len(notes) < _MOST_FINDINGS:
            notes.append(Finding(code=code, severity=Severity.INFO, where=digest[:12], why=printable(why)))


def _is_attached(media_type: str) -> bool:
    """Tell whether a media type is one of what is attached to images and read elsewhere: signatures."""
    return media_type.startswith((
        "application/vnd.dev.cosign.", "application/vnd.dev.sigstore.bundle", "application/vnd.in-toto",
        "application/vnd.oci.empty.v1",
    ))  # fmt: skip


def _frozen(found: Mapping[str, list[Finding]]) -> dict[str, tuple[Finding, ...]]:
    return {digest: tuple(notes) for digest, notes in found.items()}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [item for item in value[:10_000] if isinstance(item, str)] if isinstance(value, list) else []
