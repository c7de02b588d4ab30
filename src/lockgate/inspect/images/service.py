"""Images as wholes: read in the sandbox, one file at a time, and joined outside it."""

from collections.abc import Iterable, Mapping

import msgspec

from lockgate.core.artifact import Kind, Role
from lockgate.core.verdict import Finding
from lockgate.inspect.images.join import Note, installed, join
from lockgate.inspect.images.layers import SURVEY
from lockgate.inspect.images.layers import Given as LayerGiven
from lockgate.inspect.images.model import Structure, Survey
from lockgate.inspect.images.structure import READ, Given
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Sandbox, Whole
from lockgate.inspect.service import NO_ANSWER, run_in_sandbox
from lockgate.inspect.wholes import Extras, notes_of

NAME = "image/1"
"""How verdicts name this inspector."""

SHORT_BLOB = 1 << 20
"""Longest blob that may be a configuration, in bytes."""

SHORT_TOTAL = 10 << 20
"""Most bytes of manifests and short blobs of one image that are read together."""


class Images:
    """Reads images, and remembers the structure of each for the second look."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        """Read with a sandbox, within limits."""
        self._sandbox = sandbox
        self._limits = limits
        self._known: dict[str, Structure | str] = {}

    def roles(self, wholes: Iterable[Whole]) -> dict[str, str]:
        """Return what part of an image each file is, by path: layers are unpacked at a system's root."""
        found: dict[str, str] = {}
        for whole in wholes:
            structure = self._structure(whole)
            if isinstance(structure, Structure):
                layers = {layer.digest for image in structure.images for layer in image.layers}
                found |= {f.path: "oci-layer" for f in whole.artifact.files if f.sha256 in layers}
        return found

    def look(self, whole: Whole) -> Extras:
        """Return what an image's files show together; nothing for other artifacts.

        Raises:
            SandboxUnavailableError: Nothing can be parsed safely here.

        """
        structure = self._structure(whole)
        if structure is None:
            return {}
        extras: Extras = {}
        paths = {file.sha256: file.path for file in whole.artifact.files}
        root = paths.get(whole.artifact.version.removeprefix("sha256:"), whole.artifact.files[0].path)
        for path in paths.values():
            notes_of(extras, path).inspectors.add(NAME)
        if isinstance(structure, str):
            notes_of(extras, root).unfinished("oci-unread", root, structure)
            return extras
        for found, complete in ((structure.findings, True), (structure.incomplete, False)):
            _add(extras, paths, root, found, complete=complete)
        surveys = self._surveys(whole, structure, extras)
        for image in structure.images:
            path = paths.get(image.digest, root)
            for note in join(image, surveys):
                _note(extras, paths.get(note.digest, path), note)
            notes_of(extras, path).packages += installed(image, surveys)
        return extras

    def _structure(self, whole: Whole) -> Structure | str | None:
        """Return the structure of an image, why it cannot be read, or None for what is no image."""
        artifact = whole.artifact
        if artifact.kind is not Kind.OCI:
            return None
        if artifact.purl not in self._known:
            self._known[artifact.purl] = self._read(whole)
        return self._known[artifact.purl]

    def _read(self, whole: Whole) -> Structure | str:
        files = whole.artifact.files
        root = next((f for f in files if f.sha256 == whole.artifact.version.removeprefix("sha256:")), None)
        if root is None:
            return "The manifest that its tags stand for is not among its files."
        manifests = [file for file in files if file.role is Role.MANIFEST]
        short = [file for file in files if file.role is not Role.MANIFEST and file.size <= SHORT_BLOB]
        if sum(file.size for file in manifests) > SHORT_TOTAL:
            return f"Its manifests have more than {SHORT_TOTAL} bytes (bound: short_total)."
        room = SHORT_TOTAL - sum(file.size for file in manifests)
        chosen = list(manifests)
        for file in sorted(short, key=lambda f: f.size):
            room -= file.size
            chosen += [file] if room >= 0 else []
        given = Given(
            root=root.sha256,
            sizes={file.sha256: file.size for file in files},
            manifests=tuple(file.sha256 for file in manifests),
            blobs={file.sha256: whole.places[file.path].read_bytes() for file in chosen},
        )
        try:
            args = msgspec.json.encode(given)
            answer = run_in_sandbox(self._sandbox, READ, whole.places[root.path], args, limits=self._limits)
            return msgspec.json.decode(answer, type=Structure)
        except NO_ANSWER as error:
            return f"Its manifests could not be read: {getattr(error, 'what', 'no answer')}"

    def _surveys(self, whole: Whole, structure: Structure, extras: Extras) -> Mapping[str, Survey]:
        """Walk each layer that is there, in a process of its own."""
        places = {file.sha256: file.path for file in whole.artifact.files}
        layers = {layer.digest for image in structure.images for layer in image.layers} & places.keys()
        args = msgspec.json.encode(LayerGiven(unpacked_bytes=self._limits.member_bytes))
        found: dict[str, Survey] = {}
        for digest in sorted(layers):
            path = places[digest]
            try:
                answer = run_in_sandbox(self._sandbox, SURVEY, whole.places[path], args, limits=self._limits)
                found[digest] = msgspec.json.decode(answer, type=Survey)
            except NO_ANSWER as error:
                why = f"The layer could not be walked: {getattr(error, 'what', 'no answer')}"
                notes_of(extras, path).unfinished("oci-layer-unread", path, why)
        return found


def _add(
    extras: Extras,
    paths: Mapping[str, str],
    root: str,
    found: Mapping[str, tuple[Finding, ...]],
    *,
    complete: bool,
) -> None:
    for digest, findings in found.items():
        notes = notes_of(extras, paths.get(digest, root))
        for each in findings:
            notes.note(each.code, each.severity, paths.get(digest, root), each.why)
        notes.complete &= complete


def _note(extras: Extras, path: str, note: Note) -> None:
    notes = notes_of(extras, path)
    notes.note(note.code, note.severity, path, note.why)
    notes.complete &= note.complete
