"""Reading the host's own apt sources (sources.list(5)): both of its formats, nothing that weakens trust."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lockgate.collect.apt.ports import Source
from lockgate.collect.errors import UnresolvableError

FILE_LIMIT = 1 << 20
"""Longest file of sources that is read, in bytes."""

_OPTIONS = re.compile(r"\[([^\]]*)\]")


def find_sources(files: Iterable[Path], suites: Iterable[str]) -> tuple[Source, ...]:
    """Return where files of sources find some suites; the first that names a suite and component counts.

    Options such as ``trusted`` are passed over: what is not signed is not collected.

    Raises:
        UnresolvableError: None of them names a suite.

    """
    known = [source for file in files for source in _read(file)]
    found: list[Source] = []
    for suite in suites:
        mine = [source for source in known if suite in source.suites]
        if not mine:
            what = f"This host's apt sources do not name the suite {suite!r}."
            raise UnresolvableError(what, advice="Name an [[apt.upstream]] with address and keyring.")
        taken: set[str] = set()
        for source in mine:
            fresh = tuple(c for c in source.components if c not in taken)
            taken.update(fresh)
            if fresh:
                found.append(Source(source.url, (suite,), fresh, source.signed_by))
    return tuple(found)


def source_files(main: Path, parts: Path) -> list[Path]:
    """Return the files that apt reads, in its order."""
    names = sorted(parts.iterdir()) if parts.is_dir() else []
    return [
        file for file in (main, *(n for n in names if n.suffix in {".list", ".sources"})) if file.is_file()
    ]


def _read(file: Path) -> Iterator[Source]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        text = stream.read(FILE_LIMIT)
    yield from _deb822(text) if file.suffix == ".sources" else _one_line(text)


def _deb822(text: str) -> Iterator[Source]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"} and name:
                fields[name] += f"\n{line}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {
            "no",
            "false",
        }:
            continue
        for url in fields.get("uris", "").split():
            suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
            yield Source(url, tuple(suites), tuple(components), fields.get("signed-by", "").strip("\n"))


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        plain = line.partition("#")[0]
        options = _OPTIONS.search(plain)
        words = _OPTIONS.sub(" ", plain, count=1).split()
        if len(words) < 4 or words[0] != "deb":  # noqa: PLR2004  # type, address, suite, component
            continue
        signed = ""
        for option in (options[1] if options else "").split():
            key, _, value = option.partition("=")
            signed = value.replace(",", " ") if key.lower() == "signed-by" else signed
        yield Source(words[1], (words[2],), tuple(words[3:]), signed)
