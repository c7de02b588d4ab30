"""Names in a wheel that are somebody else's: commands that people type, modules, parts of the system.

Sources: entry points specification (packaging.python.org); "Binary distribution format", 5 (``.data``);
setuptools, "Entry points for ``distutils.commands``".
"""

import re
import sys
from collections.abc import Iterable, Sequence

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.packages import COMMANDS
from lockgate.inspect.tally import Tally

_THEIRS = {
    "npm": ("nodejs", "npm"), "npx": ("nodejs", "npm"), "az": ("azure",), "aws": ("aws",),
    "pip": ("pip",), "cc": ("zig",), "find": ("findlib",),
}  # fmt: skip
"""Commands of one distribution that another one brings by right, by how the latter's name begins."""
_SCRIPTS = frozenset({"console_scripts", "gui_scripts"})
_BUILD = frozenset({
    "install", "install_lib", "install_scripts", "build", "build_py", "build_ext", "build_scripts", "develop",
    "egg_info", "sdist", "bdist_wheel", "bdist_egg", "dist_info", "editable_wheel",
})  # fmt: skip
"""Commands of setuptools itself; whoever brings one of the name runs in every build."""
_BUILDERS = frozenset({"setuptools", "wheel", "distutils", "numpy", "torch"})
_TARGET = re.compile(
    r"(?m)^[ \t]*([\w.-]{1,100})[ \t]*=[ \t]*((?:os|posix|subprocess|builtins|pty|shutil|runpy|code|"
    r"sys)[ \t]*:[ \t]*[\w.]{1,60})"
)
_POPULAR = frozenset({
    "requests", "urllib3", "numpy", "pandas", "torch", "flask", "django", "boto3", "botocore", "cryptography",
    "certifi", "click", "pip", "setuptools", "httpx", "aiohttp", "sqlalchemy", "jinja2", "scipy",
    "transformers",
})  # fmt: skip
"""Modules that nearly everybody imports: a wheel of another name that has one replaces it."""
_STANDARD = frozenset(sys.stdlib_module_names) - {"__main__", "this", "antigravity", "test", "tests"}
_BACKPORTS = re.compile(
    r"(?:enum34|futures|backports?[-.\w]*|future|six|typing|stdlib[-\w]*|pypy[-\w]*|importlib[-\w]*)\Z"
)
_SYSTEM = re.compile(
    r"[^/]+\.data/data/(?:etc/(?:cron|profile|init|systemd|ld\.so|sudoers|pam|xdg/autostart|ssh|passwd|shadow|bash(?!_completion\.d/)|sudo)"
    r"|(?:usr/)?(?:lib|share)/systemd/|lib/udev/|share/autostart/|\.ssh/|\.bash|\.profile|\.zsh|\.config/)"
)
_SHOWN = 5


def check(tally: Tally, names: Iterable[str], own: str) -> None:
    """Note members whose names are those of commands, of other modules, or of a system's settings.

    Args:
        tally: Takes the findings.
        names: The members.
        own: The distribution's name, normalized.

    """
    tops: dict[str, None] = {}
    told = 0
    for name in names:
        parts = name.split("/")
        if ".data/" in name and _SYSTEM.match(name) and told < _SHOWN:
            told += 1
            tally.note("wheel-system-file", Severity.HIGH, f"{name} is put among the settings of a system.")
        if parts[0].endswith(".data"):
            if parts[1:2] == ["scripts"] and len(parts) == 3:  # noqa: PLR2004  # folder, part and file
                _command(tally, parts[2], own)
            parts = parts[2:] if parts[1:2] in (["purelib"], ["platlib"]) else []
        if parts and parts[-1].endswith((".py", ".so", ".pyd")):
            tops.setdefault(parts[0].partition(".")[0])
    for top in tops:
        _module(tally, top, own)


def commands(tally: Tally, points: Sequence[tuple[str, str]], text: str, own: str) -> None:
    """Note entry points that take the place of commands, of builds, or that run something of Python's own."""
    for group, name in points:
        if group in _SCRIPTS:
            _command(tally, name, own)
        elif group == "distutils.commands" and name in _BUILD and own not in _BUILDERS:
            why = f"It puts itself in place of {name} of every build that finds it."
            tally.note("wheel-build-command", Severity.HIGH, why)
    for count, found in enumerate(_TARGET.finditer(text)):
        if count < _SHOWN:
            why = f"The entry point {found[1]} runs {found[2]}, which is none of its own."
            tally.note("wheel-entry-target", Severity.HIGH, why)


def _command(tally: Tally, name: str, own: str) -> None:
    """Note a command that people type every day, unless the distribution is named for it."""
    name = name.removesuffix(".exe")
    if name not in COMMANDS or own.startswith(name) or name.startswith(own):
        return
    if not own.startswith(_THEIRS.get(name, ("\0",))):
        tally.note("command-shadowed", Severity.HIGH, f"The package brings a command named {name}.")


def _module(tally: Tally, top: str, own: str) -> None:
    mine = own.replace("-", "_")
    if top in _POPULAR and top not in mine:
        why = f"It brings the module {top}, which is another distribution's."
        tally.note("wheel-foreign-module", Severity.HIGH, why)
    elif top in _STANDARD and top not in mine and not _BACKPORTS.match(own):
        why = f"It brings the module {top}, which is Python's own."
        tally.note("wheel-foreign-module", Severity.HIGH, why)
