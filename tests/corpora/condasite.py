"""A mirror's site out of conda packages that a test made: described by what rattler's index says of them."""

import tempfile
from pathlib import Path

from corpora.condas import CondaUpstream
from lockgate.collect.conda.repodata import listed


def fill(site, *packages, channel="science", crossing=1):
    """Add packages to a channel of a site."""
    with tempfile.TemporaryDirectory() as folder:
        upstream = CondaUpstream(Path(folder), list(packages))
        upstream.publish(compressed=False)
        known = {
            one.package.filename: one.package
            for subdir in ("linux-64", "noarch")
            for one in listed(
                upstream.root / subdir / "repodata.json", subdir, {p.filename for p in packages}
            )
        }
    for package in packages:
        site.add_conda(known[package.filename], package.data, channel=channel, crossing=crossing)
    return site
