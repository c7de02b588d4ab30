"""The machine's own pip as the package client: its configuration, its caches, its sources.

Uses the installation report (version 1, in pip since 23.0), the log file for the pages that
pip searched, and hash-checking mode for the download.
"""

import ast
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.utils import canonicalize_name

from lockgate.collect.errors import (
    CollectLimitError,
    InstallerError,
    NotAWheelError,
    TargetError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits, Packages, Request, Resolution, Target, Wheel
from lockgate.collect.runner import Run, run, run_text
from lockgate.collect.universal.places import manylinux
from lockgate.collect.web import WebSettings, shown
from lockgate.collect.wheels import split_filename

_SEARCHED = re.compile(r"location\(s\) to search for versions of (\S+):$")
_LOCATION = re.compile(r"(?:^|\s)\* (\S+)$")
_MANYLINUX = re.compile(r"manylinux_2_(\d{1,2})_([a-z0-9_]+)")


class _Archive(msgspec.Struct, frozen=True):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct, frozen=True):
    url: str
    archive_info: _Archive | None = None


class _Metadata(msgspec.Struct, frozen=True):
    name: str
    version: str


class _Item(msgspec.Struct, frozen=True):
    download_info: _Download
    metadata: _Metadata
    is_yanked: bool = False


class _Report(msgspec.Struct, frozen=True):
    version: str
    install: list[_Item]


class PipPackages(Packages):
    """pip in a child process; no address stands in here."""

    def __init__(
        self, environ: Mapping[str, str], *, python: str = sys.executable, limits: Limits | None = None
    ) -> None:
        """Use the pip of an interpreter, with an environment that carries its configuration."""
        self._environ = dict(environ)
        self._python = python
        self._limits = limits or Limits()

    def resolve(self, request: Request, work: Path, seen: Callable[[int], None]) -> Resolution:
        """Resolve with `pip install --dry-run --report`; nothing is installed."""
        report, log = work / "report.json", work / "pip.log"
        arguments = ["install", "--dry-run", "--ignore-installed", "--report", str(report), "--log", str(log)]
        if request.target.platform:
            arguments += ["--target", str(work / "target")]
        self._run(arguments, request, request.requirements, work, seen)
        return Resolution(
            wheels=self._wheels(_bounded(report, self._limits.report_bytes)),
            pages=_pages(log, self._limits.log_bytes),
        )

    def download(
        self, request: Request, wheels: tuple[Wheel, ...], work: Path, seen: Callable[[int], None]
    ) -> Mapping[str, Path]:
        """Fetch with `pip download` in hash-checking mode."""
        folder = work / "wheels"
        lines = [f"{w.project}=={w.version} --hash=sha256:{w.sha256}" for w in wheels]
        exact = Request(
            requirements=tuple(lines),
            target=request.target,
            dependencies=False,
            find_links=(*request.find_links, *_direct(wheels)),
            offline=request.offline,
        )
        arguments = ["download", "--require-hashes", "--dest", str(folder)]
        self._run(arguments, exact, exact.requirements, work, seen)
        found = {w.sha256: folder / w.filename for w in wheels}
        absent = [path.name for path in found.values() if not path.is_file()]
        if absent:
            what = f"pip ended without an error but did not fetch {absent[0]}."
            raise InstallerError(what)
        return found

    def web_settings(self) -> WebSettings:
        """Return how pip reaches its sources, so that their pages are read the same way."""
        values = settings_of(self._python, self._environ)
        timeout = values.get("timeout") or values.get("default-timeout") or "60"
        authorities = values.get("cert") or self._environ.get("REQUESTS_CA_BUNDLE", "")
        return WebSettings(
            authorities=authorities,
            proxy=values.get("proxy", ""),
            timeout=float(timeout) if re.fullmatch(r"\d{1,4}(\.\d+)?", timeout) else 60.0,
        )

    def _run(
        self,
        arguments: list[str],
        request: Request,
        lines: Iterable[str],
        work: Path,
        seen: Callable[[int], None],
    ) -> None:
        wanted = work / "requirements.txt"
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        command = [self._python, "-m", "pip", *self._interpreter(request.target), *arguments]
        command += ["--only-binary", ":all:", "--no-input", "--no-color", "--disable-pip-version-check"]
        command += ["--quiet", "--progress-bar", "off", "--requirement", str(wanted)]
        command += [] if request.dependencies else ["--no-deps"]
        command += ["--no-index"] if request.offline else []
        command += [part for link in request.find_links for part in ("--find-links", link)]
        command += [part for tag in platform_tags(request.target) for part in ("--platform", tag)]
        run(Run(command, self._environ, work, self._limits.client_seconds), seen)

    def _interpreter(self, target: Target) -> list[str]:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if target.python in {"", here}:
            return []
        other = shutil.which(f"python{target.python}", path=self._environ.get("PATH"))
        if other is None:
            what = f"Python {target.python} is not installed here, so its requirements cannot be judged."
            raise TargetError(what, python=target.python)
        return ["--python", other]

    def _wheels(self, data: bytes) -> tuple[Wheel, ...]:
        try:
            report = msgspec.json.decode(data, type=_Report)
        except msgspec.DecodeError as error:
            what = f"pip's report cannot be read: {error}."
            raise InstallerError(what) from error
        if report.version != "1":
            what = f"pip's report has the unknown version {report.version[:20]!r}."
            raise InstallerError(what)
        if len(report.install) > self._limits.wheels:
            what = f"The requirements resolve to more than {self._limits.wheels} wheels."
            raise CollectLimitError(what, limit="wheels")
        return tuple(sorted((_wheel(item) for item in report.install), key=lambda w: w.filename))


def platform_tags(target: Target) -> tuple[str, ...]:
    """Return the platform tags that a target accepts, best first (PEP 600); none for this machine.

    Raises:
        TargetError: Another kind of machine than this one, whose markers cannot be judged here.

    """
    if not target.platform:
        return ()
    match = _MANYLINUX.fullmatch(target.platform)
    if match is None or sys.platform != "linux" or match[2] != platform.machine():
        what = f"Wheels for {target.platform} cannot be resolved on {sys.platform} {platform.machine()}."
        raise TargetError(what, platform=target.platform)
    return manylinux(int(match[1]), match[2])


def settings_of(python: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of an interpreter's pip.

    Raises:
        InstallerError: It has none, or it does not answer.

    """
    return read_config(run_text([python, "-m", "pip", "config", "list"], environ))


def read_config(text: str) -> Mapping[str, str]:
    """Return pip's settings from `pip config list`: environment over command over global."""
    rank = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        try:
            plain = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            continue
        if section in rank and isinstance(plain, str) and rank[section] >= found.get(key, (-1, ""))[0]:
            found[key] = rank[section], plain
    return {key: value for key, (_, value) in found.items()}


def _wheel(item: _Item) -> Wheel:
    url = item.download_info.url
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    digest = (
        item.download_info.archive_info.hashes.get("sha256", "") if item.download_info.archive_info else ""
    )
    if not re.fullmatch("[0-9a-f]{64}", digest):
        what = f"The source of {filename[:200]} gives no SHA-256."
        raise UnresolvableError(what, advice="Use an index that lists SHA-256 hashes.", url=shown(url))
    project, version = split_filename(filename)
    if canonicalize_name(item.metadata.name) != project:
        what = f"{filename} was found for {item.metadata.name[:100]!r}."
        raise NotAWheelError(what, url=shown(url))
    return Wheel(
        project=project,
        version=version,
        filename=filename,
        url=url,
        sha256=digest,
        yanked="yanked" if item.is_yanked else "",
    )


def _direct(wheels: Iterable[Wheel]) -> Iterator[str]:
    """Yield the folders of local wheels, so that direct references are found again by name."""
    yield from sorted({w.url.rpartition("/")[0] for w in wheels if w.url.startswith("file:")})


def _bounded(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        what = f"pip wrote no {path.name}: {error.strerror}."
        raise InstallerError(what) from error
    if len(data) > limit:
        what = f"{path.name} of pip is longer than {limit} bytes."
        raise CollectLimitError(what, limit="report_bytes")
    return data


def _pages(log: Path, limit: int) -> Mapping[str, tuple[str, ...]]:
    """Return the http pages that pip searched, by project; a missing log means none are known."""
    pages: dict[str, list[str]] = {}
    project = ""
    if not log.is_file():
        return {}
    with log.open(encoding="utf-8", errors="replace") as lines:
        read = 0
        while read < limit and (line := lines.readline(1 << 16)):
            read += len(line)
            if head := _SEARCHED.search(line.rstrip()):
                project = canonicalize_name(head[1])
            elif project and (place := _LOCATION.search(line.rstrip())):
                if _is_page(place[1]) and place[1] not in pages.setdefault(project, []):
                    pages[project].append(place[1])
            else:
                project = ""
    return {name: tuple(addresses) for name, addresses in pages.items()}


def _is_page(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in {"http", "https"} and "@" not in parts.netloc
