"""An in-memory double of the registry client: every package has one version, ranges are not judged."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lockgate.collect.errors import CollectLimitError, UnreachableError, UnresolvableError
from lockgate.collect.npm.ports import Locked, NpmClient, Project
from lockgate.core.npm import tarball_name


class Offered(Protocol):
    """A package version with its archive."""

    name: str
    version: str
    package: dict[str, Any]
    data: bytes


class MemoryNpm(NpmClient):
    """Packages in a dictionary."""

    def __init__(self, packages: Iterable[Offered], *, quarrel: bool = False, unpacked: int = 0) -> None:
        """Offer packages.

        Args:
            packages: What there is.
            quarrel: Whether no two wishes fit into one project.
            unpacked: What the registry says each unpacks to, in bytes.

        """
        self.packages = {one.name: one for one in packages}
        self.swap: dict[str, bytes] = {}
        self.locked: list[list[str]] = []
        self.fetched: list[str] = []
        self.settings: set[bytes | None] = set()
        self.attestations: dict[str, bytes] = {}
        """Answers by the address that a version's entry names."""
        self._quarrel = quarrel
        self._unpacked = unpacked

    def lock(self, project: Project, work: Path, seen: Callable[[int], None]) -> bytes:  # noqa: ARG002  # needs neither
        """Return a lock of everything that the project reaches."""
        self.settings.add(project.settings)
        depends = json.loads(project.package_json).get("dependencies", {})
        waiting = [_target(name, wanted) for name, wanted in depends.items()]
        self.locked.append(sorted(waiting))
        if self._quarrel and len(waiting) > 1:
            what = "npm: ERESOLVE unable to resolve dependency tree."
            raise UnresolvableError(what)
        found: dict[str, Any] = {}
        while waiting:
            one = self._one(waiting.pop())
            if f"node_modules/{one.name}" not in found:
                found[f"node_modules/{one.name}"] = {
                    "version": one.version,
                    "integrity": _integrity(one.data),
                }
                waiting += one.package.get("dependencies", {})
        return json.dumps({"lockfileVersion": 3, "packages": found}).encode()

    def describe(
        self,
        name: str,
        versions: Sequence[str],
        work: Path,  # noqa: ARG002  # needs no folder
        settings: bytes | None = None,
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return each package's own package.json with what a registry adds."""
        self.settings.add(settings)
        one = self._one(name)
        dist: dict[str, Any] = {"unpackedSize": self._unpacked}
        address = f"memory:/-/npm/v1/attestations/{one.name}@{one.version}"
        if address in self.attestations:
            dist["attestations"] = {"url": address}
        said = {"name": name, "version": one.version, **one.package, "dist": dist}
        return dict.fromkeys(versions, said)

    def attested(
        self,
        name: str,  # noqa: ARG002  # there is one registry
        address: str,
        work: Path,  # noqa: ARG002  # needs no folder
        limit: int,
        settings: bytes | None = None,
    ) -> bytes:
        """Return the answer kept for an address; an empty one does not come."""
        self.settings.add(settings)
        data = self.attestations.get(address, b"")
        if not data:
            what = "A source does not answer: not found."
            raise UnreachableError(what)
        if len(data) > limit:
            what = f"An answer is longer than {limit} bytes."
            raise CollectLimitError(what)
        return data

    def fetch(
        self,
        wanted: Iterable[Locked],
        work: Path,
        seen: Callable[[int], None],
        settings: bytes | None = None,
    ) -> Mapping[tuple[str, str], Path]:
        """Write the archives as files."""
        self.settings.add(settings)
        found = {}
        for number, one in enumerate(wanted):
            spec = f"{one.name}@{one.version}"
            path = work / f"{number}-{tarball_name(one.name, one.version)}"
            path.write_bytes(self.swap.get(spec, self._one(one.name).data))
            seen(path.stat().st_size)
            self.fetched.append(spec)
            found[one.name, one.version] = path
        return found

    def _one(self, name: str) -> Offered:
        if name not in self.packages:
            what = f"npm: E404 {name} is not in this registry."
            raise UnresolvableError(what)
        return self.packages[name]


def _target(name: str, wanted: str) -> str:
    alias = wanted.removeprefix("npm:")
    return alias[:1] + alias[1:].partition("@")[0] if wanted.startswith("npm:") else name


def _integrity(data: bytes) -> str:
    return f"sha512-{b64encode(hashlib.sha512(data).digest()).decode()}"
