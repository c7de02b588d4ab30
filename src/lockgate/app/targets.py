"""The tables ``[targets.NAME]`` of `lockgate.toml`: registries and folders that the site owns."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lockgate.app.sections import Section

_ADDRESS = r"^(https?://[A-Za-z0-9._:\[\]/~-]{1,400})?$"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$|^$"

TargetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class TargetSection(Section):
    """One target. What has no repository of its own at a product is passed over, and the report names it."""

    kind: Literal["harbor", "artifactory", "nexus", "directory"] = Field(description="Which product it is.")
    url: str = Field(
        default="",
        pattern=_ADDRESS,
        description="Its address; Artifactory's with the context path (https://host/artifactory).",
    )
    path: str = Field(default="", description="The folder (directory).")
    project: str = Field(default="", pattern=_NAME, description="The project that images go to (harbor).")
    images_url: str = Field(
        default="",
        pattern=_ADDRESS,
        description="Address of the images' own connector or subdomain (nexus); empty: path based routing.",
    )
    prefix: str = Field(
        default="",
        pattern=r"^[a-z0-9._/-]{0,200}$",
        description="What comes before images' names.",
    )
    oci: str = Field(default="", pattern=_NAME, description="The repository for images.")
    pypi: str = Field(default="", pattern=_NAME, description="The repository for Python packages.")
    npm: str = Field(default="", pattern=_NAME, description="The repository for npm packages.")
    apt: str = Field(default="", pattern=_NAME, description="The repository for Debian's binary packages.")
    rpm: str = Field(default="", pattern=_NAME, description="The repository for RPM packages (yum).")
    raw: str = Field(
        default="",
        pattern=_NAME,
        description="The raw or generic repository for models, data sets, documents and other files.",
    )
    credentials: str = Field(default="", description="File with `user:password`, or with a token.")
    ca: str = Field(default="", description="Authority of its certificate; empty: the system's.")
    channel: str = Field(default="stable", description="The channel whose snapshot is brought.")
