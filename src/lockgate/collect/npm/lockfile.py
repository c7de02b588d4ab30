"""Reads package-lock.json, versions 2 and 3 (npm documentation, "package-lock.json")."""

import base64
from collections.abc import Iterable

import msgspec

from lockgate.collect.errors import CollectLimitError, LockfileError, NotFromRegistryError
from lockgate.collect.npm.ports import Locked
from lockgate.collect.ports import Limits
from lockgate.core.npm import is_name, is_version

_VERSIONS = frozenset({2, 3})
_SHA512_BYTES = 64
_FOLDER = "node_modules/"


class _Package(msgspec.Struct, frozen=True, rename="camel"):
    version: str = ""
    name: str = ""
    resolved: str | bool = ""
    integrity: str = ""
    link: bool = False
    in_bundle: bool = False
    optional: bool = False
    dev_optional: bool = False
    dev: bool = False
    os: list[str] | str = []
    cpu: list[str] | str = []
    libc: list[str] | str = []


class _Lock(msgspec.Struct, frozen=True, rename="camel"):
    lockfile_version: int = 1
    packages: dict[str, _Package] = {}


def read_lock(data: bytes, name: str, limits: Limits) -> tuple[Locked, ...]:
    """Return what a lock file names, each once, without links, bundled packages and the project itself.

    Raises:
        LockfileError: Not a lock file of a version that is read.
        NotFromRegistryError: A package comes from git, a folder or an address of its own.
        CollectLimitError: Too many packages.

    """
    try:
        lock = msgspec.json.decode(data, type=_Lock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"{name} is not a lock file of npm: {error}."
        raise LockfileError(what) from error
    if lock.lockfile_version not in _VERSIONS:
        what = f"{name} has version {lock.lockfile_version}."
        raise LockfileError(what)
    if len(lock.packages) > limits.npm_packages:
        what = f"{name} names more than {limits.npm_packages} packages."
        raise CollectLimitError(what, limit="npm_packages")
    found: dict[tuple[str, str], Locked] = {}
    for key, package in lock.packages.items():
        if not key or package.link or package.in_bundle or _FOLDER not in key:
            continue
        one = _locked(key, package, name)
        before = found.setdefault((one.name, one.version), one)
        if before.integrity != one.integrity:
            what = f"{name} names two digests for {one.name} {one.version}."
            raise LockfileError(what)
        found[one.name, one.version] = _wider(before, one)
    return tuple(found[key] for key in sorted(found))


def for_platforms(locked: Iterable[Locked], platforms: tuple[str, ...]) -> tuple[Locked, ...]:
    """Return what any of the platforms needs; what is not optional, every one does."""
    if not platforms:
        return tuple(locked)
    return tuple(one for one in locked if not one.optional or any(_fits(one, p) for p in platforms))


def sha512_hex(integrity: str) -> str | None:
    """Return the SHA-512 (hexadecimal) that an integrity text names, or None when it names none."""
    for part in integrity.split():
        kind, _, text = part.partition("?")[0].partition("-")
        if kind == "sha512":
            try:
                raw = base64.b64decode(text, validate=True)
            except ValueError:  # not base64, or not even ASCII
                return None
            return raw.hex() if len(raw) == _SHA512_BYTES else None
    return None


def _locked(key: str, package: _Package, file: str) -> Locked:
    name = package.name or key.rpartition(_FOLDER)[2]
    resolved = package.resolved if isinstance(package.resolved, str) else ""
    if resolved and not resolved.startswith(("https:", "http:")):
        what = f"{file} takes {name[:120]} from {resolved.partition(':')[0][:20]}: and not from a registry."
        raise NotFromRegistryError(what)
    if not is_name(name) or not is_version(package.version):
        what = f"{file} names no package and version at {key[:120]!r}."
        raise LockfileError(what)
    digest = sha512_hex(package.integrity)
    if digest is None:
        what = f"{file} gives no SHA-512 for {name} {package.version}."
        raise NotFromRegistryError(what, advice="Ask the registry for packages with `dist.integrity`.")
    return Locked(
        name=name,
        version=package.version,
        integrity=f"sha512-{base64.b64encode(bytes.fromhex(digest)).decode()}",
        optional=package.optional or package.dev_optional,
        development=package.dev,
        os=_several(package.os),
        cpu=_several(package.cpu),
        libc=_several(package.libc),
    )


def _wider(one: Locked, other: Locked) -> Locked:
    return Locked(
        name=one.name,
        version=one.version,
        integrity=one.integrity,
        optional=one.optional and other.optional,
        development=one.development and other.development,
        os=one.os,
        cpu=one.cpu,
        libc=one.libc,
    )


def _several(value: list[str] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _fits(one: Locked, platform: str) -> bool:
    system, cpu, *libc = platform.split("-")
    return (
        _allows(one.os, system)
        and _allows(one.cpu, cpu)
        and (not libc or not one.libc or _allows(one.libc, libc[0]))
    )


def _allows(listed: tuple[str, ...], own: str) -> bool:
    """Judge a list as npm does: ``!name`` forbids, other names are a choice (package.json, "os")."""
    if f"!{own}" in listed:
        return False
    chosen = [name for name in listed if not name.startswith("!")]
    return not chosen or own in chosen or "any" in chosen
