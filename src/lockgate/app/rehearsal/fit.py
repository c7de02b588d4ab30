"""Whether wheels fit a host that is not this one: tags by C library and processor, and uv's names of both.

Sources: PEP 600 and PEP 513, 571, 599 (manylinux), PEP 425 (tags), as `packaging.tags` has them.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from lockgate.core.host import HostProfile

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_UV_MANYLINUX = (17, 28, *range(31, 41))
"""Which versions of glibc uv can be told that a platform has (`uv pip install --python-platform`)."""

_UV_ARCHITECTURES = frozenset({"x86_64", "aarch64"})
_DEBIAN = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
}
_NODE = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64", "riscv64": "riscv64"}


def platforms(host: HostProfile) -> Iterator[str]:
    """Yield the platform tags that a host accepts, best first."""
    machine = host.architecture
    if host.libc == "glibc" and host.libc_version:
        for minor in range(int(host.libc_version.split(".")[1]), 4, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"


@cache
def host_tags(host_key: tuple[str, ...], minor: str) -> frozenset[Tag]:
    """Return every tag that CPython of a version accepts on a host with these platform tags."""
    version = tuple(int(part) for part in minor.split("."))
    named = f"cp{version[0]}{version[1]}"
    found = {*cpython_tags(version, [named], host_key), *compatible_tags(version, named, host_key)}
    return frozenset(found)


def fits(filenames: Iterable[str], host: HostProfile, minor: str) -> bool:
    """Tell whether one of a project's files can be installed there; a source distribution can be tried."""
    accepted = host_tags(tuple(platforms(host)), minor)
    for name in filenames:
        if not name.endswith(".whl"):
            return True
        try:
            _, _, _, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue
        if tags & accepted:
            return True
    return False


def best_platform(host: HostProfile) -> str:
    """Return what a manifest names so that wheels for the host are collected."""
    return next(platforms(host))


def uv_platform(host: HostProfile) -> str:
    """Return uv's name for a host's platform; empty where it has none."""
    if host.architecture not in _UV_ARCHITECTURES or host.libc != "glibc" or not host.libc_version:
        return ""
    minor = int(host.libc_version.split(".")[1])
    known = [each for each in _UV_MANYLINUX if each <= minor]
    return f"{host.architecture}-manylinux_2_{known[-1]}" if known else ""


def debian_architecture(host: HostProfile) -> str:
    """Return Debian's name of the host's processor; the host's own where Debian has none."""
    return _DEBIAN.get(host.architecture, host.architecture)


def node_cpu(host: HostProfile) -> str:
    """Return Node's name of the host's processor."""
    return _NODE.get(host.architecture, host.architecture)
