"""Pinned programs from npm, clients and a registry, installed once into the environment's folder."""

import fcntl
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

_PINS = Path(__file__).parents[1] / "conformance"


def installed_clients(pins="clients"):
    """Return the folder with pnpm and both yarns, or with the programs of another folder of pins.

    The first call fetches them with the machine's npm.
    """
    lock = (_PINS / pins / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"node-{pins}-{sha256(lock).hexdigest()[:16]}"
    with (Path(sys.prefix) / f".node-{pins}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_PINS / pins / name, folder / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
            (folder / "done").touch()
    return folder / "node_modules"
