"""Files by their path as a target: one PUT each, as raw and generic repositories take them.

Sources: Sonatype Nexus Repository, "Raw repositories" and "Yum repositories" (``PUT
/repository/{name}/{path}``); JFrog Artifactory REST API, "Deploy artifact" (``PUT /{repository}/{path}`` with
``X-Checksum-Sha256``: a body with another digest is refused) and "Debian repositories" (properties of a
package behind its path).
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import quote

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import CHUNK
from lockgate.targets.ports import Item, Target
from lockgate.targets.web import Web, demand

RAW_KINDS = frozenset(
    {
        Kind.DOCUMENT,
        Kind.FILE,
        Kind.MODEL,
        Kind.DATASET,
        Kind.SPACE,
        Kind.GIT,
        Kind.RULES,
        Kind.CONDA,
    }
)
"""What goes into a repository without a format, every file of it."""

Suffix = Callable[[Artifact], str]
"""What comes behind the path when a file of an artifact is brought."""

BYTES = "application/octet-stream"

_TAKEN = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)


def _nothing(artifact: Artifact) -> str:
    del artifact
    return ""


class RawTarget(Target):
    """A repository that keeps files under the paths that they have in the lock.

    Args:
        web: The repository's address.
        kinds: What goes there.
        below: The beginning of a lock's path that the repository's own name stands for (``rpm/``).
        packages: How the name of a package's only file ends (``.rpm``): artifacts without one are not
            taken, and what is known of a package beside its file stays here. Empty: all files go.
        suffix: What comes behind the path of a PUT.

    """

    def __init__(
        self,
        web: Web,
        kinds: frozenset[Kind] = RAW_KINDS,
        *,
        below: str = "",
        packages: str = "",
        suffix: Suffix = _nothing,
    ) -> None:
        """Speak to a repository."""
        self.kinds = kinds
        self._web, self._below, self._packages, self._suffix = web, below, packages, suffix

    def takes(self, artifact: Artifact) -> bool:
        """Tell whether it is of a kind that goes here, with a package where packages go."""
        return super().takes(artifact) and bool(self._files(artifact))

    def _files(self, artifact: Artifact) -> list[ArtifactFile]:
        return package_files(artifact, self._packages) if self._packages else list(artifact.files)

    def _address(self, file: ArtifactFile, suffix: str = "") -> str:
        return self._web.at(quote(file.path.removeprefix(self._below)) + suffix)

    def put(self, item: Item) -> None:
        """Send the files that the repository does not give with their bytes."""
        held = dict(self.held(item))
        for file in self._files(item.artifact):
            if held[file.path] != file.sha256:
                send(self._web, ("PUT", self._address(file, self._suffix(item.artifact))), item, file)

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the repository gives under each path."""
        for file in self._files(item.artifact):
            yield file.path, self._web.digest(self._address(file), self._web.basic())


def package_files(artifact: Artifact, ending: str) -> list[ArtifactFile]:
    """Return the one file of a package; none where it is no package of that ending (sources, lists)."""
    found = [file for file in artifact.files if file.role is Role.DISTRIBUTION]
    return found if len(found) == 1 and found[0].path.endswith(ending) else []


def send(web: Web, request: tuple[str, str], item: Item, file: ArtifactFile, kind: str = BYTES) -> None:
    """Send one file as a request's body, with its digest where a server looks for one.

    Args:
        web: The server.
        request: Method and address.
        item: The artifact.
        file: The file of it.
        kind: The body's media type.

    Raises:
        TargetAnswerError: It was refused.

    """
    headers = {
        **web.basic(),
        "Content-Type": kind,
        "Content-Length": str(file.size),
        "X-Checksum-Sha256": file.sha256,
    }
    with item.open(file.sha256) as stream:
        answer = web.ask(*request, headers, iter(lambda: stream.read(CHUNK), b""))
    demand(answer, _TAKEN, web.host, file.path)
