"""The pinned clients of Python package indexes, installed once into the environment's folder."""

import fcntl
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

_PINS = Path(__file__).parents[1] / "conformance" / "clients" / "python.txt"


def installed_python_clients():
    """Return the folder of programs with pip, poetry and pdm; the first call fetches them with uv."""
    folder = Path(sys.prefix) / f"python-clients-{sha256(_PINS.read_bytes()).hexdigest()[:16]}"
    uv = str(Path(sys.executable).with_name("uv"))
    with (Path(sys.prefix) / ".python-clients.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            made = [uv, "venv", "--quiet", "--python", sys.executable, str(folder)]
            python = str(folder / "bin" / "python")
            filled = [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                python,
                "--require-hashes",
                "-r",
                str(_PINS),
            ]
            for command in (made, filled):
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            (folder / "done").touch()
    return folder / "bin"
