"""Errata (``updateinfo``) and modules (``modules.yaml``): read, and cut to the packages that are taken."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lockgate.collect.errors import BadReleaseError
from lockgate.collect.ports import Limits
from lockgate.collect.rpm.markup import Element, elements, plain
from lockgate.core.errors import LockgateError
from lockgate.core.rpm import Erratum, Module
from lockgate.core.wire import checked

MODULES_LIMIT = 1 << 26
"""Longest ``modules.yaml`` that is read, in bytes."""

_SUGGESTS = ("reboot", "restart", "relogin")
_SCALAR = re.compile(
    r"""^  (?:name|module|stream|version|context|arch): *["']?([^"'\s#]+)["']?\s*(?:#.*)?$"""
)
_KEY = re.compile(r"^( *)([A-Za-z_-]+):")
_ITEM = re.compile(r"""^ *- *["']?([^"'\s]+\.(?:[a-z0-9_]+))["']?\s*$""")


def errata_of(file: Path, limits: Limits) -> Iterator[Erratum]:
    """Yield the errata of a repository.

    Raises:
        BadReleaseError: One is not described as errata are.
        CollectLimitError: A bound.

    """
    for element in elements(file, "update", limits.index_bytes):
        try:
            yield checked(Erratum, _erratum(element))
        except LockgateError as error:
            what = f"An erratum {element.child('id').text[:80]!r} cannot cross: {error.what}"
            raise BadReleaseError(what) from error


def about(errata: Iterator[Erratum], taken: Collection[str]) -> tuple[Erratum, ...]:
    """Return the errata that bring at least one of these packages (full names), in the order of their ids."""
    chosen = [e for e in errata if any(p.nevra in taken for c in e.collections for p in c.packages)]
    return tuple(sorted(chosen, key=lambda erratum: erratum.id))


def _erratum(element: Element) -> dict[str, object]:
    def text(name: str) -> str:
        return element.child(name).text

    return {
        "id": text("id"),
        "type": element.get("type"),
        "sender": element.get("from"),
        "status": element.get("status"),
        "version": element.get("version"),
        "title": text("title"),
        "severity": text("severity"),
        "issued": element.child("issued").get("date"),
        "updated": element.child("updated").get("date"),
        "rights": text("rights"),
        "release": text("release"),
        "summary": text("summary"),
        "description": text("description"),
        "solution": text("solution"),
        "references": [
            {name: each.get(name) for name in ("href", "id", "type", "title")}
            for each in element.child("references").all("reference")
        ],
        "collections": [_collection(each) for each in element.child("pkglist").all("collection")],
    }


def _collection(element: Element) -> dict[str, object]:
    modules = element.all("module")
    parts = ("name", "stream", "version", "context", "arch")
    return {
        "short": element.get("short"),
        "name": element.child("name").text,
        "module": [modules[0].get(part) for part in parts] if modules else [],
        "packages": [
            {
                "name": each.get("name"),
                "epoch": each.get("epoch") or "0",
                "version": each.get("version"),
                "release": each.get("release"),
                "architecture": each.get("arch"),
                "filename": each.child("filename").text,
                "source": each.get("src"),
                "suggests": [s for s in _SUGGESTS if each.all(f"{s}_suggested")],
            }
            for each in element.all("package")
        ],
    }


def modules_of(file: Path, limits: Limits) -> Iterator[Module]:
    """Yield the documents of ``modules.yaml`` as they stand there.

    The file is YAML, of which only the shape that every producer writes is understood: documents between
    ``---`` lines, keys at the beginning of lines, one package in a line.

    Raises:
        BadReleaseError: A document names no module, or is no text.
        CollectLimitError: A bound.

    """
    data = b"".join(plain(file, min(MODULES_LIMIT, limits.index_bytes)))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        what = "modules.yaml is no UTF-8 text."
        raise BadReleaseError(what) from error
    for document in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE):
        lines = [line for line in document.splitlines() if line.strip() and line.strip() != "..."]
        if lines:
            yield _module(lines)


def _module(lines: list[str]) -> Module:
    values: dict[str, str] = {}
    packages: list[str] = []
    path: list[tuple[int, str]] = []
    for line in lines:
        if key := _KEY.match(line):
            depth = len(key[1])
            path = [*(p for p in path if p[0] < depth), (depth, key[2])]
            if scalar := _SCALAR.match(line):
                values.setdefault(key[2], scalar[1])
        elif [name for _, name in path] == ["data", "artifacts", "rpms"] and (item := _ITEM.match(line)):
            packages.append(item[1])
    try:
        return checked(
            Module,
            {
                "name": values.get("name") or values.get("module") or _unnamed(),
                "stream": values.get("stream", ""),
                "text": "\n".join(lines) + "\n",
                "packages": packages,
            },
        )
    except LockgateError as error:
        what = f"A document of modules.yaml cannot cross: {error.what}"
        raise BadReleaseError(what) from error


def _unnamed() -> str:
    what = "A document of modules.yaml names no module."
    raise BadReleaseError(what)


def hidden(modules: Iterable[Module], enabled: Collection[str]) -> set[str]:
    """Return the packages of streams that dnf passes over: neither enabled nor a default."""
    known = list(modules)
    named = {each.partition(":")[0] for each in enabled}
    defaults = {f"{m.name}:{m.stream}" for m in known if not m.packages and m.name not in named}
    seen = {*enabled, *defaults}
    return {p for m in known if f"{m.name}:{m.stream}" not in seen for p in m.packages}


def kept(modules: Iterator[Module], taken: Collection[str]) -> tuple[Module, ...]:
    """Return the streams that have at least one of these packages, and what is about their modules."""
    known = list(modules)
    names = {m.name for m in known if any(p in taken for p in m.packages)}
    mine = [m for m in known if m.name in names]
    return tuple(m for m in mine if not m.packages or any(p in taken for p in m.packages))
