"""What runs a new version inside the helper's sandbox, where nothing of the host can be written.

A program by itself, of the standard library alone: it unpacks what comes on standard input into memory,
runs one command there, and writes what came of it: one line of JSON with status, output and errors, and
after it a tar archive of the folders that were asked for. Nothing of it is believed outside; files are
hashed there.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

PLACE: Final = "/tmp/work"  # noqa: S108  # a file system of the sandbox's own
KEPT: Final = 1 << 20
"""Most bytes of output and of errors that are passed on."""


def main(order: str) -> None:
    """Run an order: JSON with ``command``, ``environment``, ``seconds`` and ``bring``."""
    wanted = json.loads(order)
    place = Path(PLACE)
    place.mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall(place, filter="data")
    out, err = place.with_name("out"), place.with_name("err")
    with out.open("wb") as said, err.open("wb") as complained:
        ran = subprocess.run(  # noqa: S603  # the slot that was just installed and verified
            wanted["command"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
            env={**wanted["environment"], "HOME": PLACE},
            cwd=place,
            timeout=wanted["seconds"],
            check=False,
        )
    told = {"status": ran.returncode, "out": _kept(out), "err": _kept(err)}
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for name in wanted["bring"]:
            if (place / name).exists():
                archive.add(place / name, name)
    sys.stdout.flush()


def _kept(file: Path) -> str:
    with file.open("rb") as stream:
        return stream.read(KEPT + 1).decode("utf-8", "replace")


if __name__ == "__main__":
    main(sys.argv[-1])
