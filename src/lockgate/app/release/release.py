"""Making releases of Lockgate: wheels and what they run with, signed by holders who each sign alone."""

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

from lockgate.app.files import read_named, write_named
from lockgate.app.keys import KeyPlace, signing_key
from lockgate.core.digests import sha256, sha256_stream
from lockgate.core.errors import InputError
from lockgate.core.release import (
    RELEASE_FORMAT,
    RELEASE_LIMIT,
    RELEASE_SUFFIX,
    RELEASE_TYPE,
    Pinned,
    Release,
    ReleaseFile,
    demand_form,
)
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import decode, encode, whole_second
from lockgate.core.zips import ZIP_ERRORS
from lockgate.trust.dsse import add_signature, merge, open_envelope, sign, verify
from lockgate.trust.errors import EnvelopeError

PYTHON = "{}.{}".format(*sys.version_info)


ALWAYS = ("pip",)
"""Packages that Lockgate runs as programs: the next update and engines are installed with it."""
EXTRAS = frozenset({"python-pkcs11", "psycopg", "psycopg-binary", "obstore", "pillow", "zxing-cpp"})
"""Packages of extras that a side may have, and would miss after an update."""


class ReleaseFolderError(InputError):
    """A folder holds no wheels of which a release could be made."""

    code = "LG-1f13"
    advice = "Name a folder with a wheel of lockgate, and wheels of the packages that changed with it."


def normalised(name: str) -> str:
    """Return a project's name in the form that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_release(wheels: Path, at: datetime) -> bytes:
    """Return an unsigned release of a folder's wheels.

    What the wheels do not bring has to be installed here, since it is pinned in the version that
    this installation has.

    Raises:
        ReleaseFolderError: No wheel of lockgate, something that is no wheel, or a package is missing.
        ReleaseRefusedError: The release would not be read.

    """
    brought: dict[str, tuple[str, list[str]]] = {}
    files = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, needs = _read_wheel(wheel)
        brought[name] = version, needs
        with wheel.open("rb") as stream:
            digest, size = sha256_stream(stream)
        files.append(ReleaseFile(name=wheel.name, sha256=digest, size=size))
    if "lockgate" not in brought:
        what = f"There is no wheel of lockgate in {wheels}."
        raise ReleaseFolderError(what)
    packages = _closure(brought, [*ALWAYS, *brought])
    here = {normalised(d.name) for d in distributions()}
    extras = _closure(brought, sorted(EXTRAS & here))
    release = Release(
        format=RELEASE_FORMAT,
        version=brought["lockgate"][0],
        python=PYTHON,
        created=whole_second(at),
        files=tuple(files),
        packages=_pinned(packages),
        optional=_pinned({n: v for n, v in extras.items() if n not in packages}),
    )
    demand_form(release, PYTHON)
    return sign(RELEASE_TYPE, encode(release), [])


def _read_wheel(wheel: Path) -> tuple[str, str, list[str]]:
    """Return a wheel's project, version and requirements."""
    from email.parser import BytesHeaderParser  # noqa: PLC0415  # only here

    try:
        with ZipFile(wheel) as archive:
            (member,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
            said = BytesHeaderParser().parsebytes(archive.read(member))
    except (OSError, *ZIP_ERRORS) as error:
        what = f"{wheel} is no wheel."
        raise ReleaseFolderError(what) from error
    return normalised(said["Name"]), said["Version"], said.get_all("Requires-Dist") or []


def _pinned(packages: dict[str, str]) -> tuple[Pinned, ...]:
    return tuple(Pinned(name=n, version=v) for n, v in sorted(packages.items()))


def _closure(brought: dict[str, tuple[str, list[str]]], roots: list[str]) -> dict[str, str]:
    """Return some packages and every one that they need, with the version that each has."""
    here = {normalised(d.name): d for d in distributions()}
    found: dict[str, str] = {}
    todo = sorted(roots)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        version, needs = brought.get(name) or _installed(here, name)
        found[name] = version
        for text in needs:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                todo.append(normalised(needed.name))
    return found


def _installed(here: dict[str, Distribution], name: str) -> tuple[str, list[str]]:
    if name not in here:
        what = f"The release needs {name}, which is neither among the wheels nor installed here."
        raise ReleaseFolderError(what)
    return here[name].version, here[name].requires or []


def release_name(envelope: bytes) -> str:
    """Return the file name of a release."""
    return f"lockgate-{read_release(envelope).version}{RELEASE_SUFFIX}"


def read_release(envelope: bytes) -> Release:
    """Return what a release says, before anybody judged its signatures.

    Raises:
        EnvelopeError: Not a release.

    """
    opened = open_envelope(envelope, limit=RELEASE_LIMIT)
    if opened.payload_type != RELEASE_TYPE:
        what = f"The document is {opened.payload_type[:80]!r}, not a release."
        raise EnvelopeError(what)
    return decode(Release, opened.payload, limit=RELEASE_LIMIT, name="release")


def release_digest(envelope: bytes) -> str:
    """Return the digest that approvers sign: SHA-256 of what the releasers signed."""
    return sha256(open_envelope(envelope, limit=RELEASE_LIMIT).payload)


def sign_release(envelope: bytes, key: KeyPlace) -> bytes:
    """Return a release with one more holder's signature."""
    demand_form(read_release(envelope), PYTHON)
    return add_signature(envelope, signing_key(key, Purpose.RELEASE))


def combine_releases(envelopes: Sequence[bytes]) -> bytes:
    """Return one release with the signatures that holders made apart."""
    return merge(envelopes)


def judge_release(envelope: bytes, site: Root, at: datetime) -> tuple[Release, frozenset[str]]:
    """Return a release and who signed it, when the site root's threshold of releasers did.

    Raises:
        ThresholdError, SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError: Not signed
            by who has to.
        ReleaseRefusedError: Not a release that runs here.

    """
    release = read_release(envelope)
    opened = open_envelope(envelope, limit=RELEASE_LIMIT)
    people = verify(opened, site, Purpose.RELEASE, at, RELEASE_TYPE)
    demand_form(release, PYTHON)
    return release, people


def write_bundle(wheels: Path, envelope: bytes, out: Path) -> Path:
    """Write a release beside its wheels, and the manifest that the low side collects it by."""
    from shutil import copyfile  # noqa: PLC0415  # only here

    release = read_release(envelope)
    named = out / release_name(envelope)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in release.files:
            if (out / file.name).resolve() != (wheels / file.name).resolve():
                copyfile(wheels / file.name, out / file.name)
    except OSError as error:
        what = f"{error.filename or out} cannot be copied: {error.strerror}."
        raise ReleaseFolderError(what) from error
    _write_manifest(out, named, envelope)
    return named


def _write_manifest(folder: Path, named: Path, envelope: bytes) -> None:
    """Write a release, and the manifest that names it and its wheels by digest."""
    release = read_release(envelope)
    listed = [*((f.name, f.sha256) for f in release.files), (named.name, sha256(envelope))]
    facts = ("name", "url", "sha256", "version")
    rows = [zip(facts, (name, name, digest, release.version), strict=True) for name, digest in listed]
    text = "\n".join("[[file]]\n" + "".join(f'{k} = "{v}"\n' for k, v in row) for row in rows)
    write_named(named, envelope)
    write_named(folder / "release.toml", text.encode())


def read_bundle(folder: Path) -> tuple[Path, bytes]:
    """Return the release in a folder.

    Raises:
        ReleaseFolderError: None, or several.

    """
    found = sorted(folder.glob(f"*{RELEASE_SUFFIX}"))
    if len(found) != 1:
        what = f"{folder} holds {len(found)} releases; it has to be one."
        raise ReleaseFolderError(what)
    return found[0], read_named(found[0], limit=RELEASE_LIMIT)


def sign_bundle(folder: Path, key: KeyPlace) -> int:
    """Sign the release in a folder after hashing its wheels; return how many signatures it bears.

    Raises:
        ReleaseFolderError: A wheel is not the one that the release names.
        KeyFileError, TokenError, TokenFailedError: The key cannot be had.

    """
    file, envelope = read_bundle(folder)
    for wheel in read_release(envelope).files:
        try:
            with (folder / wheel.name).open("rb") as stream:
                found = sha256_stream(stream)
        except OSError as error:
            what = f"{wheel.name} cannot be read: {error.strerror}."
            raise ReleaseFolderError(what) from error
        if found != (wheel.sha256, wheel.size):
            what = f"{wheel.name} is not the wheel that the release names."
            raise ReleaseFolderError(what)
    signed = sign_release(envelope, key)
    _write_manifest(folder, file, signed)
    return len(open_envelope(signed, limit=RELEASE_LIMIT).signatures)
