"""What the layers of an image do to one another. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate.core.verdict import Severity
from lockgate.inspect.images.model import ImageOf, Survey
from lockgate.inspect.images.packages import placed
from lockgate.inspect.images.structure import LAYERS

_MOST_SHOWN = 20
_GUARDED = frozenset({
    "su", "sudo", "login", "passwd", "sshd", "ssh", "sh", "bash", "dash", "busybox", "mount", "init",
    "systemd", "curl", "wget", "gpg", "gpgv", "apt", "apt-get", "dpkg", "apk", "rpm", "python3", "node",
    "openssl",
})  # fmt: skip
"""Programs that others trust: whoever replaces one rules what runs it."""


@dataclass(frozen=True, slots=True)
class Note:
    """One finding about a file of the image, by its digest; without `complete` something was unread."""

    digest: str
    code: str
    severity: Severity
    why: str
    complete: bool = True


def join(image: ImageOf, surveys: Mapping[str, Survey]) -> Iterator[Note]:
    """Yield what an image's layers show together, from the lowest up.

    Args:
        image: The layers in order.
        surveys: What each layer's walk found; one that is missing could not be walked.

    """
    below: dict[str, str] = {}
    for layer in image.layers:
        found = surveys.get(layer.digest)
        if found is None:
            continue
        yield from _agrees(layer.digest, layer.media_type, layer.diff_id, found)
        yield from _removes(layer.digest, found, below)
        yield from _replaces(layer.digest, found, below)
        gone = tuple(f"{folder}/" if folder else "" for folder in found.emptied)
        below = {p: d for p, d in below.items() if not _removed(p, found, gone)}
        below |= dict.fromkeys(found.programs, layer.digest)


def _removed(path: str, found: Survey, gone: tuple[str, ...]) -> bool:
    return (bool(gone) and path.startswith(gone)) or any(
        path == removed or path.startswith(f"{removed}/") for removed in found.removed
    )


def _agrees(digest: str, media_type: str, diff_id: str, found: Survey) -> Iterator[Note]:
    packing = LAYERS.get(media_type)
    if packing is not None and packing != found.packing:
        why = f"It is called {media_type[:80]} and is packed by {found.packing or 'nothing'}."
        yield Note(digest, "oci-layer-type", Severity.MEDIUM, why)
    if diff_id and diff_id != found.diff_id:
        yield Note(
            digest, "oci-diff-id", Severity.HIGH, "It unpacks to something else than the configuration says."
        )
    if found.cut:
        yield Note(
            digest,
            "oci-layer-cut",
            Severity.INFO,
            f"It has more {found.cut} than are compared.",
            complete=False,
        )
    if found.unread:
        yield Note(digest, "oci-packages-unread", Severity.INFO, found.unread)


def _removes(digest: str, found: Survey, below: Mapping[str, str]) -> Iterator[Note]:
    hit = sorted(p for p in below if _removed(p, found, tuple(f"{f}/" if f else "" for f in found.emptied)))
    if hit:
        names = ", ".join(hit[:3])
        yield Note(
            digest,
            "oci-removes-programs",
            Severity.INFO,
            f"It removes {len(hit)} programs of lower layers: {names}.",
        )


def _replaces(digest: str, found: Survey, below: Mapping[str, str]) -> Iterator[Note]:
    """Yield programs of lower layers that a layer replaces; with no word of the package manager, louder."""
    replaced = sorted(set(found.programs) & below.keys())
    guarded = [p for p in replaced if p.rsplit("/", 1)[-1] in _GUARDED]
    for path in guarded[:_MOST_SHOWN] if not found.database else ():
        why = f"It replaces {path} of a lower layer, and changes no list of packages."
        yield Note(digest, "oci-replaces-program", Severity.MEDIUM, why)
    if replaced:
        why = f"It replaces {len(replaced)} programs of lower layers: {', '.join(replaced[:3])}."
        yield Note(digest, "oci-replaces-programs", Severity.INFO, why)


def installed(image: ImageOf, surveys: Mapping[str, Survey]) -> tuple[str, ...]:
    """Return the packages that any layer of an image lists, as package URLs with their system.

    A package that a higher layer removes is still in the image's bytes, and stays on the list.
    """
    mine: Sequence[Survey] = [surveys[layer.digest] for layer in image.layers if layer.digest in surveys]
    release = next((each.release for each in reversed(mine) if each.release), "")
    return tuple(sorted({placed(purl, release) for each in mine for purl in each.packages}))
