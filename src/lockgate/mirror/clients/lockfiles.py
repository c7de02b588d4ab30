"""Rewrites lock files that pin hosts, so that clients ask this mirror; digests stay as they are.

Text is changed in place, so that the rest of a file stays byte for byte. Sources: npm's
package-lock.json, yarn.lock version 1, pnpm-lock.yaml version 9, uv.lock version 1, poetry.lock 2,
pdm.lock 4 with static addresses, pylock.toml 1.0 (PEP 751).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from lockgate.mirror.errors import LockfileKindError

LOCKFILE_LIMIT = 256 * 1024 * 1024
"""Longest lock file that is rewritten, in bytes."""

_ARCHIVE = re.compile(r"/((?:@[^/]+/)?[^/@]+)/-/(?:@[^/]+/)?([^/]+\.tgz)\Z")
_URL = r"(https?://[^\s\"'#,}]+)"
_NPM = re.compile(rf'("resolved"\s*:\s*"){_URL}')
_YARN = re.compile(rf'(^ +resolved "){_URL}', re.MULTILINE)
_PNPM = re.compile(rf"(\btarball: '?\"?){_URL}")
_UV_INDEX = re.compile(rf'(\bsource = \{{ registry = "){_URL}')
_UV_FILE = re.compile(rf'(\burl = "){_URL}(", hash = "sha256:([0-9a-f]{{64}})")')
_PYLOCK_INDEX = re.compile(rf'(^index = "){_URL}', re.MULTILINE)
_PYLOCK_FILE = re.compile(rf'(\burl = "){_URL}("(?:(?!\burl = ).)*?\bsha256 = "([0-9a-f]{{64}})")', re.DOTALL)
_NAMED_PYLOCK = re.compile(r"pylock\.[^./]+\.toml\Z")
_POETRY = re.compile(rf'(^\[package\.source\]\ntype = "legacy"\nurl = "){_URL}', re.MULTILINE)
_ELSEWHERE = re.compile(r"(?:git\+[a-z]+|git|ssh)://[^\s\"']+")


@dataclass(slots=True)
class Rewritten:
    """A lock file's new text, which addresses were changed, and which lead elsewhere and stay."""

    text: str
    changed: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def swap(self, old: str, new: str | None) -> str:
        """Note what becomes of an address and return what stands there then."""
        if new is None:
            self.left.append(_shown(old))
            return old
        if new != old:
            self.changed.append((_shown(old), new))
        return new


def rewrite(name: str, text: str, url: str) -> Rewritten:
    """Return a lock file whose addresses lie on a mirror.

    Args:
        name: The file's name, which tells its kind.
        text: Its content.
        url: The mirror's address.

    Raises:
        LockfileKindError: A file of another kind.

    """
    plain = _NAMED_PYLOCK.sub("pylock.toml", name)
    kind = next((how for ending, how in _KINDS.items() if plain.endswith(ending)), None)
    if kind is None or (name.endswith("yarn.lock") and "# yarn lockfile v1" not in text[:500]):
        what = f"{name} is no lock file that names hosts."
        raise LockfileKindError(what)
    found = Rewritten(text)
    found.text = kind(found, text, url.rstrip("/"))
    found.left += [_shown(address) for address in _ELSEWHERE.findall(found.text)]
    return found


def _archives(pattern: re.Pattern[str]) -> Callable[[Rewritten, str, str], str]:
    def change(found: Rewritten, text: str, url: str) -> str:
        return pattern.sub(lambda m: m[1] + found.swap(m[2], _archive(m[2], url)), text)

    return change


def _archive(address: str, url: str) -> str | None:
    """Return where this mirror has an npm archive, or None when the address is no registry's."""
    match = _ARCHIVE.search(unquote(urlsplit(address).path))
    return f"{url}/npm/{match[1]}/-/{match[2]}" if match else None


def _python(
    files: re.Pattern[str], index: re.Pattern[str] | None = None
) -> Callable[[Rewritten, str, str], str]:
    """Return what leads Python files to this mirror by their digests, and indexes to its own."""

    def change(found: Rewritten, text: str, url: str) -> str:
        def file(match: re.Match[str]) -> str:
            name = urlsplit(match[2]).path.rpartition("/")[2]
            return match[1] + found.swap(match[2], f"{url}/packages/{match[4]}/{name}") + match[3]

        if index is not None:
            text = index.sub(lambda m: m[1] + found.swap(m[2], f"{url}/simple/"), text)
        return files.sub(file, text)

    return change


def _poetry(found: Rewritten, text: str, url: str) -> str:
    return _POETRY.sub(lambda m: m[1] + found.swap(m[2], f"{url}/simple"), text)


def _shown(address: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


_KINDS: dict[str, Callable[[Rewritten, str, str], str]] = {
    "package-lock.json": _archives(_NPM),
    "npm-shrinkwrap.json": _archives(_NPM),
    "yarn.lock": _archives(_YARN),
    "pnpm-lock.yaml": _archives(_PNPM),
    "uv.lock": _python(_UV_FILE, _UV_INDEX),
    "poetry.lock": _poetry,
    "pdm.lock": _python(_UV_FILE),
    "pylock.toml": _python(_PYLOCK_FILE, _PYLOCK_INDEX),
}
