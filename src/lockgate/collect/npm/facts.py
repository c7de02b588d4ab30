"""What is kept of a version: dependencies from its own archive, the rest from the registry.

A registry's signature covers the archive, and nothing of what the registry says beside it. Where
the two disagree about what an installation does ("manifest confusion"), the archive is
believed, and the artifact says which facts differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockgate.collect.errors import BadTarballError
from lockgate.collect.npm.ports import Locked
from lockgate.collect.npm.tarball import Packed
from lockgate.core.npm import NPM_FORMAT, NpmSignature, NpmVersion
from lockgate.core.wire import whole_second

LINE = 2048
"""Longest text that is kept, in characters; longer ones are cut (or left out, where cutting would lie)."""

ENTRIES = 5000
_ATTRIBUTE = 300
_SIGNATURES = 16
_TAGS = 100
_RUN = ("preinstall", "install", "postinstall")
_COMPARED = ("dependencies", "optional", "peers", "bin", "install_script")


@dataclass(frozen=True, slots=True)
class Described:
    """A version as it will cross, and the facts in which its registry disagreed with its archive.

    `attested`: the registry names attestations of it.
    """

    version: NpmVersion
    differs: tuple[str, ...]
    attested: bool = False


def describe(one: Locked, shasum: str, packed: Packed, said: Mapping[str, Any]) -> Described:
    """Return what crosses of a version.

    Args:
        one: Name, version and SHA-512.
        shasum: SHA-1 of the archive, in hex.
        packed: What its archive says.
        said: What the registry says of this version.

    Raises:
        BadTarballError: The archive is of another package or version.

    """
    package = packed.package
    name, version = package.get("name"), package.get("version")
    if name != one.name or str(version).strip().removeprefix("v") != one.version:
        what = (
            f"The archive of {one.name} {one.version} says that it is {str(name)[:80]} {str(version)[:80]}."
        )
        raise BadTarballError(what)
    own = _facts(package, one.name, gyp=packed.gyp)
    other = _facts(said, one.name, gyp=packed.gyp)
    dist = _object(said.get("dist"))
    made = NpmVersion(
        format=NPM_FORMAT,
        name=one.name,
        version=one.version,
        integrity=one.integrity,
        shasum=shasum,
        files=packed.files,
        unpacked=packed.unpacked,
        signatures=_signatures(dist.get("signatures")),
        published=_moment(_object(said.get("time")).get(one.version)),
        tags=tuple(sorted(t for t, v in _table(said.get("dist-tags")).items() if v == one.version)[:_TAGS]),
        deprecated=_line(said.get("deprecated")),
        shrinkwrap=packed.shrinkwrap,
        optional_peers=_optional_peers(package.get("peerDependenciesMeta")),
        bundled=_bundled(package, own["dependencies"]),
        engines=_table(package.get("engines")),
        os=_lines(package.get("os")),
        cpu=_lines(package.get("cpu")),
        libc=_lines(package.get("libc")),
        description=_line(package.get("description")),
        keywords=_lines(package.get("keywords"))[:100],
        licence=licence_of(package),
        homepage=_line(package.get("homepage")),
        repository=_line(_object(package.get("repository")).get("url") or package.get("repository")),
        maintainers=tuple(sorted({p for each in _list(said.get("maintainers")) if (p := _person(each))})),
        **own,
    )
    differs = tuple(fact for fact in _COMPARED if own[fact] != other[fact])
    return Described(made, differs, attested=bool(_object(dist.get("attestations"))))


def attributes_of(made: Described) -> dict[str, str]:
    """Return what an artifact says of a version, for people and for the comparison with the next one."""
    version = made.version
    found = {
        "summary": version.description[:_ATTRIBUTE],
        "install-script": "yes" if version.install_script else "",
        "deprecated": version.deprecated[:_ATTRIBUTE],
        "maintainers": ", ".join(version.maintainers),
        "manifest-differs": ", ".join(made.differs),
        "signed": "yes" if version.signatures or made.attested else "",
    }
    return {key: value for key, value in found.items() if value}


def registry_says(key: tuple[str, str], said: Mapping[str, Any]) -> Described:
    """Return a version as its registry describes it, before its archive was seen."""
    name, version = key
    own = {**said, "name": name, "version": version}
    locked = Locked(name, version, f"sha512-{'A' * 86}==")
    return describe(locked, "0" * 40, Packed(own, gyp=False, shrinkwrap=False, files=0, unpacked=0), said)


def licence_of(package: Mapping[str, Any]) -> str:
    """Return a package's licence as it says it: a text, an object with `type`, or an old list of those."""
    values = _list(package.get("license") or package.get("licenses"))
    texts = [_line(_object(value).get("type") or value) for value in values]
    return " OR ".join(text for text in texts if text)[:LINE]


def _facts(package: Mapping[str, Any], name: str, *, gyp: bool) -> dict[str, Any]:
    """Return what decides about an installation, in one form whoever says it."""
    optional = _table(package.get("optionalDependencies"))
    depends = _table(package.get("dependencies"))
    scripts = {k: v for k, v in _table(package.get("scripts")).items() if k in _RUN and v}
    if gyp and not {"preinstall", "install"} & scripts.keys():
        scripts["install"] = "node-gyp rebuild"  # what npm does where a binding.gyp lies
    return {
        "dependencies": {k: v for k, v in depends.items() if k not in optional},
        "optional": optional,
        "peers": _table(package.get("peerDependencies")),
        "bin": _commands(package.get("bin"), name),
        "scripts": scripts,
        "install_script": bool(scripts),
    }


def _commands(value: Any, name: str) -> dict[str, str]:
    found = {name.rpartition("/")[2]: value} if isinstance(value, str) else _table(value)
    return {command: path.removeprefix("./") for command, path in found.items() if path}


def _optional_peers(value: Any) -> tuple[str, ...]:
    table = _object(value)
    chosen = (k for k, v in table.items() if _object(v).get("optional") is True)
    return tuple(sorted(name for name in chosen if len(name) <= LINE)[:ENTRIES])


def _bundled(package: Mapping[str, Any], depends: Mapping[str, str]) -> tuple[str, ...]:
    value = package.get("bundleDependencies", package.get("bundledDependencies"))
    return tuple(sorted(depends)) if value is True else _lines(value)


def _signatures(value: Any) -> tuple[NpmSignature, ...]:
    pairs = [(_object(one).get("keyid"), _object(one).get("sig")) for one in _list(value)]
    good = [
        (k, s) for k, s in pairs if isinstance(k, str) and isinstance(s, str) and max(len(k), len(s)) < LINE
    ]
    return tuple(NpmSignature(keyid=keyid, sig=sig) for keyid, sig in good[:_SIGNATURES])


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return whole_second(moment) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _person(value: Any) -> str:
    """Return ``name <address>`` of a person, given as text or as an object."""
    if isinstance(value, str):
        return _line(value)
    person = _object(value)
    name, address = _line(person.get("name")), _line(person.get("email"))
    return _line(f"{name} <{address}>" if address else name)


def _line(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:LINE]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _table(value: Any) -> dict[str, str]:
    pairs = [(k, v) for k, v in _object(value).items() if isinstance(v, str) and len(k) + len(v) <= LINE]
    return dict(pairs[:ENTRIES])


def _lines(value: Any) -> tuple[str, ...]:
    return tuple(v for v in _list(value) if isinstance(v, str) and len(v) <= LINE)[:ENTRIES]
