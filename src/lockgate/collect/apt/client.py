"""The machine's own apt, with folders of its own: no state, cache, hook or preference of the host is used.

What is taken from the host is how to reach the network (``Acquire`` settings: proxy, authorities, helpers;
``auth.conf``) without whatever makes apt less strict. apt verifies signatures, dates and digests itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lockgate.collect.apt.hostsources import find_sources, source_files
from lockgate.collect.apt.ports import AptClient, Download, IndexFile, Setup, Source, Verified, Wish
from lockgate.collect.apt.release import verify_release
from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    InstallerError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits
from lockgate.collect.runner import REASON_LENGTH, Client, Run, run, run_text
from lockgate.core.errors import LockgateError

HELPER = "/usr/lib/apt/apt-helper"

_SECRETS = re.compile(r"(?<=://)[^/\s@]+@")
_LINE = re.compile(r"^[EW]: +(.+)$", re.MULTILINE)
_SIGNS: tuple[tuple[str, type[LockgateError]], ...] = (
    ("Hash Sum mismatch", DigestMismatchError),
    ("NO_PUBKEY", BadReleaseError),
    ("BADSIG", BadReleaseError),
    ("is not signed", BadReleaseError),
    ("couldn't be verified", BadReleaseError),
    ("signature verification", BadReleaseError),
    ("is expired", BadReleaseError),
    ("is not valid yet", BadReleaseError),
    ("No space left on device", DiskFullError),
    ("enough free space", DiskFullError),
    ("Unable to locate package", UnresolvableError),
    ("has no installation candidate", UnresolvableError),
    ("was not found", UnresolvableError),
    ("unmet dependencies", UnresolvableError),
    ("Unmet dependencies", UnresolvableError),
    ("held broken packages", UnresolvableError),
    ("does not have a Release file", UnresolvableError),
    ("Could not resolve", UnreachableError),
    ("Temporary failure", UnreachableError),
    ("Failed to fetch", UnreachableError),
    ("Connection failed", UnreachableError),
    ("Could not connect", UnreachableError),
)
_ADVICE = "Check names, versions and suites; `apt-cache policy` shows what this host would take."
_KEEP = re.compile(r'^(Acquire::(?:http|https|ftp|cdrom|Retries|Queue-Mode|ForceIPv[46])\b[^\s]*) "(.*)";$')
_HASH = re.compile(r"^'[^']*' \S+ \d+ SHA256:([0-9a-f]{64})$", re.MULTILINE)
_TARGETS = "$(METAKEY)\t$(RELEASE)\t$(COMPONENT)\t$(ARCHITECTURE)\t$(FILENAME)\t$(REPO_URI)\t$(SOURCESENTRY)"


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what apt said, with its own reason in one line."""
    kind = next((error for sign, error in _SIGNS if sign in words), InstallerError)
    lines = [line.strip() for line in _LINE.findall(words)]
    told = [line for line in lines if any(sign in line for sign, error in _SIGNS if error is kind)]
    reason = _SECRETS.sub("", (told or lines or [f"it ended with status {status}"])[0])
    what = f"apt: {reason[:REASON_LENGTH].rstrip('.')}."
    return kind(what, advice=_ADVICE) if kind is UnresolvableError else kind(what)


_APT = Client("apt-get", ".deb", blame)


class AptCommand(AptClient):
    """apt-get, apt-config and apt's helper in child processes; no address stands in here."""

    def __init__(
        self, environ: Mapping[str, str], *, helper: str = HELPER, limits: Limits | None = None
    ) -> None:
        """Use an environment that says where programs lie and which proxy to take."""
        self._environ = {**environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        self._environ.pop("APT_CONFIG", None)
        self._helper = helper
        self._limits = limits or Limits()

    def architecture(self) -> str:
        """Ask apt's configuration."""
        return self._shell("APT::Architecture")["APT::Architecture"]

    def host_sources(self, suites: Sequence[str]) -> tuple[Source, ...]:
        """Read the files that apt's configuration names."""
        names = ("Dir::Etc::sourcelist/f", "Dir::Etc::sourceparts/d")
        found = self._shell(*names)
        files = source_files(*(Path(found.get(name, "/dev/null")) for name in names))
        return find_sources(files, suites)

    def update(self, setup: Setup, seen: Callable[[int], None]) -> list[IndexFile]:
        """Fetch with `apt-get update`; whatever fails, fails all of it."""
        self._prepare(setup)
        self._run(setup, ["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], seen)
        out = setup.work / "targets.txt"
        self._run(setup, ["apt-get", "indextargets", "--format", _TARGETS], lambda _: None, out)
        return [found for line in self._text(out).splitlines() if (found := _index(setup, line))]

    def verify(self, index: IndexFile, work: Path) -> Verified:
        """Verify with gpgv."""
        trusted = self._shell("Dir::Etc::trusted/f", "Dir::Etc::trustedparts/d")
        return verify_release(
            index.release, index.source.signed_by, list(trusted.values()), self._environ, work
        )

    def solve(self, setup: Setup, wish: Wish) -> list[str]:
        """Resolve with `apt-get install --print-uris`, on a system where nothing is installed."""
        command = ["apt-get", "dist-upgrade" if wish.upgrade else "install", "--print-uris", "-y", "-q"]
        command += ["-o", f"APT::Architecture={wish.architecture}"]
        command += ["-o", f"APT::Install-Recommends={'true' if wish.recommends else 'false'}"]
        out = setup.work / "solved.txt"
        self._run(setup, [*command, "--", *wish.names], lambda _: None, out)
        return _HASH.findall(self._text(out))

    def fetch(
        self, setup: Setup, files: Sequence[Download], folder: Path, seen: Callable[[int], None]
    ) -> Mapping[str, Path]:
        """Fetch with `apt-helper download-file`, which goes on with what lies there in part."""
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        places = {f.sha256: folder / "tmp" / f"{f.sha256}{_APT.suffix}" for f in files}
        words = [word for f in files for word in (f.url, str(places[f.sha256]), f"SHA256:{f.sha256}")]
        environ = self._within(setup)
        command = [self._helper, "download-file", *words]
        run(Run(command, environ, folder, self._limits.client_seconds, _APT), seen)
        return places

    def _prepare(self, setup: Setup) -> None:
        """Write the configuration and the sources, and make the folders."""
        work = setup.work
        for name in ("etc/preferences.d", "lists/partial", "archives/partial", "state", "log"):
            (work / name).mkdir(parents=True, exist_ok=True)
        status = work / "status"
        status.write_bytes(setup.status.read_bytes() if setup.status else b"")
        for number, source in enumerate(setup.sources):  # a file each: apt says which one an index is of
            (work / f"etc/{number}.sources").write_text(_deb822(setup, source))
        own = {
            "Dir::Etc": work / "etc",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": work / "etc",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": work / "etc/preferences.d",
            "Dir::State": work / "state",
            "Dir::State::lists": work / "lists",
            "Dir::State::status": status,
            "Dir::Cache": work / "state",
            "Dir::Cache::archives": work / "archives",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": work / "log",
            "APT::Architecture": setup.architectures[0],
            "APT::Sandbox::User": "root",  # the folder is ours alone: another user could not write there
            "APT::Install-Suggests": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
            "Acquire::PDiffs": "false",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Check-Valid-Until": "true",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Debug::NoLocking": "true",
        }
        lines = [f'{key} "{value}";' for key, value in own.items()]
        lines += [f'APT::Architectures:: "{name}";' for name in setup.architectures]
        (work / "apt.conf").write_text("\n".join([*self._network(), *lines]) + "\n")

    def _network(self) -> list[str]:
        """Return the host's settings about the way to the network, and where its passwords lie."""
        dumped = run_text(["apt-config", "dump"], self._environ)
        kept = [line for line in dumped.splitlines() if _KEEP.match(line)]
        secrets = self._shell("Dir::Etc::netrc/f", "Dir::Etc::netrcparts/d")
        kept += [f'{key.partition("/")[0]} "{value}";' for key, value in secrets.items()]
        return kept if any("Acquire::Retries" in line for line in kept) else [*kept, 'Acquire::Retries "3";']

    def _shell(self, *names: str) -> dict[str, str]:
        """Return settings of the host's own apt by name."""
        words = [w for number, name in enumerate(names) for w in (f"V{number}", name)]
        text = run_text(["apt-config", "shell", *words], self._environ)
        found = dict(re.findall(r"^V(\d+)='(.*)'$", text, re.MULTILINE))
        return {name: found[str(number)] for number, name in enumerate(names) if str(number) in found}

    def _run(
        self, setup: Setup, command: list[str], seen: Callable[[int], None], output: Path | None = None
    ) -> None:
        run(Run(command, self._within(setup), setup.work, self._limits.client_seconds, _APT, output), seen)

    def _within(self, setup: Setup) -> dict[str, str]:
        return {**self._environ, "APT_CONFIG": str(setup.work / "apt.conf")}

    def _text(self, path: Path) -> str:
        if path.stat().st_size > self._limits.report_bytes:
            what = f"{path.name} of apt is longer than {self._limits.report_bytes} bytes."
            raise CollectLimitError(what, limit="report_bytes")
        return path.read_text(encoding="utf-8", errors="replace")


def _deb822(setup: Setup, source: Source) -> str:
    """Return one source; without keys of its own it is verified by those that the host trusts."""
    lines = [
        f"Types: {'deb deb-src' if setup.deb_src else 'deb'}",
        f"URIs: {source.url}",
        f"Suites: {' '.join(source.suites)}",
        f"Components: {' '.join(source.components)}",
        f"Architectures: {' '.join(setup.architectures)}",
    ]
    if source.signed_by:
        lines.append(f"Signed-By: {source.signed_by}")
    return "\n".join(lines) + "\n"


def _index(setup: Setup, line: str) -> IndexFile | None:
    """Return what one line of apt's list of indexes names, where it is an index of packages or sources."""
    key, suite, component, architecture, name, url, entry = line.split("\t")
    kind = key.rpartition("/")[2]
    if kind not in {"Packages", "Sources"}:
        return None
    file = Path(name)
    prefix = file.name.removesuffix(key.replace("/", "_"))
    number = Path(entry.rpartition(":")[0]).stem
    if not number.isdecimal() or prefix == file.name:
        what = f"apt says of an index what cannot be understood: {line[:200]!r}."
        raise InstallerError(what)
    source, which = setup.sources[int(number)], "source" if kind == "Sources" else architecture
    return IndexFile(source, suite, component, which, key, file, file.with_name(f"{prefix}InRelease"), url)
