"""A mirror's site out of a repository that a test made: read by the collector's own readers of indexes."""

from lockgate.collect.ports import Limits
from lockgate.collect.rpm.errata import errata_of, modules_of
from lockgate.collect.rpm.packages import listed, with_details
from lockgate.core.rpm import REPOSITORY_FORMAT, RpmRepository

LIMIT = 1 << 28


def index(upstream, kind):
    """Return a repository's index of a kind; None where there is none."""
    return next((upstream.root / "repodata").glob(f"*-{kind}.*"), None)


def described(upstream):
    """Return the packages of a repository as its indexes describe them, by file name."""
    primary = {one.digest: one for one in listed(index(upstream, "primary"), LIMIT)}
    found = with_details(primary, index(upstream, "filelists"), index(upstream, "other"), LIMIT)
    return {one.path.rpartition("/")[2]: one.package for one in found.values()}


def repository(upstream, channel="base", architecture="x86_64", name="rocky"):
    """Return what crosses of a repository."""
    errata, modules = index(upstream, "updateinfo"), index(upstream, "modules")
    return RpmRepository(
        format=REPOSITORY_FORMAT,
        repository=name,
        channel=channel,
        architecture=architecture,
        errata=tuple(errata_of(errata, Limits())) if errata else (),
        modules=tuple(modules_of(modules, Limits())) if modules else (),
    )


def fill(site, upstream, *packages, channel="base", architecture="x86_64", crossing=1):
    """Add a repository and some of its packages to a site."""
    known = described(upstream)
    site.add_rpm_repository(
        repository(upstream, channel, architecture), upstream.key.certificate, crossing=crossing
    )
    for package in packages:
        data = (upstream.root / "Packages" / package.filename).read_bytes()
        site.add_rpm(known[package.filename], data, f"{channel}:{architecture}", crossing=crossing)
    return site
