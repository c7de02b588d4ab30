"""Files that mean something by their place in a system: who may log in, what runs with everything else.

Looked for in the trees that system packages and layers of images are unpacked to. Sources: ld.so(8),
sudoers(5), passwd(5), shadow(5), apt.conf(5), sources.list(5), pam.conf(5), udev(7), cron(8), site (Python).
"""

import re
from collections.abc import Callable

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.shell_signs import SHELL
from lockgate.inspect.inspectors.wheels import path_file
from lockgate.inspect.tally import Context, Tally

ROLES = frozenset({"deb-data", "oci-layer", "rpm-data"})
"""Roles of what is unpacked at the root of a system."""
_READ = 256 << 10
"""Longest file that is looked into, in bytes."""
_SHOWN = 3
_KEY = re.compile(
    r"(?m)^[^#\n]{0,200}?\b(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\S+|sk-\S+@openssh\.com)\s+AAAA"
)
_ANYONE = re.compile(
    r"(?m)^[^\S\n]*(?:ALL|%?(?:users|everyone|nobody|www-data))\s+ALL\s*=[^\n#]*\bNOPASSWD\s*:\s*ALL\b"
)
_ROOTS = re.compile(r"(?m)^(?!root:|toor:\*)([^:\n#+-][^:\n]*):[^:\n]*:0+:")
_NO_PASSWORD = re.compile(r"(?m)^(root|[a-z_][\w-]*)::")
_TRUSTED = re.compile(
    r"(?m)^[^\S\n]*deb(?:-src)?\s+\[[^\]\n]*\btrusted\s*=\s*yes\b|^Trusted:\s*yes\b", re.IGNORECASE
)
_UNSIGNED = re.compile(
    r"(?m)^[^/#\n]*\b(?:AllowUnauthenticated|AllowInsecureRepositories|AllowWeakRepositories)\s+\"?(?:true|1|yes)",
    re.IGNORECASE,
)
_LETS_IN = re.compile(r"(?m)^[^\S\n]*-?auth\s+sufficient\s+(?:\S*/)?pam_permit\.so")
_COMMANDS = re.compile(
    r"(?:etc/(?:cron(?:tab|\.\w+/.+)|profile(?:\.d/.+)?|rc\.local|init\.d/.+|apt/apt\.conf\.d/.+|bash\.bashrc)"
    r"|(?:etc|usr/lib|lib)/(?:systemd/.+\.(?:service|timer)|udev/rules\.d/.+|NetworkManager/dispatcher\.d/.+)"
    r"|etc/conda/(?:de)?activate\.d/.+|etc/xdg/autostart/.+\.desktop)\Z"
)
_SITE = re.compile(r"(?:^|/)(?:site|dist)-packages/[^/]+\.pth\Z")
_HOME = r"(?:root|home/[^/]+|var/lib/[^/]+)"


def _says(pattern: re.Pattern[str], code: str, why: str) -> Callable[[Tally, str, str], None]:
    def check(tally: Tally, name: str, text: str) -> None:
        for count, found in enumerate(pattern.finditer(text)):
            if count < _SHOWN:
                shown = " ".join(found[0].split())[:40]
                tally.note(code, Severity.HIGH, f"{name} {why}: {shown}", found.start())

    return check


def _preloads(tally: Tally, name: str, text: str) -> None:
    if text.strip():
        tally.note("system-preload", Severity.HIGH, f"{name} is loaded into every program.")


_PLACES: tuple[tuple[re.Pattern[str], Callable[[Tally, str, str], None]], ...] = tuple(
    (re.compile(place), check)
    for place, check in (
        (r"etc/ld\.so\.preload\Z", _preloads),
        (r"etc/sudoers(?:\.d/.+)?\Z", _says(_ANYONE, "system-access", "lets anybody act as root")),
        (rf"{_HOME}/\.ssh/authorized_keys2?\Z", _says(_KEY, "system-access", "lets the owner of a key in")),
        (r"etc/passwd\Z", _says(_ROOTS, "system-access", "gives a second user the rights of root")),
        (r"etc/shadow\Z", _says(_NO_PASSWORD, "system-access", "lets a user in without a password")),
        (r"etc/apt/sources\.list(?:\.d/.+)?\Z", _says(_TRUSTED, "system-trust", "trusts a source unsigned")),
        (r"etc/apt/apt\.conf(?:\.d/.+)?\Z", _says(_UNSIGNED, "system-trust", "lets unsigned packages in")),
        (r"etc/pam\.d/.+\Z", _says(_LETS_IN, "system-access", "lets everybody in")),
    )
)  # fmt: skip


def anywhere(name: str) -> bool:
    """Return whether a file runs something by its place in whatever it is unpacked to."""
    return (name.endswith(".pth") and bool(_SITE.search(name))) or name.startswith("etc/conda/")


def look_at(data: memoryview, tally: Tally, context: Context) -> None:
    """Note what a file of a system does by its place."""
    name = context.name.removeprefix("./").lstrip("/")
    if len(data) > _READ:
        return
    if _SITE.search(name):
        path_file(tally, name, bytes(data))
        return
    checks = [check for place, check in _PLACES if place.match(name)]
    runs = _COMMANDS.match(name)
    if not checks and not runs:
        return
    text = bytes(data).decode("utf-8", "replace")
    for check in checks:
        check(tally, name, text)
    if runs:
        look(tally, text, SHELL, f"{name}: ")
