"""An APT repository of Nexus: a package is the body of a POST; Nexus reads from it where it belongs.

Source: Sonatype Nexus Repository, "APT repositories" ("Deploying packages to APT hosted repositories"). It
lists a package in the one suite that the repository is made for, and signs that with the key it was given.
"""

from collections.abc import Iterator
from urllib.parse import quote

from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.deb import DebPackage
from lockgate.core.wire import decode
from lockgate.targets.ports import Item, Target
from lockgate.targets.raw import package_files, send
from lockgate.targets.web import Web

FACTS_LIMIT = 4 << 20
"""Longest document about one package that is read, in bytes."""


class NexusAptTarget(Target):
    """A hosted APT repository; sources and suites' own lists are not for it."""

    kinds = frozenset({Kind.APT})

    def __init__(self, web: Web) -> None:
        """Speak to a repository."""
        self._web = web

    def takes(self, artifact: Artifact) -> bool:
        """Tell whether it is a binary package."""
        return super().takes(artifact) and bool(package_files(artifact, ".deb"))

    def put(self, item: Item) -> None:
        """Send the package, unless the repository gives it with its bytes."""
        file = package_files(item.artifact, ".deb")[0]
        if dict(self.held(item))[file.path] != file.sha256:
            send(self._web, ("POST", f"{self._web.url}/"), item, file, "multipart/form-data")

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the repository gives where its pool has packages of that name."""
        file = package_files(item.artifact, ".deb")[0]
        yield file.path, self._web.digest(self._web.at(self._pool(item)), self._web.basic())

    @staticmethod
    def _pool(item: Item) -> str:
        """Return where Nexus puts a package: its first letter, its name, its file with the whole version."""
        facts = next(f for f in item.artifact.files if f.role is Role.CORE_METADATA)
        known = decode(DebPackage, item.read(facts, FACTS_LIMIT), limit=FACTS_LIMIT)
        own = f"{known.name}_{known.version}_{known.architecture}.deb"
        return quote(f"pool/{known.name[0]}/{known.name}/{own}")
