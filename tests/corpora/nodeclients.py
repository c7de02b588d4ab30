"""The pinned clients of npm registries, installed once into the environment's folder."""

import fcntl
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

_PINS = Path(__file__).parents[1] / "conformance" / "clients"


def installed_clients():
    """Return the folder with pnpm and both yarns; the first call fetches them with the machine's npm."""
    lock = (_PINS / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"node-clients-{sha256(lock).hexdigest()[:16]}"
    with (Path(sys.prefix) / ".node-clients.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_PINS / name, folder / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
            (folder / "done").touch()
    return folder / "node_modules"
