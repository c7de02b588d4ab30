"""The manifest's tables for container images and for Ollama's models."""

import re
from typing import Annotated, ClassVar

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.oci import host_folder, is_name, is_tag

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?", re.ASCII)
Platform = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{1,32}/[a-z0-9]{1,32}(/[a-z0-9]{1,16})?\Z")]
Tags = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=1000)]


class OciSection(Section, frozen=True):
    """Container images: ``host/repository`` with tags, from its registry, or from a layout or archive.

    Each tag is pinned to the digest that it has when it is collected. `platforms` (``linux/amd64``)
    chooses of an index; all are brought where it is empty. `referrers` are signatures, bills of
    materials and attestations. `plain_http` reaches a registry without TLS.
    """

    image: Text
    tags: Tags
    platforms: tuple[Platform, ...] = ()
    referrers: bool = True
    plain_http: bool = False
    layout: Text | None = None
    oci_archive: Text | None = None
    docker_archive: Text | None = None
    licence: Text = "unknown"
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
image = "registry.example/library/postgres"
tags = ["16"]
# platforms = ["linux/amd64"]
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        source = self.layout or self.oci_archive or self.docker_archive or "its registry"
        places = ", ".join(self.platforms) or "every platform"
        more = " with its signatures and attestations" if self.referrers else ""
        return f"The image {self.image}:{', '.join(self.tags)} for {places}{more}, from {source}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the layout or archive."""
        return tuple(
            name for name in (self.layout, self.oci_archive, self.docker_archive) if name is not None
        )

    def __post_init__(self) -> None:
        """Refuse names and tags that no registry has, and two sources at once."""
        host, _, repository = self.image.partition("/")
        if not _HOST.fullmatch(host) or not is_name(f"{host_folder(host)}/{repository}"):
            msg = f"{self.image[:80]!r} is not host/repository"
            raise ValueError(msg)
        _demand_tags(self.tags)
        if sum(1 for each in (self.layout, self.oci_archive, self.docker_archive) if each) > 1:
            msg = "give at most one of layout, oci_archive and docker_archive"
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """Return the name under which it is mirrored."""
        host, _, repository = self.image.partition("/")
        return f"{host_folder(host)}/{repository}"


class OllamaSection(Section, frozen=True):
    """Models of an Ollama registry (``host``), as ``library/name`` or ``owner/name``, with tags."""

    registry: Text
    model: Text
    tags: Tags = ("latest",)
    plain_http: bool = False
    licence: Text = "unknown"
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
registry = "registry.example"
model = "library/small"
tags = ["latest"]
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        return f"Ollama's model {self.model}:{', '.join(self.tags)} from {self.registry}."

    def __post_init__(self) -> None:
        """Refuse hosts, names and tags that are none."""
        if not _HOST.fullmatch(self.registry) or not is_name(self.name):
            msg = f"{self.registry[:80]!r} and {self.model[:80]!r} are not a registry's host and a model"
            raise ValueError(msg)
        _demand_tags(self.tags)

    @property
    def repository(self) -> str:
        """Return the name inside the registry: models without an owner belong to ``library``."""
        return self.model if "/" in self.model else f"library/{self.model}"

    @property
    def name(self) -> str:
        """Return the name under which it is mirrored."""
        return f"{host_folder(self.registry)}/{self.repository}"


def _demand_tags(tags: tuple[str, ...]) -> None:
    for tag in tags:
        if not is_tag(tag):
            msg = f"{tag[:80]!r} is not a tag"
            raise ValueError(msg)
