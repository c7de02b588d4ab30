"""The machine's own npm as the client of registries: its configuration, its cache, its registries.

No script of a package runs (``ignore-scripts``), and nothing is taken from git, folders or addresses
outside a registry. An older npm passes over settings that it does not know.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    InstallerError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.npm.ports import Locked, NpmClient, Project
from lockgate.collect.ports import Limits
from lockgate.collect.runner import REASON_LENGTH, Client, Run, run
from lockgate.collect.web import UrlWeb, WebSettings, read_bounded
from lockgate.core.errors import LockgateError
from lockgate.core.npm import tarball_name

_ADVICE = "Check names and ranges, and which registries `npm config list` names."
_COMMON = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--no-color",
    "--loglevel=error",
    "--allow-git=none",
    "--allow-file=none",
    "--allow-directory=none",
)
_LOCK = (
    "--package-lock-only",
    "--package-lock",
    "--lockfile-version=3",
    "--omit-lockfile-registry-resolved=false",
    "--include=dev",
    "--include=optional",
    "--include=peer",
    "--allow-remote=none",  # `npm pack` would count a registry's own archives as such
)
_WEB_SECONDS = 60.0
"""Longest wait for an answer about attestations."""

_CODE = re.compile(r"^npm (?:error|ERR!) code (\w+)", re.MULTILINE)
_LINE = re.compile(r"^npm (?:error|ERR!) (?!code |A complete log|\s*$)(.+)$", re.MULTILINE)
_SECRETS = re.compile(r"(?<=://)[^/\s@]+@")
_KINDS: Mapping[str, type[LockgateError]] = {
    "E404": UnresolvableError,
    "ETARGET": UnresolvableError,
    "ENOVERSIONS": UnresolvableError,
    "ERESOLVE": UnresolvableError,
    "EBADENGINE": UnresolvableError,
    "EINVALIDPACKAGENAME": UnresolvableError,
    "EALLOWGIT": UnresolvableError,
    "EALLOWREMOTE": UnresolvableError,
    "EINTEGRITY": DigestMismatchError,
    "ENOSPC": DiskFullError,
    "ENOTFOUND": UnreachableError,
    "EAI_AGAIN": UnreachableError,
    "ECONNREFUSED": UnreachableError,
    "ECONNRESET": UnreachableError,
    "ETIMEDOUT": UnreachableError,
    "ERR_SOCKET_TIMEOUT": UnreachableError,
    "ENETUNREACH": UnreachableError,
    "EHOSTUNREACH": UnreachableError,
    "E401": UnreachableError,
    "E403": UnreachableError,
    "E429": UnreachableError,
    "E500": UnreachableError,
    "E502": UnreachableError,
    "E503": UnreachableError,
    "E504": UnreachableError,
}


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what npm said, with its own reason in one line."""
    code = found[1] if (found := _CODE.search(words)) else ""
    kind = _KINDS.get(code, InstallerError)
    lines = [line.strip() for line in _LINE.findall(words) if line.strip()]
    reason = _SECRETS.sub("", lines[0] if lines else f"it ended with status {status}")
    what = f"npm: {code + ' ' if code else ''}{reason[:REASON_LENGTH].rstrip('.')}."
    return kind(what, advice=_ADVICE) if kind is UnresolvableError else kind(what)


_NPM = Client("npm", ".tgz", blame)


class NpmCommand(NpmClient):
    """npm in a child process; no address stands in here."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        npm: str = "npm",
        offline: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Use an npm, with an environment that carries its configuration; offline from its cache alone."""
        self._environ = dict(environ)
        self._npm = npm
        self._more = ("--offline",) if offline else ()
        self._limits = limits or Limits()

    def lock(self, project: Project, work: Path, seen: Callable[[int], None]) -> bytes:
        """Resolve with `npm install --package-lock-only`; nothing is installed."""
        folder = _project_folder(work, project.settings)
        (folder / "package.json").write_bytes(project.package_json)
        self._run(["install", *_LOCK], folder, seen)
        return self._read(folder / "package-lock.json")

    def describe(
        self, name: str, versions: Sequence[str], work: Path, settings: bytes | None = None
    ) -> Mapping[str, Mapping[str, Any]]:
        """Ask with `npm view`; what was resolved just now is read from npm's cache."""
        folder = _project_folder(work, settings)
        answer = folder / "answer.json"
        wanted = " || ".join(versions)
        self._run(["view", f"{name}@{wanted}", "--json", "--prefer-offline"], folder, lambda _: None, answer)
        found = {str(one.get("version")): one for one in self._objects(answer)}
        absent = [version for version in versions if version not in found]
        if absent:
            what = f"The registry does not describe {name} {absent[0]}."
            raise UnresolvableError(what, advice=_ADVICE)
        return {version: found[version] for version in versions}

    def attested(
        self, name: str, address: str, work: Path, limit: int, settings: bytes | None = None
    ) -> bytes:
        """Ask the registry that npm names for the package, over npm's own proxy and authorities.

        npm shows nobody the words by which it logs in: a registry that demands them refuses here.
        """
        if self._more:
            what = "The registry is not asked for attestations without a network."
            raise UnreachableError(what)
        said = self._settings(work, settings)
        scope = name.partition("/")[0] if name.startswith("@") else ""
        registry = said.get(f"{scope}:registry") or said.get("registry")
        if not isinstance(registry, str):
            what = "npm names no registry."
            raise InstallerError(what)
        try:
            path = urlsplit(address).path
            asked = urlsplit(registry)._replace(path=path, query="", fragment="").geturl()
        except ValueError as error:
            what = f"The registry names an address of attestations that is none: {error}."
            raise UnreachableError(what) from error
        return read_bounded(UrlWeb(_web_settings(said)), asked, limit, "application/json")[1]

    def _settings(self, work: Path, settings: bytes | None) -> dict[str, Any]:
        """Return npm's configuration, without what it protects."""
        folder = _project_folder(work, settings)
        answer = folder / "settings.json"
        self._run(["config", "list", "--json"], folder, lambda _: None, answer)
        found = self._objects(answer)
        return found[0] if found else {}

    def fetch(
        self,
        wanted: Iterable[Locked],
        work: Path,
        seen: Callable[[int], None],
        settings: bytes | None = None,
    ) -> Mapping[tuple[str, str], Path]:
        """Fetch with `npm pack`, which writes a registry's archives as they are."""
        folder = _project_folder(work, settings)
        found: dict[tuple[str, str], Path] = {}
        for number, group in enumerate(_apart(wanted)):
            target = folder / "tmp" / str(number)
            target.mkdir(parents=True)
            specs = [f"{one.name}@{one.version}" for one in group.values()]
            self._run(["pack", "--pack-destination", str(target), *specs], folder, seen)
            for filename, one in group.items():
                path = target / filename
                if not path.is_file():
                    what = f"npm ended without an error but did not fetch {filename}."
                    raise InstallerError(what)
                found[one.name, one.version] = path
        return found

    def _run(
        self, arguments: list[str], work: Path, seen: Callable[[int], None], output: Path | None = None
    ) -> None:
        command = [self._npm, *arguments, *_COMMON, *self._more]
        run(Run(command, self._environ, work, self._limits.client_seconds, _NPM, output), seen)

    def _objects(self, path: Path) -> list[dict[str, Any]]:
        try:
            value = json.loads(self._read(path))
        except (ValueError, RecursionError) as error:
            what = f"npm's answer cannot be read: {error}."
            raise InstallerError(what) from error
        listed = value if isinstance(value, list) else [value]
        return [one for one in listed if isinstance(one, dict)]

    def _read(self, path: Path) -> bytes:
        limit = self._limits.report_bytes
        try:
            with path.open("rb") as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            what = f"npm wrote no {path.name}: {error.strerror}."
            raise InstallerError(what) from error
        if len(data) > limit:
            what = f"{path.name} of npm is longer than {limit} bytes."
            raise CollectLimitError(what, limit="report_bytes")
        return data


def _web_settings(said: Mapping[str, Any]) -> WebSettings:
    """Return how npm reaches its registries: its authorities, its proxy, its time-out (milliseconds)."""
    authorities, proxy, timeout = (said.get(name) for name in ("cafile", "https-proxy", "fetch-timeout"))
    return WebSettings(
        authorities=authorities if isinstance(authorities, str) else "",
        proxy=proxy if isinstance(proxy, str) else "",
        timeout=min(timeout / 1000, _WEB_SECONDS)
        if isinstance(timeout, int) and timeout > 0
        else _WEB_SECONDS,
    )


def _project_folder(work: Path, settings: bytes | None) -> Path:
    """Return the folder that npm takes for the project, readable by nobody else.

    Without a package.json of its own npm would go up, and read the settings of whatever project lies
    above: another registry for a scope, for example.
    """
    work.chmod(0o700)
    (work / "package.json").write_bytes(b'{"private": true}')
    if settings is not None:
        (work / ".npmrc").write_bytes(settings)
    return work


def _apart(wanted: Iterable[Locked]) -> Iterator[Mapping[str, Locked]]:
    """Yield groups in which no two archives get one name: ``@a/b`` and ``a-b`` are both ``a-b-1.0.0.tgz``."""
    groups: list[dict[str, Locked]] = []
    for one in wanted:
        name = one.name.removeprefix("@").replace("/", "-")
        filename = tarball_name(name, one.version)
        group = next((g for g in groups if filename not in g), None)
        if group is None:
            groups.append(group := {})
        group[filename] = one
    yield from groups
