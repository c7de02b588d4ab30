"""Repository metadata as XML: ``primary``, ``filelists``, ``other`` and ``updateinfo``.

The order of elements is createrepo_c's, whose readers are the widest spread.
"""

import re
from collections.abc import Collection as Names
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from xml.sax.saxutils import escape, quoteattr

from lockgate.core.artifact import ArtifactFile
from lockgate.core.rpm import (
    Capability,
    Collection,
    Erratum,
    ErratumPackage,
    FileEntry,
    Relation,
    RpmPackage,
    location,
)

_COMMON = "http://linux.duke.edu/metadata/common"
_RPM = "http://linux.duke.edu/metadata/rpm"
_FILELISTS = "http://linux.duke.edu/metadata/filelists"
_OTHER = "http://linux.duke.edu/metadata/other"

_SPECIAL = re.compile(r'[&<>"\n\r\t]').search
"""Finds what cannot stand in a text or an attribute as it is: most have nothing of the kind."""

Packages = Sequence[tuple[RpmPackage, ArtifactFile]]


class Markup:
    """Writes one XML document, element by element; every text and attribute is escaped here."""

    def __init__(self, root: str, **attributes: str) -> None:
        """Begin a document with its root element; ``__`` in a name stands for a colon."""
        self._parts = ['<?xml version="1.0" encoding="UTF-8"?>\n', _start(root, attributes), "\n"]
        self._root = root

    def text(self, tag: str, content: str, **attributes: str) -> None:
        """Write an element with a text."""
        self._parts.append(
            f"{_start(tag, attributes)}{escape(content) if _SPECIAL(content) else content}</{tag}>\n"
        )

    def empty(self, tag: str, **attributes: str) -> None:
        """Write an element without content; attributes that say nothing are left out."""
        self._parts.append(f"{_start(tag, attributes)[:-1]}/>\n")

    @contextmanager
    def within(self, tag: str, **attributes: str) -> Iterator[None]:
        """Write an element around what is written meanwhile."""
        self._parts.append(f"{_start(tag, attributes)}\n")
        yield
        self._parts.append(f"</{tag}>\n")

    def finish(self) -> bytes:
        """End the document and return it."""
        return "".join([*self._parts, f"</{self._root}>\n"]).encode()


def _start(tag: str, attributes: dict[str, str]) -> str:
    """Return a start tag; an attribute's name may end in ``_`` where Python knows the word."""
    if not attributes:
        return f"<{tag}>"
    given = [f" {_named(name)}={_quoted(value)}" for name, value in attributes.items() if value]
    return f"<{tag}{''.join(given)}>"


@cache
def _named(name: str) -> str:
    return name.removesuffix("_").replace("__", ":")


def _quoted(value: str) -> str:
    return quoteattr(value) if _SPECIAL(value) else f'"{value}"'


def primary(packages: Packages) -> bytes:
    """Return what dnf needs to choose: names, relations, and the files that others may require."""
    markup = Markup("metadata", xmlns=_COMMON, xmlns__rpm=_RPM, packages=str(len(packages)))
    for package, file in packages:
        with markup.within("package", type="rpm"):
            markup.text("name", package.name)
            markup.text("arch", package.architecture)
            _version(markup, package)
            markup.text("checksum", file.sha256, type="sha256", pkgid="YES")
            for tag in ("summary", "description", "packager", "url"):
                markup.text(tag, getattr(package, tag))
            markup.empty("time", file=str(package.times[0]), build=str(package.times[1]))
            installed, archive = map(str, package.sizes)
            markup.empty("size", package=str(file.size), installed=installed, archive=archive)
            markup.empty("location", href=location(package))
            with markup.within("format"):
                _format(markup, package)
    return markup.finish()


def _format(markup: Markup, package: RpmPackage) -> None:
    for tag, content in (
        ("license", package.licence),
        ("vendor", package.vendor),
        ("group", package.group),
        ("buildhost", package.build_host),
        ("sourcerpm", package.source),
    ):
        markup.text(f"rpm:{tag}", content)
    if any(package.header):
        markup.empty("rpm:header-range", start=str(package.header[0]), end=str(package.header[1]))
    for relation in Relation:
        if relation in package.relations:
            with markup.within(f"rpm:{relation}"):
                for each in package.relations[relation]:
                    _capability(markup, each)
    for entry in package.files:
        if _is_primary(entry.path):
            _file(markup, entry)


def _capability(markup: Markup, each: Capability) -> None:
    markup.empty(
        "rpm:entry",
        name=each.name,
        flags=each.flags,
        epoch=each.epoch,
        ver=each.version,
        rel=each.release,
        pre="1" if each.pre else "",
    )


def _is_primary(path: str) -> bool:
    """Tell whether a file stands in ``primary``: those that packages commonly require by path."""
    return path.startswith("/etc/") or "bin/" in path or path == "/usr/lib/sendmail"


def _file(markup: Markup, entry: FileEntry) -> None:
    markup.text("file", entry.path, type=entry.type)


def _version(markup: Markup, package: RpmPackage) -> None:
    markup.empty("version", epoch=package.epoch, ver=package.version, rel=package.release)


def filelists(packages: Packages) -> bytes:
    """Return the files of every package."""
    markup = Markup("filelists", xmlns=_FILELISTS, packages=str(len(packages)))
    for package, file in packages:
        with markup.within("package", pkgid=file.sha256, name=package.name, arch=package.architecture):
            _version(markup, package)
            for entry in package.files:
                _file(markup, entry)
    return markup.finish()


def other(packages: Packages) -> bytes:
    """Return the changes of every package."""
    markup = Markup("otherdata", xmlns=_OTHER, packages=str(len(packages)))
    for package, file in packages:
        with markup.within("package", pkgid=file.sha256, name=package.name, arch=package.architecture):
            _version(markup, package)
            for change in package.changes:
                markup.text("changelog", change.text, author=change.author, date=str(change.date))
    return markup.finish()


def updateinfo(errata: Iterable[Erratum], admitted: Names[str]) -> bytes:
    """Return the errata that bring something that is admitted (full names), and of that alone."""
    markup, some = Markup("updates"), False
    for erratum in errata:
        lists = [
            (each, mine)
            for each in erratum.collections
            if (mine := [p for p in each.packages if p.nevra in admitted])
        ]
        if not lists:
            continue
        some = True
        given = {"from_": erratum.sender, "status": erratum.status, "type": erratum.type}
        with markup.within("update", **given, version=erratum.version):
            _erratum(markup, erratum)
            with markup.within("pkglist"):
                for collection, packages in lists:
                    _collection(markup, collection, packages)
    return markup.finish() if some else b""


def _erratum(markup: Markup, erratum: Erratum) -> None:
    markup.text("id", erratum.id)
    markup.text("title", erratum.title)
    for tag in ("issued", "updated"):
        if date := getattr(erratum, tag):
            markup.empty(tag, date=date)
    for tag in ("rights", "release", "severity", "summary", "description", "solution"):
        if content := getattr(erratum, tag):
            markup.text(tag, content)
    with markup.within("references"):
        for each in erratum.references:
            markup.empty("reference", href=each.href, id=each.id, type=each.type, title=each.title)


def _collection(markup: Markup, collection: Collection, packages: Iterable[ErratumPackage]) -> None:
    with markup.within("collection", short=collection.short):
        markup.text("name", collection.name)
        if any(collection.module):
            names = ("name", "stream", "version", "context", "arch")
            markup.empty("module", **dict(zip(names, collection.module, strict=False)))
        for each in packages:
            with markup.within(
                "package",
                name=each.name,
                version=each.version,
                release=each.release,
                epoch=each.epoch,
                arch=each.architecture,
                src=each.source,
            ):
                markup.text("filename", each.filename)
                for what in each.suggests:
                    markup.text(f"{what}_suggested", "True")
