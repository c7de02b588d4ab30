"""Which inspectors of a site's own are announced here, by entry points of what is installed."""

from importlib.metadata import Distribution, distributions

from lockgate.core.wire import Document

GROUP = "lockgate.inspectors"
_MOST = 16


class SiteInspector(Document, frozen=True):
    """One announced inspector: what announces it, in which version, and where its class lies."""

    distribution: str
    version: str
    entry: str
    """``package.module:Class``."""
    package: str
    """What of the distribution is seen inside: the folder or the file that the class lies in."""


def announced(installed: "list[Distribution] | None" = None) -> tuple[SiteInspector, ...]:
    """Return what is announced here, sorted; it is trusted as Lockgate's own code is, by being installed.

    Args:
        installed: The distributions that are looked at; all that are installed when left out.

    """
    found = {
        SiteInspector(
            distribution=each.name,
            version=each.version,
            entry=point.value,
            package=_package(each, point.value),
        )
        for each in (distributions() if installed is None else installed)
        for point in each.entry_points
        if point.group == GROUP
    }
    return tuple(sorted(found, key=lambda each: (each.distribution, each.entry)))[:_MOST]


def _package(announcing: Distribution, entry: str) -> str:
    top = entry.partition(":")[0].partition(".")[0]
    alone = any(str(file) == f"{top}.py" for file in announcing.files or ())
    return f"{top}.py" if alone else top
