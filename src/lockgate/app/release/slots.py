"""Slots: installations of Lockgate side by side, each made of a release's wheels and what it runs with.

A slot is a virtual environment at its final place; it counts once ``slot.json`` lies in it, which is
written last. Nothing is fetched: wheels come out of the blob store by digest, and packages that the
release does not bring come out of the running installation, each file compared with its RECORD.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from lockgate.app.release.release import normalised
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import HostError, TrustError
from lockgate.core.release import Release
from lockgate.core.wire import Document, decode, encode
from lockgate.store.blobs import sync_folder

SLOT_FILE = "slot.json"
WHEELS = "wheels"
INSTALL_SECONDS = 900
"""Longest time that one step of installing may take."""

_COMPILED = "__pycache__"
"""Folder in which Python keeps what it compiled."""

_SCRIPTS = "bin"
_SHOWN = 600


class SlotError(HostError):
    """A release cannot be installed into its slot."""

    code = "LG-5f13"
    advice = "Look at free space; the running version goes on. Then run `lockgate update try` again."


class SlotAlteredError(TrustError):
    """What lies in a slot, or in the running installation, is not what was installed."""

    code = "LG-2f14"
    advice = "Somebody changed installed files. Install this version anew from its kit or release."


class Slot(Document, frozen=True):
    """What a slot was made of, and the digest of everything in it."""

    release_sha256: str
    version: str
    tree_sha256: str


@dataclass(frozen=True, slots=True)
class Installed:
    """A whole slot: its folder and what it says of itself."""

    folder: Path
    slot: Slot

    @property
    def program(self) -> Path:
        """Return its command."""
        return self.folder / _SCRIPTS / "lockgate"


def slot_folder(slots: Path, release: Release, release_sha256: str) -> Path:
    """Return the place of a release's slot."""
    return slots / f"{release.version}-{release_sha256[:16]}"


def read_slot(folder: Path) -> Installed | None:
    """Return a slot that is whole, or None; what is in it is not hashed here."""
    file = folder / SLOT_FILE
    return Installed(folder, decode(Slot, file.read_bytes(), name="slot")) if file.is_file() else None


def demand_unaltered(found: Installed) -> None:
    """Demand that a slot holds what was installed, byte for byte; what Python compiled there is removed.

    Python runs what it finds compiled in place of the source where a time and a length fit, which whoever may
    write there can have fit.

    Raises:
        SlotAlteredError: It does not.
        OSError: Something compiled cannot be removed.

    """
    for folder in sorted(found.folder.rglob(_COMPILED)):
        folder.unlink() if folder.is_symlink() or not folder.is_dir() else shutil.rmtree(folder)
    if tree_digest(found.folder) != found.slot.tree_sha256:
        what = f"The slot {found.folder.name} is not what was installed."
        raise SlotAlteredError(what, slot=found.folder.name)


def tree_digest(folder: Path) -> str:
    """Return the digest of every file, link and mode below a folder but the slot's own document."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        name = str(inside)
        if name == SLOT_FILE or _COMPILED in inside.parts:
            continue
        if path.is_symlink():
            facts = f"link {path.readlink()}"
        elif path.is_file():
            with path.open("rb") as stream:
                facts = f"file {path.stat().st_mode & 0o777:o} {sha256_stream(stream)[0]}"
        else:
            continue
        state.update(encode([name, facts]))
    return state.hexdigest()


def install_slot(
    folder: Path, release: Release, release_sha256: str, fetch: Callable[[str, Path], None]
) -> Installed:
    """Make a release's slot; one that was cut off is begun anew, one that is whole is kept.

    Args:
        folder: Its final place.
        release: What was verified.
        release_sha256: Its digest.
        fetch: Writes the blob with a digest to a file, hashing it.

    Raises:
        SlotError: A step failed, or what is installed is not what the release pins.
        SlotAlteredError: A file to take over is not what its RECORD says.

    """
    whole = read_slot(folder)
    if whole is not None:
        demand_unaltered(whole)
        return whole
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)])
        _take_over(release, _site(folder))
        _install_wheels(folder, release, fetch)
        _demand_pinned(release, _site(folder))
        shutil.rmtree(folder / WHEELS)
        os.sync()
        slot = Slot(release_sha256=release_sha256, version=release.version, tree_sha256=tree_digest(folder))
        _write_last(folder / SLOT_FILE, encode(slot))
    except OSError as error:
        what = f"The slot cannot be written: {error.strerror}."
        raise SlotError(what, file=str(error.filename or folder)) from error
    return Installed(folder, slot)


def _write_last(target: Path, data: bytes) -> None:
    partial = target.with_name(f".{target.name}")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)


def _site(folder: Path) -> Path:
    return folder / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"


def _run(command: list[str]) -> None:
    clean = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(  # noqa: S603  # our own interpreter and fixed words
            command, env=clean, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        what = f"A step of installing took longer than {INSTALL_SECONDS} seconds."
        raise SlotError(what) from error
    if ran.returncode:
        what = f"A step of installing failed: {(ran.stderr or ran.stdout).strip()[-_SHOWN:]}"
        raise SlotError(what)


def _brought(release: Release) -> set[str]:
    return {normalised(file.name.split("-")[0]) for file in release.files}


def _take_over(release: Release, site: Path) -> None:
    """Take the packages that the release does not bring out of the running installation."""
    here = {normalised(d.name): d for d in distributions()}
    optional = [pinned for pinned in release.optional if pinned.name in here]
    for pinned in [*release.packages, *optional]:
        if pinned.name in _brought(release):
            continue
        found = here.get(pinned.name)
        if found is None or found.version != pinned.version:
            has = found.version if found else "none"
            needs = f"{pinned.name} {pinned.version}"
            what = f"The release runs with {needs}, which it does not bring; here is {has}."
            raise SlotError(what, advice="Make a release that brings its wheel.")
        for source, relative in _files(found):
            target = site / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _files(found: Distribution) -> Iterator[tuple[Path, str]]:
    """Yield the files of an installed package with their places, each compared with its RECORD."""
    for entry in found.files or ():
        name = str(entry)
        if name.startswith("..") or _COMPILED in name or Path(name).is_absolute():
            continue  # scripts carry the path of their environment, and compiled files nobody signed
        source = Path(str(entry.locate()))
        if not source.is_file() or source.is_symlink():
            what = f"{found.name}: {name} is not there as a file."
            raise SlotAlteredError(what, file=name)
        if entry.hash is not None and _recorded(source, entry.hash.mode) != entry.hash.value:
            what = f"{found.name}: {name} is not what was installed."
            raise SlotAlteredError(what, file=name)
        yield source, name


def _recorded(source: Path, mode: str) -> str:
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, mode).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _install_wheels(folder: Path, release: Release, fetch: Callable[[str, Path], None]) -> None:
    """Install the release's wheels with pip, without an index and with every hash demanded."""
    wheels = folder / WHEELS
    wheels.mkdir()
    lines = []
    pins = {p.name: p.version for p in (*release.packages, *release.optional)}
    for file in release.files:
        fetch(file.sha256, wheels / file.name)
        name = normalised(file.name.split("-")[0])
        if name not in pins:
            what = f"The release brings {file.name}, which it does not run with."
            raise SlotError(what, advice="Make a release without it.")
        lines.append(f"{name}=={pins[name]} --hash=sha256:{file.sha256}\n")
    requirements = wheels / "requirements.txt"
    requirements.write_text("".join(lines))
    options = ["--no-index", "--no-deps", "--no-cache-dir", "--no-input", "--no-compile", "--quiet"]
    options += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
    options += ["--root-user-action", "ignore", "--find-links", str(wheels), "-r", str(requirements)]
    pip = [sys.executable, "-I", "-m", "pip", "--isolated", "--python", str(folder / _SCRIPTS / "python")]
    _run([*pip, "install", *options])


def _demand_pinned(release: Release, site: Path) -> None:
    found = {(normalised(d.name), d.version) for d in distributions(path=[str(site)])}
    needed = {(p.name, p.version) for p in release.packages}
    allowed = needed | {(p.name, p.version) for p in release.optional}
    if odds := (needed - found) | (found - allowed):
        odd = min(odds)
        what = f"The slot does not hold exactly what the release pins: {odd[0]} {odd[1]}."
        raise SlotError(what)
