"""What a submission is visibly made of: the layers that an image begins with, the model that one names."""

import json
import re
from collections.abc import Iterator, Sequence

from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.oci import MANIFEST_LIMIT, parse_manifest
from lockgate.store import BlobStore

CARD_LIMIT = 1 << 20
"""Longest file of a model that is read for the name of its base, in bytes."""

BASES_LIMIT = 8
"""Most names of bases that are read out of one model."""

_ADAPTER, _CARD = "adapter_config.json", "readme.md"
_BASE = re.compile(r"^base_model:[ \t]*(?P<one>[^\n#]*)\n(?P<more>(?:[ \t]*-[ \t]+[^\n]*\n)*)", re.MULTILINE)


def found_bases(made: Artifact, known: Sequence[Artifact], blobs: BlobStore) -> list[str]:
    """Return the package URLs of what is known here and visibly went into a submission.

    An image goes back to the ones whose layers its own begin with (the longest such beginning); a model to
    those that its card or its adapter's settings name. What only claims to be made of something unknown is
    passed over: whoever submits it names it.
    """
    if made.kind is Kind.OCI:
        return _images(made, [a for a in known if a.kind is Kind.OCI and a.purl != made.purl], blobs)
    if made.kind is Kind.MODEL:
        names = set(_named(made, blobs))
        newest = {a.name: a.purl for a in known if a.kind is Kind.MODEL and a.purl != made.purl}
        return [purl for name, purl in newest.items() if name in names]
    return []


def _images(made: Artifact, known: Sequence[Artifact], blobs: BlobStore) -> list[str]:
    own = [layers for layers in _layers(made, blobs) if layers]
    firsts = {layers[0] for layers in own}
    longest: dict[int, list[str]] = {}
    for other in known:
        if firsts.isdisjoint(file.sha256 for file in other.files):
            continue
        begun = [
            len(theirs)
            for theirs in _layers(other, blobs)
            if theirs and any(layers[: len(theirs)] == theirs for layers in own)
        ]
        if begun:
            longest.setdefault(max(begun), []).append(other.purl)
    return longest[max(longest)] if longest else []


def _layers(image: Artifact, blobs: BlobStore) -> Iterator[tuple[str, ...]]:
    """Yield the layers of each platform of an image, as far as its manifests are still held."""
    for file in image.files:
        if file.role is not Role.MANIFEST or not blobs.has(file.sha256):
            continue
        try:
            manifest = parse_manifest(blobs.read(file.sha256, limit=MANIFEST_LIMIT))
        except LockgateError:
            continue  # the gate's inspection says what is wrong with it
        if manifest.subject is None:
            yield tuple(layer.sha256 for layer in manifest.layers)


def _named(model: Artifact, blobs: BlobStore) -> Iterator[str]:
    for file in model.files:
        name = file.path.rpartition("/")[2].casefold()
        if name not in {_ADAPTER, _CARD} or file.size > CARD_LIMIT:
            continue
        text = blobs.read(file.sha256, limit=CARD_LIMIT).decode("utf-8", "replace")
        yield from _from_settings(text) if name == _ADAPTER else _from_card(text)


def _from_settings(text: str) -> Iterator[str]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return
    name = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    if isinstance(name, str):
        yield name


def _from_card(text: str) -> Iterator[str]:
    """Yield what a card's head names as its base: one name, or a list of them."""
    lines = text.replace("\r\n", "\n")
    head = lines[4:].partition("\n---\n")[0] + "\n" if lines.startswith("---\n") else ""
    found = _BASE.search(head)
    if found is None:
        return
    words = [found["one"], *(line.strip().removeprefix("-") for line in found["more"].splitlines())]
    for word in words[: BASES_LIMIT + 1]:
        name = word.strip().strip("\"'")
        if name:
            yield name
