"""Taking the profile of a high-side host, and reading on the low side what an operator signed."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import lockgate
from lockgate.app.files import read_named, write_named
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, signer_from, site_root, utc_now
from lockgate.core.digests import sha256
from lockgate.core.errors import HostError, TrustError
from lockgate.core.host import (
    HOST_FORMAT,
    HOST_LIMIT,
    HOST_TYPE,
    LIST_LIMIT,
    Graphics,
    HostEngine,
    HostFormError,
    HostProfile,
    Interpreter,
)
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode, encode, whole_second
from lockgate.trust.dsse import open_envelope, sign, verify

PROBE_SECONDS = 20
"""Longest time that a program may take to say its version, in seconds."""

PROBE_BYTES = 64 * 1024
"""Most that is read of a file of the system, or of what a program said, in bytes."""

_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "pip": ("pip", "--version"),
    "uv": ("uv", "--version"),
    "npm": ("npm", "--version"),
    "node": ("node", "--version"),
    "apt": ("apt-get", "--version"),
    "git": ("git", "--version"),
    "skopeo": ("skopeo", "--version"),
}
_ENGINES: Mapping[str, tuple[str, ...]] = {
    "llama": ("llama-server", "--version"),
    "ollama": ("ollama", "--version"),
    "vllm": ("vllm", "--version"),
    "tgi": ("text-generation-launcher", "--version"),
}
_GRAPHICS = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
_ASK_PYTHON = "import platform as p; print(p.python_implementation().lower(), p.python_version())"
_PYTHON = re.compile(r"python3\.[0-9]{1,2}")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){1,2}")
_UNPLAIN = re.compile(r"[^A-Za-z0-9 ._+:~@/()-]")

Ask = Callable[[Sequence[str]], str]
"""Runs a program and returns what it said; nothing where it is not there or fails."""


class HostUnknownError(HostError):
    """This machine does not tell what it is."""

    code = "LG-5fc0"
    advice = "Take the profile on the host itself, with a Lockgate that was installed there."


class OtherHostError(TrustError):
    """A profile is of another lane, or dated in the future."""

    code = "LG-2fc0"
    advice = "Ask the high side of this lane for the profile of its host; compare the clocks."


@dataclass(frozen=True, slots=True)
class SignedHost:
    """A profile whose signature holds: its digest as it travelled, and who signed it."""

    sha256: str
    person: str
    profile: HostProfile


def ask_program(argv: Sequence[str]) -> str:
    """Run a program of this machine with a small environment and return what it said, bounded."""
    program = shutil.which(argv[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # our own fixed commands
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout[:PROBE_BYTES].decode("utf-8", "replace").strip()


def take_profile(side: Side, name: str, *, root: Path = Path("/"), ask: Ask = ask_program) -> HostProfile:
    """Return the profile of this machine.

    Args:
        side: The high side that the machine belongs to.
        name: What people call the host.
        root: Where the system's files lie.
        ask: Runs programs of the machine.

    Raises:
        HostUnknownError: It does not say which system it is.

    """
    release = _release(root)
    libc, libc_version = _libc(root)
    uname = platform.uname()
    return HostProfile(
        format=HOST_FORMAT,
        lane=side.lane,
        name=name,
        taken=whole_second(utc_now()),
        lockgate=lockgate.__version__,
        system=_plain(release["ID"]),
        release=_plain(release.get("VERSION_ID", "")),
        codename=_plain(release.get("VERSION_CODENAME", "")),
        kernel=_plain(uname.release),
        architecture=uname.machine,
        libc=libc,
        libc_version=libc_version,
        pythons=tuple(_pythons(ask))[:LIST_LIMIT],
        graphics=tuple(_graphics(root, ask))[:LIST_LIMIT],
        engines=tuple(_engines(side, ask))[:LIST_LIMIT],
        programs={name: version for name, argv in _PROGRAMS.items() if (version := _version(ask(argv)))},
    )


def sign_profile(side: Side, name: str, key: KeyPlace, out: Path) -> tuple[HostProfile, str]:
    """Write the profile of this machine, signed by an operator; return it with its file's digest.

    Raises:
        HostUnknownError: See `take_profile`.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key is no operator's.

    """
    now = utc_now()
    site = site_root(side, now)
    signer = signer_from(key, Purpose.OPERATOR, site)
    site.held(signer.keyid, Purpose.OPERATOR, now)
    log = audit_log(side)
    intent = log.intent("profile", host=name)
    profile = take_profile(side, name)
    envelope = sign(HOST_TYPE, encode(profile), [signer])
    write_named(out, envelope)
    log.outcome(intent, "done", sha256=sha256(envelope))
    return profile, sha256(envelope)


def read_profile(side: Side, data: bytes) -> SignedHost:
    """Return a profile that an operator of the site signed, checked through the pinned site root.

    Nothing of it is parsed before its signature was verified.

    Raises:
        TooLargeError, MalformedDocumentError, NotCanonicalError: Not such a file.
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError: No operator signed it.
        HostFormError: Another format.
        OtherHostError: Of another lane, or dated in the future.

    """
    now = utc_now()
    site = site_root(side, now)
    opened = open_envelope(data, limit=HOST_LIMIT)
    people = verify(opened, site, Purpose.OPERATOR, now, HOST_TYPE)
    profile = decode(HostProfile, opened.payload, limit=HOST_LIMIT, name="profile of a host")
    if profile.format != HOST_FORMAT:
        what = f"The profile has the format {profile.format[:80]!r}, which this version does not read."
        raise HostFormError(what)
    if profile.lane != side.lane:
        what = f"The profile is of a host on lane {profile.lane[:80]!r}; this side is on {side.lane!r}."
        raise OtherHostError(what)
    skew = timedelta(seconds=(site.policy or Policy()).skew_seconds)
    if profile.taken > now + skew:
        what = f"The profile is dated {profile.taken:%Y-%m-%d %H:%M} UTC, which is still to come."
        raise OtherHostError(what)
    return SignedHost(sha256(data), ", ".join(sorted(people)), profile)


def read_profile_file(side: Side, file: Path) -> SignedHost:
    """Return the profile in a file; see `read_profile`."""
    return read_profile(side, read_named(file, limit=HOST_LIMIT))


def _plain(text: str) -> str:
    """Return what a system says of itself as a profile may carry it."""
    return _UNPLAIN.sub("-", " ".join(text.split()))[:128].lstrip(" ._+:~@/()-")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(PROBE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _release(root: Path) -> dict[str, str]:
    """Return the values of os-release(5)."""
    text = _read(root / "etc/os-release") or _read(root / "usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    found = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    if not found.get("ID"):
        raise HostUnknownError("This system has no os-release file that says what it is.")
    return found


def _libc(root: Path) -> tuple[str, str]:
    """Return the C library and its version, as the one that this process runs with tells it."""
    name, version = platform.libc_ver()
    if name == "glibc":
        return name, version if _VERSION.fullmatch(version) else ""
    return ("musl" if any((root / "lib").glob("ld-musl-*")) else "unknown"), ""


def _pythons(ask: Ask) -> Iterator[Interpreter]:
    """Yield the interpreters on the path and the one that runs this, each version once."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    named = {
        path.name: path for folder in reversed(folders) for path in _listed(folder, _PYTHON) if path.exists()
    }
    seen: set[tuple[str, str]] = set()
    for program in (Path(sys.executable), *(path for _, path in sorted(named.items()))):
        implementation, _, version = ask([str(program), "-I", "-c", _ASK_PYTHON]).partition(" ")
        told = _VERSION.match(version)
        if told and (implementation, told[0]) not in seen:
            seen.add((implementation, told[0]))
            yield Interpreter(implementation=implementation, version=told[0])


def _listed(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return []


def _graphics(root: Path, ask: Ask) -> Iterator[Graphics]:
    lines = [line.partition(",") for line in ask(_GRAPHICS).splitlines() if "," in line]
    for name, _, driver in lines:
        yield Graphics(name=_plain(name), driver=_plain(driver))
    if not lines and (told := _VERSION.search(_read(root / "proc/driver/nvidia/version"))):
        yield Graphics(name="nvidia", driver=told[0])
    if driver := _read(root / "sys/module/amdgpu/version"):
        yield Graphics(name="amdgpu", driver=_plain(driver))


def _engines(side: Side, ask: Ask) -> Iterator[HostEngine]:
    """Yield the engine that the settings name, and programs on the path that load models."""
    own = side.settings.engine
    if own.project or own.executable:
        yield HostEngine(
            kind=own.kind,
            project=_plain(own.project),
            executable=_plain(own.executable),
            version=_installed(side.home.runtime, own.project),
        )
    for kind, argv in _ENGINES.items():
        if version := _version(ask(argv)):
            yield HostEngine(kind=kind, executable=argv[0], version=version)


def _installed(runtime: Path, project: str) -> str:
    """Return the newest version of an engine's project that is installed, from its folder's name."""
    if not project:
        return ""
    found = sorted(runtime.glob(f"{project}-*"), key=lambda path: path.stat().st_mtime)
    return _version(found[-1].name.removeprefix(f"{project}-")) if found else ""


def _version(said: str) -> str:
    told = _VERSION.search(said)
    return told[0] if told else ""
