"""What uv is told of the machine's own package configuration: uv's, and pip's where uv has none.

Sources: uv's documentation of configuration files and environment variables; pip's of its configuration.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from lockgate.collect.errors import IndexPinError, InstallerError
from lockgate.collect.universal.ports import Index

CONFIG_LIMIT = 1 << 20
"""Longest configuration file that is read, in bytes."""

_UNSET = ("UV_NO_CONFIG", "UV_CONFIG_FILE", "UV_INDEX", "VIRTUAL_ENV", "UV_PROJECT", "UV_WORKING_DIRECTORY")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine's own configuration: the environment, and pip's settings from `pip config list`."""

    environ: Mapping[str, str]
    pip: Mapping[str, str]

    def named(self, index: Index) -> Index:
        """Return a pinned index with its address: the manifest's, or uv's own of that name.

        Raises:
            IndexPinError: Neither has one, or it is no address.

        """
        url = index.url or dict(self._indexes()).get(index.name, "")
        if not url:
            what = (
                f"The index {index.name!r} has no address in the manifest, and uv's configuration names none."
            )
            raise IndexPinError(what)
        if urlsplit(url).scheme not in {"https", "http", "file"} or "@" in urlsplit(url).netloc:
            what = f"The address of the index {index.name!r} is none that can be read without a user."
            raise IndexPinError(what)
        return Index(index.name, index.projects, url)

    def constraints(self) -> tuple[str, ...]:
        """Return the bounds on versions that pip's configuration names."""
        found = []
        for name in self.pip.get("constraint", "").split():
            lines = (line.partition(" #")[0].strip() for line in _read(Path(name)).splitlines())
            found += [line for line in lines if _is_requirement(line)]
        return tuple(found)

    def environment(self, work: Path, pinned: Mapping[str, Index]) -> dict[str, str]:
        """Return the environment that uv is run in.

        The configuration of uv counts; where it names no index, pip's does. Indexes to which projects are
        pinned are taken out: what uv finds in its environment it asks about every project.

        Args:
            work: A folder in which a configuration file may be laid out.
            pinned: Index by project.

        """
        kept = {key: value for key, value in self.environ.items() if key not in _UNSET}
        found = {**kept, **self._config(work), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        names = {index.name for index in pinned.values()}
        others = [word for word in self._words() if word.partition("=")[0] not in names]
        default, more = self._configured()
        if not more and (extra := self.pip.get("extra-index-url", "").split()):
            others += extra
            found.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip looks at them: all alike
        if not default and self.pip.get("index-url"):
            found["UV_DEFAULT_INDEX"] = self.pip["index-url"]
        if others:
            found["UV_INDEX"] = " ".join(others)
        if certificate := self.pip.get("cert"):
            found.setdefault("SSL_CERT_FILE", certificate)
        if proxy := self.pip.get("proxy"):
            for name in ("HTTP_PROXY", "HTTPS_PROXY"):
                found.setdefault(name, proxy)
        return found

    def no_index(self) -> bool:
        """Tell whether pip or uv is configured to use no index."""
        words = (self.pip.get("no-index", ""), self.environ.get("UV_NO_INDEX", ""))
        return any(word.lower() in {"1", "true", "yes", "on"} for word in words)

    def find_links(self) -> tuple[str, ...]:
        """Return the folders and pages of files that pip's configuration names."""
        return tuple(self.pip.get("find-links", "").split())

    def _configured(self) -> tuple[bool, bool]:
        """Tell whether uv's own configuration names a default index, and whether it names others."""
        tables = [table for file in self._files() for table in _tables(file, "index")]
        plain = {key for file in self._files() for key in ("index-url", "extra-index-url") if key in file}
        defaults = any(self.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
        others = any(self.environ.get(name) for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL"))
        default = defaults or "index-url" in plain or any(t.get("default") is True for t in tables)
        return default, others or "extra-index-url" in plain or any(not t.get("default") for t in tables)

    def _words(self) -> list[str]:
        return self.environ.get("UV_INDEX", "").split()

    def _indexes(self) -> Iterator[tuple[str, str]]:
        """Yield uv's own named indexes; where a name stands twice, the last is the one that counts."""
        for file in reversed(list(self._files())):
            for table in _tables(file, "index"):
                yield str(table.get("name", "")), str(table.get("url", ""))
        for word in self._words():
            name, sign, url = word.partition("=")
            if sign:
                yield name, url

    def _config(self, work: Path) -> dict[str, str]:
        """Lay out what uv is to read as its configuration: no file, or the one that is named."""
        none, named = self.environ.get("UV_NO_CONFIG", ""), self.environ.get("UV_CONFIG_FILE", "")
        if not none and not named:
            return {}
        folder = work / "config" / "uv"
        folder.mkdir(parents=True)
        if named and not none:
            (folder / "uv.toml").write_text(_read(Path(named)), encoding="utf-8")
        (work / "config" / "dirs").mkdir()
        return {"XDG_CONFIG_HOME": str(folder.parent), "XDG_CONFIG_DIRS": str(folder.parent / "dirs")}

    def _files(self) -> Iterator[Mapping[str, Any]]:
        """Yield uv's configuration files, the one that counts first."""
        if self.environ.get("UV_NO_CONFIG"):
            return
        if named := self.environ.get("UV_CONFIG_FILE"):
            yield _toml(Path(named))
            return
        home = self.environ.get("XDG_CONFIG_HOME") or str(Path(self.environ.get("HOME", "/"), ".config"))
        system = self.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        for folder in (home, *system.split(":"), "/etc"):
            yield _toml(Path(folder, "uv", "uv.toml"))


def _tables(file: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = file.get(key, [])
    return [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_read(path)) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        what = f"uv's configuration file {path.name} is not TOML: {error}."
        raise InstallerError(what, file=path) from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(CONFIG_LIMIT).decode()
    except (OSError, UnicodeDecodeError) as error:
        what = f"A file that the package configuration names cannot be read: {error}."
        raise InstallerError(what, file=path) from error


def _is_requirement(line: str) -> bool:
    try:
        return bool(line) and Requirement(line).url is None
    except InvalidRequirement:
        return False
