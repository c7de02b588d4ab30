"""Packages that a system's own lists name, as package URLs.

Sources: deb-control(5) and dpkg's ``status``; Alpine's ``installed`` ("APKINDEX format"); core metadata of
Python distributions (PEP 566); package.json of npm; os-release(5); package-url specification.
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

_FIELD = re.compile(r"^([A-Za-z][\w-]*): ?(.*)$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~:@-]{0,200}")
_NPM = re.compile(r"(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*", re.IGNORECASE)


def _purl(kind: str, name: str, version: str, **qualifiers: str) -> str:
    said = "&".join(f"{key}={quote(value, safe='@')}" for key, value in sorted(qualifiers.items()) if value)
    return f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe='')}{'?' if said else ''}{said}"


def _fields(text: str) -> dict[str, str]:
    return dict(_FIELD.findall(text))


def debian_packages(text: str) -> Iterator[str]:
    """Yield what dpkg says is installed, each with its source package."""
    for block in text.split("\n\n"):
        said = _fields(block)
        name, version = said.get("Package", ""), said.get("Version", "")
        state = said.get("Status", "install ok installed")
        if not state.endswith(" installed") or not _WORD.fullmatch(name) or not _WORD.fullmatch(version):
            continue
        source, _, other = said.get("Source", "").partition(" ")
        upstream = f"{source}@{other.strip('()')}" if other else source
        yield _purl("deb/?", name, version, upstream=upstream if source not in {"", name} or other else "")


def apk_packages(text: str) -> Iterator[str]:
    """Yield what Alpine's list says is installed, each with its origin."""
    for block in text.split("\n\n"):
        said = dict(re.findall(r"^([A-Za-z]):(.*)$", block, re.MULTILINE))
        name, version, origin = said.get("P", ""), said.get("V", ""), said.get("o", "")
        if _WORD.fullmatch(name) and _WORD.fullmatch(version):
            yield _purl("apk/?", name, version, upstream=origin if origin not in {"", name} else "")


def python_package(text: str) -> Iterator[str]:
    """Yield the distribution that core metadata is about."""
    head = text.split("\n\n", 1)[0]
    said = _fields(head)
    name, version = said.get("Name", "").strip(), said.get("Version", "").strip()
    if _WORD.fullmatch(name) and re.fullmatch(r"[\w.+!-]{1,100}", version):
        yield _purl("pypi", re.sub(r"[-_.]+", "-", name).lower(), version)


def node_package(text: str) -> Iterator[str]:
    """Yield the package that a package.json is about."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return
    name, version = (said.get("name"), said.get("version")) if isinstance(said, dict) else (None, None)
    if (
        isinstance(name, str)
        and isinstance(version, str)
        and _NPM.fullmatch(name)
        and _WORD.fullmatch(version)
    ):
        yield _purl("npm", name.replace("@", "%40", 1) if name.startswith("@") else name, version).replace(
            "%2540", "%40"
        )


def release_of(text: str) -> str:
    """Return name and version of a system, as its os-release says: ``debian-12``."""
    said = {
        key: value.strip().strip("\"'")
        for key, _, value in (line.partition("=") for line in text.split("\n"))
    }
    name, version = said.get("ID", ""), said.get("VERSION_ID", "")
    fine = re.fullmatch(r"[a-z0-9._-]{1,40}", name) and re.fullmatch(r"[a-z0-9._-]{0,40}", version)
    return f"{name}-{version}" if fine and version else name if fine else ""


def placed(purl: str, release: str) -> str:
    """Return a system's package URL with the system that it belongs to, where a layer told it."""
    for kind in ("deb", "apk"):
        if purl.startswith(f"pkg:{kind}/?/"):
            name = release.partition("-")[0] or {"deb": "debian", "apk": "alpine"}[kind]
            found = purl.replace(f"pkg:{kind}/?/", f"pkg:{kind}/{name}/", 1)
            return f"{found}{'&' if '?' in found else '?'}distro={release}" if "-" in release else found
    return purl
