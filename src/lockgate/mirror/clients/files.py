"""What a client's configuration is made of: files, variables, and the mirror's address taken apart."""

from dataclasses import dataclass
from urllib.parse import urlsplit

USER = "__token__"
"""The user's name beside an API key, for clients that want one; any will do."""

KEY_PLACE = "YOUR-API-KEY"
"""What stands for a key that is not told."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file: where it usually stands, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What one client needs: files, variables of the environment, and what a person should know."""

    client: str
    files: tuple[ConfigFile, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "client": self.client,
            "files": [{"path": file.path, "text": file.text} for file in self.files],
            "environment": dict(self.environment),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """The mirror's address, taken apart."""

    url: str
    host: str
    name: str
    secure: bool
    authority: str = ""
    key: str = ""
    certificate: str = ""
    below: str = ""

    @classmethod
    def of(
        cls, url: str, authority: str = "", key: str = "", certificate: str = "", below: str = ""
    ) -> "Place":
        """Return the parts of an address such as ``https://mirror.example:8710``.

        `certificate` is where the client's own certificate and its key lie, as PEM in one file;
        `below` is the path below which the client's protocol stands there.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        known = (authority, key, certificate) if secure else ("", key, "")
        return cls(url.rstrip("/"), parts.netloc, parts.hostname or "", secure, *known, below)

    @property
    def with_key(self) -> str:
        """Return the address with the key in it, for clients that take it nowhere else."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{USER}:{self.key}@{rest}" if self.key else self.url


def lines_of(*lines: str | None) -> str:
    """Return lines as a text; those that are None are left out."""
    return "".join(f"{line}\n" for line in lines if line is not None)
