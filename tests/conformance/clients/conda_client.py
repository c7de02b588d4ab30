"""A client of conda channels: rattler asks a channel, solves, and installs into a prefix."""

import asyncio
import json
import os
import sys
from pathlib import Path

import rattler


async def main(channel: str, folder: Path, specs: list[str]) -> dict[str, str]:
    """Install and return the digests of what was installed, by file name."""
    gateway = rattler.Gateway(cache_dir=folder / "cache", show_progress=False)
    records = await rattler.solve(
        [channel],
        specs,
        gateway=gateway,
        platforms=["linux-64", "noarch"],
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    packages = folder / "packages"
    await rattler.install(
        records,
        folder / "prefix",
        cache_dir=packages,
        platform=rattler.Subdir("linux-64"),
        show_progress=False,
    )
    return {record.file_name: record.sha256.hex() for record in records}


if __name__ == "__main__":
    found = asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # rattler's threads may still run, and crash an interpreter that takes itself apart
