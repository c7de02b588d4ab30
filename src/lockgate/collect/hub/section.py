"""The manifest's table for repositories of the Hugging Face Hub."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec

from lockgate.collect.section import Label, Section, Text

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,254}", re.ASCII)


class HubSection(Section, frozen=True):
    """A model, data set or space, with the files that the patterns choose.

    `revision` is a branch, a tag or a commit; what it stands for is pinned. Without `include`, weights
    that only a pickle reader loads are left out where safetensors or GGUF lie beside them. `endpoint`
    is the Hub's address; the client's own setting (``HF_ENDPOINT``) where it is left out. `tuned_from`
    names the model that this one was made of; left out, its card does (``base_model``).
    """

    EXAMPLE: ClassVar[str] = """
repository = "owner/name"
revision = "main"
include = ["*.safetensors", "*.json"]
endpoint = "https://hub.example"
"""

    repository: Text
    type: Annotated[str, msgspec.Meta(pattern=r"^(model|dataset|space)\Z")] = "model"
    revision: Text = "main"
    include: Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)] = ()
    exclude: Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)] = ()
    endpoint: Text | None = None
    task: Annotated[str, msgspec.Meta(pattern=r"^(chat|embed)\Z")] | None = None
    licence: Text = "unknown"
    label: Label = "internal"
    tuned_from: Text | None = None

    def __post_init__(self) -> None:
        """Refuse names, revisions and addresses that are none."""
        if self.tuned_from is not None and not _REPOSITORY.fullmatch(self.tuned_from):
            msg = f"{self.tuned_from[:80]!r} is not owner/name"
            raise ValueError(msg)
        if not _REPOSITORY.fullmatch(self.repository):
            msg = f"{self.repository[:80]!r} is not owner/name"
            raise ValueError(msg)
        if not _REVISION.fullmatch(self.revision) or ".." in self.revision:
            msg = f"{self.revision[:80]!r} is not a revision"
            raise ValueError(msg)
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
                msg = "endpoint has to be an http or https address without user"
                raise ValueError(msg)
