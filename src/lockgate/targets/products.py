"""Products that sites own: which addresses of theirs speak which protocol.

Sources: Harbor's API 2.0 (``GET /projects/{name}`` with ``X-Is-Resource-Name``), images at
``/v2/{project}/…``; JFrog Artifactory's guides for Docker, PyPI, npm, Debian and RPM repositories and its
REST API ("Deploy artifact"); Sonatype Nexus Repository's guides for Docker (path based routing, or a
connector of its own), PyPI, npm, APT, Yum and raw repositories.
"""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from lockgate.core.artifact import Artifact, Kind
from lockgate.core.places import places_of
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.nexus import NexusAptTarget
from lockgate.targets.npm import NpmTarget
from lockgate.targets.oci import OciTarget
from lockgate.targets.ports import Item, Target
from lockgate.targets.pypi import PypiTarget
from lockgate.targets.raw import RawTarget
from lockgate.targets.routed import RoutedTarget
from lockgate.targets.web import Web


@dataclass(frozen=True, slots=True)
class Repositories:
    """The names of a product's repositories, by format; "" where it has none, and nothing is brought."""

    oci: str = ""
    pypi: str = ""
    npm: str = ""
    apt: str = ""
    rpm: str = ""
    raw: str = ""


class HarborTarget(OciTarget):
    """A project of a Harbor; images and Ollama's models keep their names below it."""

    def __init__(self, web: Web, project: str, prefix: str = "") -> None:
        """Speak to a Harbor."""
        super().__init__(web, "/".join(part for part in (project, prefix.strip("/")) if part))
        self._project = project

    def begin(self, items: list[Item]) -> None:
        """Look whether there is such a project: to an unknown one nothing can be pushed.

        A robot account that may not read projects is told 401 or 403, and finds out by pushing.

        Raises:
            TargetAnswerError: Harbor has no project of that name.

        """
        super().begin(items)
        headers = {**self._web.basic(), "X-Is-Resource-Name": "true"}
        answer = self._web.ask("GET", self._web.at(f"/api/v2.0/projects/{quote(self._project)}"), headers)
        if answer.status == HTTPStatus.NOT_FOUND:
            what = f"{self._web.host} has no project {self._project}."
            raise TargetAnswerError(what, advice="Make the project in Harbor, then run the command again.")


def nexus(web: Web, images: Web | None, names: Repositories, prefix: str = "") -> Target:
    """Return a Nexus with its hosted repositories.

    Args:
        web: Nexus' own address.
        images: Address of the Docker repository's connector or subdomain; None: path based routing.
        names: The repositories.
        prefix: What comes before the names of images.

    """
    parts: list[Target] = []
    if names.oci and images:
        parts.append(OciTarget(images, prefix))
    elif names.oci:
        parts.append(OciTarget(web.beside(_root(web.url)), f"{names.oci}/{prefix}"))
    if names.pypi:
        own = _below(web, "repository", names.pypi)
        parts.append(PypiTarget(own, f"{own.url}/simple"))
    if names.npm:
        parts.append(NpmTarget(_below(web, "repository", names.npm)))
    if names.apt:
        parts.append(NexusAptTarget(_below(web, "repository", names.apt)))
    if names.rpm:
        own = _below(web, "repository", names.rpm)
        parts.append(RawTarget(own, frozenset({Kind.RPM}), below="rpm/", packages=".rpm"))
    if names.raw:
        parts.append(RawTarget(_below(web, "repository", names.raw)))
    return RoutedTarget(parts)


def artifactory(web: Web, names: Repositories, prefix: str = "") -> Target:
    """Return an Artifactory with its local repositories.

    Args:
        web: Its address, with the context path (``https://host/artifactory``).
        names: The repositories.
        prefix: What comes before the names of images.

    """
    parts: list[Target] = []
    if names.oci:
        parts.append(OciTarget(_below(web, "api", "docker", names.oci), prefix))
    if names.pypi:
        own = _below(web, "api", "pypi", names.pypi)
        parts.append(PypiTarget(own, f"{own.url}/simple"))
    if names.npm:
        parts.append(NpmTarget(_below(web, "api", "npm", names.npm)))
    if names.apt:
        own = _below(web, names.apt)
        apt = frozenset({Kind.APT})
        parts.append(RawTarget(own, apt, below="apt/", packages=".deb", suffix=_debian_properties))
    if names.rpm:
        parts.append(RawTarget(_below(web, names.rpm), frozenset({Kind.RPM}), below="rpm/", packages=".rpm"))
    if names.raw:
        parts.append(RawTarget(_below(web, names.raw)))
    return RoutedTarget(parts)


def _debian_properties(artifact: Artifact) -> str:
    """Return where Artifactory lists a package: suites, components and the architecture, behind its path."""
    places = places_of(artifact.attributes.get("places", ""))
    values = [
        *(("distribution", suite) for suite in dict.fromkeys(p.suite for p in places)),
        *(("component", component) for component in dict.fromkeys(p.component for p in places)),
        ("architecture", artifact.attributes.get("architecture", "all")),
    ]
    return "".join(f";deb.{key}={quote(value, safe='')}" for key, value in values)


def _below(web: Web, *names: str) -> Web:
    return web.beside(web.at("/".join(quote(name, safe="") for name in names)))


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
