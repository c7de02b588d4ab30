"""Environments that packages are collected for: one version of CPython on one platform, as values.

Sources: PEP 508 and the dependency specifiers specification (markers), PEP 425, 513, 571, 599, 600 and 656
(tags), macOS and Windows tags as `packaging.tags` makes them.
"""

import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.tags import platform_tags as local_platforms

from lockgate.collect.errors import TargetError

_MANYLINUX = re.compile(r"manylinux_2_(\d{1,2})_([a-z0-9_]+)")
_MUSLLINUX = re.compile(r"musllinux_1_(\d{1,2})_([a-z0-9_]+)")
_MACOS = re.compile(r"macosx_(\d{1,2})_(\d{1,2})_(arm64|x86_64)")
_WINDOWS = {"win_amd64": "AMD64", "win_arm64": "ARM64", "win32": "x86"}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PATCHES = (0, 99)
"""Releases of a version of Python by which its markers are judged: what either needs is collected."""


@dataclass(frozen=True, slots=True)
class Place:
    """One environment: a version of CPython (``3.12``) and a platform tag (``manylinux_2_28_x86_64``).

    Attributes:
        python: The version.
        platform: The best platform tag that it accepts.
        system: ``sys_platform``: linux, darwin or win32.
        machine: ``platform_machine``.
        platforms: All platform tags that it accepts, best first.

    """

    python: str
    platform: str
    system: str
    machine: str
    platforms: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return it as people read it."""
        return f"Python {self.python} on {self.platform}"

    @property
    def marker(self) -> str:
        """Return the marker that this environment meets, and none on another system or version."""
        return f"python_version == '{self.python}' and {self.platform_marker}"

    @property
    def platform_marker(self) -> str:
        """Return the part of the marker that is about the platform."""
        return f"sys_platform == '{self.system}' and platform_machine == '{self.machine}'"

    def meets(self, marker: Marker) -> bool:
        """Tell whether a marker holds for the first or for a late release of the version."""
        return any(marker.evaluate(dict(self._facts(patch)), context="lock_file") for patch in _PATCHES)

    def tags(self) -> tuple[Tag, ...]:
        """Return the tags of wheels that fit, best first."""
        minor = int(self.python.partition(".")[2])
        found = [*cpython_tags((3, minor), abis=[f"cp3{minor}"], platforms=self.platforms)]
        found += compatible_tags((3, minor), interpreter=f"cp3{minor}", platforms=self.platforms)
        return tuple(dict.fromkeys(found))

    def _facts(self, patch: int) -> Mapping[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.{patch}",
            "os_name": "nt" if self.system == "win32" else "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[self.system],
            "platform_version": "",
            "python_full_version": f"{self.python}.{patch}",
            "python_version": self.python,
            "sys_platform": self.system,
        }


def place(python: str, platform: str) -> Place:
    """Return an environment by its version of Python and platform tag; without a tag, this machine's.

    Raises:
        TargetError: A tag of a kind that is not known.

    """
    tag = platform or _local()
    if found := _MANYLINUX.fullmatch(tag):
        return Place(python, tag, "linux", found[2], manylinux(int(found[1]), found[2]))
    if found := _MUSLLINUX.fullmatch(tag):
        tags = [f"musllinux_1_{minor}_{found[2]}" for minor in range(int(found[1]), -1, -1)]
        return Place(python, tag, "linux", found[2], (*tags, f"linux_{found[2]}"))
    if found := _MACOS.fullmatch(tag):
        tags = list(mac_platforms((int(found[1]), int(found[2])), found[3]))
        return Place(python, tag, "darwin", found[3], tuple(tags))
    if tag in _WINDOWS:
        return Place(python, tag, "win32", _WINDOWS[tag], (tag,))
    what = f"{tag} is no platform that wheels are made for."
    raise TargetError(
        what, platform=tag, advice="Name one as in manylinux_2_28_x86_64, win_amd64 or macosx_14_0_arm64."
    )


def manylinux(minor: int, machine: str) -> tuple[str, ...]:
    """Return the platform tags of a Linux with this minor version of glibc 2, best first (PEP 600)."""
    return tuple(_manylinux(minor, machine))


def _manylinux(minor: int, machine: str) -> Iterator[str]:
    for each in range(minor, 4, -1):
        yield f"manylinux_2_{each}_{machine}"
        if each in _LEGACY:
            yield f"{_LEGACY[each]}_{machine}"
    yield f"linux_{machine}"


def _local() -> str:
    """Return this machine's own best tag; one for any Linux says nothing of its C library."""
    tags = (tag for tag in local_platforms() if not tag.startswith("linux_"))
    return next(tags, sysconfig.get_platform())
