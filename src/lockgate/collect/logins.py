"""Logins that the machine's own clients hold: a Hub's token, and what registries' clients were given.

They are read where those clients keep them, go to the very host that they are for, over no weaker way than
it is named by, and never along a redirect. None is ever written down, logged or told.

Sources: huggingface_hub, "Environment variables" (``HF_TOKEN``, ``HF_TOKEN_PATH``, ``HF_HOME``);
containers-auth.json(5) (``REGISTRY_AUTH_FILE``, and the places that are looked at in turn).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

FILE_LIMIT = 1 << 20
"""Longest file of logins that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class HubLogin:
    """The token for one Hub, by the beginning of its addresses."""

    origin: tuple[str, str] = ("", "")
    token: str = field(default="", repr=False)

    def header(self, url: str) -> str:
        """Return what proves who asks for an address; empty where it is none of that Hub's."""
        mine = bool(self.token) and urlsplit(url)[:2] == self.origin
        return f"Bearer {self.token}" if mine else ""


def hub_login(environ: Mapping[str, str]) -> HubLogin:
    """Return the token that the Hub's client has for the Hub that ``HF_ENDPOINT`` names; none without one."""
    endpoint = urlsplit(environ.get("HF_ENDPOINT", ""))
    if not endpoint.netloc:
        return HubLogin()
    home = Path(environ.get("HOME", "/nonexistent"))
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    folder = Path(environ.get("HF_HOME") or cache / "huggingface")
    named = Path(environ.get("HF_TOKEN_PATH") or folder / "token")
    token = environ.get("HF_TOKEN", "") or _read(named).decode("ascii", "ignore")
    return HubLogin((endpoint.scheme, endpoint.netloc), _word(token))


def registry_login(environ: Mapping[str, str], host: str) -> str:
    """Return what a registry's clients prove themselves by (``user:password`` in base64); empty: nothing."""
    for file in _places(environ):
        try:
            said = json.loads(_read(file) or b"{}")
            entry = said["auths"][host]
            found = _word(entry["auth"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if found:
            return found
    return ""


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
        return
    home = Path(environ.get("HOME", "/nonexistent"))
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def _read(file: Path) -> bytes:
    """Return a file of logins; nothing where it is not there, not readable, or too long."""
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_LIMIT + 1)
    except OSError:
        return b""
    return data if len(data) <= FILE_LIMIT else b""


def _word(text: object) -> str:
    """Return a text that can stand in a header; empty where it cannot."""
    word = text.strip() if isinstance(text, str) else ""
    return word if word.isascii() and word.isprintable() and " " not in word else ""
