"""The pinned clients of Python package indexes, installed once, and projects that they install for."""

import fcntl
import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from lockgate.mirror import client_config

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


POETRY = f"""
[tool.poetry]
package-mode = false
{client_config("poetry", "{url}").files[0].text}"""
PDM = """
[tool.pdm]
distribution = false
"""


class Manager:
    """poetry or pdm in a project folder, with folders of its own for what it keeps."""

    def __init__(self, server, programs, folder, name, *, url="", **environment):
        self.server, self.folder = server, folder
        self.program = str(programs / name)
        kept = folder.parent / f"{folder.name}-kept"
        settings = folder.parent / f"{folder.name}-pdm.toml"
        settings.write_text(client_config("pdm", url or server.url).files[0].text)
        self.environment = {
            "PDM_CONFIG_FILE": str(settings),
            "POETRY_VIRTUALENVS_IN_PROJECT": "1",
            "POETRY_CACHE_DIR": str(kept),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PDM_CACHE_DIR": str(kept),
            "PDM_PYTHON": str(folder / ".venv/bin/python"),
            **environment,
        }

    def words(self, *arguments):
        """Return the command line that runs the client in the project's folder."""
        quiet = ("--no-interaction",) if "poetry" in self.program else ()
        return ("env", "-C", str(self.folder), self.program, *quiet, *arguments)

    def __call__(self, *arguments, check=True):
        return self.server.run(*self.words(*arguments), check=check, **self.environment)

    def begin(self, *arguments):
        """Start the client and return its process."""
        return self.server.begin(*self.words(*arguments), **self.environment)


def project(folder, url, *dependencies, table=""):
    folder.mkdir()
    wanted = json.dumps(list(dependencies))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.11,<4"\ndependencies = {wanted}\n'
        + table.format(url=url)
    )
    return folder


def versions(environment):
    """Return the versions in an environment, by project."""
    found = (
        path.name.removesuffix(".dist-info")
        for path in environment.glob("lib/python*/site-packages/*.dist-info")
    )
    return dict(name.split("-", 1) for name in found)
