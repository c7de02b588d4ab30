"""What runs while a package is installed, in one view: source distributions, npm, NeMo, OCI.

The walk over a tar archive hands over the few members that say so; a wheel has rules of its own
(`wheels`), Debian packages mark their scripts by the archive that they lie in (`native`).
"""

import json
import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.script_flow import flows
from lockgate.inspect.inspectors.script_signs import INSTALL_SCRIPT
from lockgate.inspect.inspectors.shell_signs import INSTALL_SHELL, SHELL
from lockgate.inspect.inspectors.yaml_signs import targets
from lockgate.inspect.tally import Tally

KEPT_BYTES = 4 << 20
"""Longest member that the rules look into."""

_HOOKS = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish")
_LAST_RESORT = frozenset({"preinstall", "install", "postinstall"})
COMMANDS = frozenset({
    "node", "npm", "npx", "yarn", "pnpm", "python", "python3", "pip", "pip3", "sh", "bash", "zsh", "ls",
    "cat", "cp", "mv", "rm", "cd", "sudo", "su", "git", "ssh", "scp", "curl", "wget", "docker", "kubectl",
    "make", "gcc", "cc", "java", "go", "cargo", "apt", "apt-get", "dpkg", "rpm", "systemctl", "env",
    "echo", "grep", "sed", "awk", "find", "tar", "vi", "vim", "nano", "gpg", "openssl", "terraform", "aws",
    "gcloud", "az",
})  # fmt: skip
"""Commands that people type every day: a package that brings one of the name takes its place."""
_THEIRS = {"npm": "npx"}
"""Packages whose own command of another name people type."""
_EVERYDAY_INSTALL = re.compile(
    r"(?:node-gyp(?:-build)?|prebuild-install|husky|patch-package|opencollective|node-pre-gyp|npm run|"
    r"yarn|tsc"
    r"|napi|cmake-js|electron-builder|lerna|ngcc|node \S+\.[cm]?js)\b"
)
_TRIED = re.compile(
    r"""node -e ["']try ?\{ ?require\(["'](?:\./)?([\w./-]+)["']\);? ?\} ?catch ?\(\w+\) ?\{\}["']"""
)
"""A script that may be missing: the same as naming it."""
_SCRIPT_FILE = re.compile(r"\bnode\s+(?:-r\s+\S+\s+)?(?:\./)?([\w./-]+?)(?:\.[cm]?js)?(?=\s|$|[;&|])")
_OWN_SCRIPT = re.compile(
    r"\b(?:npm|yarn|pnpm|bun)\s+(?:(?:run|run-script)\s+([\w:.-]+)|(test|start))(?=\s|$|[;&|])"
)
"""A command that is another script of the same package."""
_MAIN = re.compile(r"\b(node)\s+\.(?:/)?(?=\s|$|[;&|])")
"""The folder itself: what Node runs then is ``index.js``, where ``main`` names nothing else."""
_DESTROYS = re.compile(
    r"\brm\s+-\w*r\w*\s+(?:-\S+\s+)*[\"']?(?:~|/|\$HOME|\$\{HOME\})(?:/?\*?[\"']?)(?:\s|$|[;&|])"
)
_HIDDEN_START = re.compile(r"(?i)\bstart\s+/b\b")
_INLINE = re.compile(r"\bnode\s+(?:-e|--eval|-p)\b|\bpython3?\s+-c\b|\bperl\s+-e\b|\bruby\s+-e\b|https?://")
_ADDRESS = re.compile(r"^(?:git\+)?(?:https?|ftp|ssh|git)://", re.IGNORECASE)
_HOSTED = re.compile(
    r"^(?:git\+)?(?:https|ssh|git)://(?:git@)?(?:[\w.-]+\.)?(?:github\.com|gitlab\.com|bitbucket\.org)[/:]",
    re.IGNORECASE,
)
_PACKAGE = "package/package.json"
_BUNDLED = re.compile(r"[^/]+/(?:node_modules/(?:@[^/]+/)?[^/]+/){1,4}package\.json")
"""Packages that a package brings along; npm runs their scripts as well (``bundleDependencies``)."""
_ALIKE = 0.75
"""Share of letters (`difflib`) from which on two names are taken for one another."""
_TARBALL = re.compile(r"(?P<name>.+)-(?P<version>\d+\.\d+\.\d+(?:[-+][\w.+-]*)?)\.(?:tgz|tar|tar\.gz)")
_GYP_COMMAND = re.compile(r"<!@?\(([^()]*(?:\([^()]*\)[^()]*)*)\)")

_GYP_CODE = re.compile(r"<!@?\(\s*(?:node|python3?|perl|ruby)\s+-[a-z]{1,2}\b[^\n]{0,1000}")
_GYP_REACHES = re.compile(
    r"\(\s*\\?['\"](?:node:)?(?:https?|net|dns|tls)\\?['\"]|\bfetch\s*\(|\beval\s*\(|\batob\b|Buffer\s*\.\s*from|\burlopen\b"
    r"|\bexec\s*\(\s*__import__|\b(?:curl|wget)\s"
)


def wants(name: str) -> bool:
    """Return whether the rules look into a member of a tar archive."""
    base = name.rsplit("/", 1)[-1]
    return (name.count("/") <= 4 or _BUNDLED.fullmatch(name) is not None) and (  # noqa: PLR2004  # the top of a package
        base in {"package.json", "binding.gyp", "PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg"}
        or base in {"model_config.yaml", "manifest.json", "index.json", "oci-layout"}
        or base.endswith((".js", ".cjs", ".mjs", ".gypi"))
    )


def check(tally: Tally, kept: Mapping[str, bytes], file: str = "") -> None:
    """Note what the members of a tar archive say about its installation, and whether its file names it."""
    if _PACKAGE in kept:
        _npm(tally, kept, "package/")
        _named(tally, kept[_PACKAGE], file.rsplit("/", 1)[-1])
    for name, raw in kept.items():
        base = name.rsplit("/", 1)[-1]
        if base == "setup.py" and name.count("/") <= 1:
            tally.note("install-script", Severity.INFO, f"{name} runs while the package is built.")
        elif base == "pyproject.toml" and name.count("/") <= 1:
            _backend(tally, name, raw.decode("utf-8", "replace"))
        elif base == "model_config.yaml":
            targets(tally, name, raw.decode("utf-8", "replace"))
        elif base == "package.json" and (
            (name.count("/") == 1 and name != _PACKAGE) or (_PACKAGE in kept and _BUNDLED.fullmatch(name))
        ):
            _npm(tally, kept, name.removesuffix("package.json"))


def loose(tally: Tally, said: Any) -> None:
    """Note what npm runs, and fetches from an address, for a ``package.json`` that lies by itself.

    Args:
        tally: Takes the findings.
        said: What the file says.

    """
    if not isinstance(said, dict):
        return
    scripts = said.get("scripts")
    for hook in sorted(_LAST_RESORT):
        command = scripts.get(hook) if isinstance(scripts, dict) else None
        if isinstance(command, str) and command.strip():
            _hook(tally, {}, "", hook, _spelled(command, scripts or {}))
    _addresses(tally, said)


def _backend(tally: Tally, name: str, text: str) -> None:
    backend = re.search(r"^[^\S\n]*build-backend\s*=\s*[\"']([^\"']{1,100})[\"']", text, re.MULTILINE)
    path = re.search(r"^[^\S\n]*backend-path\s*=\s*\[([^\]]{0,200})\]", text, re.MULTILINE)
    if backend:
        where = " from the package itself" if path else ""
        tally.note("install-script", Severity.INFO, f"{name}: {backend[1]} builds the package{where}.")
    system = re.search(r"^\[build-system\](.{0,4000}?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    for found in re.finditer(
        r"[\"'][^\"'\n@]{1,100}@\s*([a-z+]{2,10}://[^\"'\n]{1,300})[\"']", system[1] if system else ""
    ):
        why = f"{name} has what comes from an address build the package: {found[1][:100]}"
        tally.note("build-address", Severity.HIGH, why)


def _named(tally: Tally, raw: bytes, file: str) -> None:
    """Note a tarball whose name and whose package's name look alike and are not the same."""
    named = _TARBALL.fullmatch(file)
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if not named or not isinstance(said, dict) or not isinstance(said.get("name"), str):
        return
    full = said["name"].removeprefix("@").replace("/", "-")
    file_says = named["name"].removeprefix("@")
    if file_says in {full, said["name"].rsplit("/", 1)[-1]}:
        return
    if SequenceMatcher(None, file_says[:214], full[:214]).ratio() >= _ALIKE:
        why = f"It is named {file_says[:80]}, and package.json says {said['name'][:80]}, which looks alike."
        tally.note("npm-identity", Severity.HIGH, why)


def _npm(tally: Tally, kept: Mapping[str, bytes], base: str) -> None:
    try:
        said = json.loads(kept[f"{base}package.json"])
    except (ValueError, RecursionError):
        tally.note("npm-manifest", Severity.MEDIUM, f"{base}package.json cannot be read.")
        return
    if not isinstance(said, dict):
        return
    scripts = said.get("scripts")
    for hook in _HOOKS:
        command = scripts.get(hook) if isinstance(scripts, dict) else None
        if isinstance(command, str) and command.strip():
            _hook(tally, kept, base, hook, _spelled(command, scripts or {}))
    gyp = kept.get(f"{base}binding.gyp")
    if gyp is not None:
        tally.note("install-script", Severity.INFO, "binding.gyp is built while the package is installed.")
        included = (raw for name, raw in kept.items() if name.startswith(base) and name.endswith(".gypi"))
        for raw in (gyp, *included):
            look(tally, raw.decode("utf-8", "replace"), SHELL + INSTALL_SHELL, "binding.gyp: ")
            commands_of_gyp(tally, raw.decode("utf-8", "replace"))
        for found in _GYP_COMMAND.finditer(gyp.decode("utf-8", "replace")):
            if not re.match(
                r"\s*@?(?:node|pkg-config|python3?|which|uname|echo|(?:ba)?sh\s+-c\s+[\\\"']{1,2}pkg-config)\b",
                found[1],
            ):
                why = f"binding.gyp runs a command: {found[1][:80]}"
                tally.note("npm-gyp-command", Severity.MEDIUM, why)
    _commands(tally, said)
    _dependencies(tally, said)


def commands_of_gyp(tally: Tally, text: str) -> None:
    """Note code in a description for GYP that reaches out or hides what it runs while it is read."""
    for found in _GYP_CODE.finditer(text):
        if _GYP_REACHES.search(found[0]):
            why = f"binding.gyp runs code that reaches out: {found[0][:80]}"
            tally.note("npm-gyp-command", Severity.HIGH, why, found.start())


def _spelled(command: str, scripts: Mapping[str, Any]) -> str:
    """Return a command with the package's own scripts in place of their names."""

    def own(found: re.Match[str]) -> str:
        named = scripts.get(found[1] or found[2])
        return named if isinstance(named, str) else found[0]

    return _OWN_SCRIPT.sub(own, command)


def _hook(tally: Tally, kept: Mapping[str, bytes], base: str, hook: str, command: str) -> None:
    tally.note("install-script", Severity.INFO, f"npm runs at {hook}: {command[:120]}")
    if hook not in _LAST_RESORT:
        return
    command = _TRIED.sub(r"node \1", command)
    look(tally, command, SHELL + INSTALL_SHELL, f"{hook}: ")
    if _INLINE.search(command):
        why = f"{hook} runs code that stands in the command: {command[:100]}"
        tally.note("npm-inline-script", Severity.HIGH, why)
    elif not _EVERYDAY_INSTALL.search(command) and re.search(
        r"\b(?:sh|bash|cmd|chmod|\./|exec)\b|\.sh\b", command
    ):
        tally.note("npm-shell-script", Severity.MEDIUM, f"{hook} starts a shell: {command[:100]}")
    if _HIDDEN_START.search(command):
        why = f"{hook} starts something that nobody sees: {command[:100]}"
        tally.note("npm-hidden-script", Severity.HIGH, why)
    if _DESTROYS.search(command):
        tally.note("install-destroys", Severity.HIGH, f"{hook} removes what is not its own: {command[:100]}")
    for found in _SCRIPT_FILE.finditer(_MAIN.sub(r"\1 index", command)):
        for end in ("", ".js", ".cjs", ".mjs", "/index.js"):
            raw = kept.get(f"{base}{found[1].removeprefix('./')}{end}")
            if raw is not None:
                text = raw.decode("utf-8", "replace")
                look(tally, text, INSTALL_SCRIPT, f"{found[1]}, run at {hook}: ")
                flows(tally, text, f"{found[1]}, run at {hook}: ", installs=True)


def _commands(tally: Tally, said: dict[str, Any]) -> None:
    brought = said.get("bin")
    own = str(said.get("name", "")).rsplit("/", 1)[-1]
    theirs = _THEIRS.get(str(said.get("name", "")), "")
    for name, target in sorted(brought.items()) if isinstance(brought, dict) else ():
        if ".." in f"{name}/{target}".split("/") or "\\" in name or f"{target}".startswith("/"):
            why = f"A command of the package leads out of it: {name[:60]} to {str(target)[:60]}."
            tally.note("npm-command-outside", Severity.CRITICAL, why)
        if name in COMMANDS and name not in {own, theirs}:
            tally.note("command-shadowed", Severity.HIGH, f"The package brings a command named {name}.")


def _dependencies(tally: Tally, said: dict[str, Any]) -> None:
    wanted = said.get("dependencies")
    for name, source in wanted.items() if isinstance(wanted, dict) else ():
        if isinstance(source, str):
            tally.need(f"{name} {source}")
    _addresses(tally, said)


def _addresses(tally: Tally, said: dict[str, Any]) -> None:
    """Note dependencies that come from elsewhere than the registry."""
    for section in ("dependencies", "optionalDependencies", "peerDependencies"):
        wanted = said.get(section)
        for name, source in wanted.items() if isinstance(wanted, dict) else ():
            if isinstance(source, str) and _ADDRESS.match(source) and not _HOSTED.match(source):
                why = f"{name[:60]} comes from an address, not from the registry: {source[:80]}"
                tally.note("npm-address-dependency", Severity.HIGH, why)
            elif isinstance(source, str) and source.startswith("file:") and ".." in source.split("/"):
                why = f"{name[:60]} comes from a folder outside of the package: {source[:80]}"
                tally.note("npm-address-dependency", Severity.HIGH, why)
