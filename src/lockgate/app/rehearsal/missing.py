"""What clients asked for in vain, by protocol, name and version, with the lines of a manifest that bring it.

Names come from clients that run foreign packages: each is checked by its ecosystem's grammar before it is
written where a collector would read it; what has another form is told and proposes nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lockgate.core.npm import is_name
from lockgate.core.places import is_repository, is_suite
from lockgate.core.rehearsal import MISSING_LIMIT, TEXT_LIMIT, Missing
from lockgate.inspect.tally import printable

_PIP = re.compile(
    r"No matching distribution found for ([^\n(]{1,200}?)(?: \(from [^\n)]*\))?\s*$", re.MULTILINE
)
_UV_ABSENT = re.compile(
    r"\b([A-Za-z0-9][A-Za-z0-9._-]{0,127}) was not\s+found in the (?:package registry|cache)"
)
_UV_VERSION = re.compile(
    r"there (?:is|are) no versions? of ([A-Za-z0-9][A-Za-z0-9._-]{0,127})"
    r"(?:\[[^\]]{0,80}\])?((?:[=<>!~]=?=?)[A-Za-z0-9.+*!]{1,60})?"
)
_NPM = re.compile(
    r"No matching version found for ((?:@[^@\s]{1,120}/)?[^@\s]{1,120})@([^\s]{1,120}?)\.?\s*$", re.MULTILINE
)
_APT = re.compile(r"^E: Unable to locate package ([a-z0-9][a-z0-9+.-]{0,127})\s*$", re.MULTILINE)
_APT_DEPENDS = re.compile(
    r"Depends: ([a-z0-9][a-z0-9+.-]{0,127})(?::[a-z0-9]+)? (?:\([^)\n]{1,80}\) )?"
    r"but it is not (?:installable|going)"
)
_DRAWN = " \u2502\u2570\u2500\u25b6\u00d7"
"""What uv draws before its lines."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_DEB_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}")
_FILE = re.compile(r"[A-Za-z0-9._/+-]{1,200}")


def python(requirement: str) -> Missing:
    """Return a Python project that no index page or no version of it met."""
    text = " ".join(requirement.split())
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return Missing(protocol="pypi", name=printable(text, 200))
    spelled = f"{canonicalize_name(parsed.name)}{parsed.specifier}"
    proposal = f"[[python]]\nrequirements = [{_quoted(spelled)}]"
    return Missing(
        protocol="pypi", name=canonicalize_name(parsed.name), version=str(parsed.specifier), proposal=proposal
    )


def wheel(name: str, version: str, minor: str, platform: str) -> Missing:
    """Return a project that is there, with no file that the host can install."""
    proposal = (
        f"[[python]]\nrequirements = [{_quoted(f'{name}=={version}')}]\n"
        f"python = {_quoted(minor)}\nplatforms = [{_quoted(platform)}]"
    )
    return Missing(protocol="pypi", name=name, version=version, proposal=proposal)


def npm(name: str, wanted: str = "") -> Missing:
    """Return an npm package, or a version range of one that nothing met."""
    spelled = f"{name}@{wanted}" if wanted else name
    good = is_name(name) and re.fullmatch(r"[A-Za-z0-9 .*<>=^~|+_-]{0,200}", wanted)
    proposal = f"[[npm]]\npackages = [{_quoted(spelled)}]" if good else ""
    return Missing(
        protocol="npm", name=printable(name, 200), version=printable(wanted, 200), proposal=proposal
    )


def deb(name: str, repository: str = "", suite: str = "") -> Missing:
    """Return a Debian package; where nobody knows its repository, the lines leave that open."""
    known = is_repository(repository) and is_suite(suite)
    place = f"name = {_quoted(repository)}\nsuites = [{_quoted(suite)}]\n" if known else ""
    proposal = f"[[apt]]\n{place}packages = [{_quoted(name)}]" if _DEB_NAME.fullmatch(name) else ""
    return Missing(protocol="apt", name=printable(name, 200), proposal=proposal)


def hub(repository: str, path: str = "", *, kind: str = "model") -> Missing:
    """Return a repository of the Hub, or a file of one."""
    good = _HUB_NAME.fullmatch(repository) and (not path or _FILE.fullmatch(path))
    lines = [f"[[huggingface]]\nrepository = {_quoted(repository)}"]
    lines += [f'type = "{kind}"'] if kind != "model" else []
    lines += [f"include = [{_quoted(path)}]  # beside what is there"] if path else []
    name = f"{repository}/{path}" if path else repository
    return Missing(
        protocol="huggingface", name=printable(name, TEXT_LIMIT), proposal="\n".join(lines) if good else ""
    )


def member(model: str, path: str) -> Missing:
    """Return a file that a model of the table ``[[model]]`` lacks."""
    good = _FILE.fullmatch(path)
    proposal = (
        f'[[model.files]]  # of {model}\npath = {_quoted(path)}\nrole = "{_role(path)}"\n'
        'url = "…"\nsha256 = "…"'
        if good
        else ""
    )
    return Missing(protocol="huggingface", name=printable(f"{model}/{path}", TEXT_LIMIT), proposal=proposal)


def from_output(said: str) -> Iterator[Missing]:
    """Yield what pip, uv, npm and apt say in words that they did not find."""
    for match in _PIP.finditer(said):
        yield python(match[1])
    flat = " ".join(line.strip(_DRAWN) for line in said.splitlines())
    for match in _UV_VERSION.finditer(flat):
        yield python(f"{match[1]}{match[2] or ''}")
    for match in _UV_ABSENT.finditer(flat):
        yield python(match[1])
    for match in _NPM.finditer(said):
        yield npm(match[1], match[2])
    for match in (*_APT.finditer(said), *_APT_DEPENDS.finditer(said)):
        yield deb(match[1])


def from_lookups(lookups: Iterable[tuple[str, str]]) -> Iterator[Missing]:
    """Yield what an address that was asked for in vain stands for; what clients only try is passed over."""
    for _, raw in lookups:
        parts = [unquote(part) for part in urlsplit(raw).path.strip("/").split("/")]
        match parts:
            case ["simple", name, *_] if name:
                yield python(name)
            case ["npm", scope, name, *rest] if scope.startswith("@") and "/" not in scope:
                yield npm(f"{scope}/{name}") if not rest else Missing(protocol="npm", name=_joined(parts[1:]))
            case ["npm", name] if not name.startswith("-"):
                yield npm(name)
            case ["npm", name, "-", filename]:
                yield Missing(protocol="npm", name=_joined([name, filename]))
            case ["apt", *rest] if "pool" in rest or rest[-1:] == ["InRelease"]:
                yield Missing(protocol="apt", name=_joined(rest))
            case ["v2", *rest] if len(rest) > 2 and rest[-2] in {"manifests", "blobs"}:  # noqa: PLR2004
                yield _image("/".join(rest[:-2]), rest[-1])
            case ["git", *rest] if rest[-2:] == ["info", "refs"]:
                yield _repository("/".join(rest[:-2]))


def merged(found: Iterable[Missing]) -> tuple[Missing, ...]:
    """Return each missing thing once; a name with a version stands for the name without one."""
    by_name: dict[tuple[str, str], Missing] = {}
    for each in found:
        key = each.protocol, each.name
        held = by_name.get(key)
        if held is None or (not held.version and each.version) or (not held.proposal and each.proposal):
            by_name[key] = each
    return tuple(by_name.values())[:MISSING_LIMIT]


def _image(name: str, reference: str) -> Missing:
    host, _, repository = name.partition("/")
    good = re.fullmatch(r"[a-z0-9.-]{1,250}", host) and re.fullmatch(r"[a-z0-9._/-]{1,250}", repository)
    tagged = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", reference)
    proposal = f"[[oci]]\nimage = {_quoted(name)}\ntags = [{_quoted(reference)}]" if good and tagged else ""
    return Missing(
        protocol="oci", name=printable(name, 300), version=printable(reference, 200), proposal=proposal
    )


def _repository(name: str) -> Missing:
    good = re.fullmatch(r"[A-Za-z0-9._/-]{1,250}", name)
    proposal = f'[[git]]\nurl = {_quoted(f"https://{name}")}\nrefs = ["main"]' if good else ""
    return Missing(protocol="git", name=printable(name, 300), proposal=proposal)


def _role(path: str) -> str:
    if path.endswith((".safetensors", ".gguf", ".onnx")):
        return "weights"
    return (
        "tokenizer"
        if "token" in path or path.endswith(("vocab.txt", "vocab.json", "merges.txt"))
        else "configuration"
    )


def _joined(parts: list[str]) -> str:
    return printable("/".join(parts), TEXT_LIMIT)


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(text)
