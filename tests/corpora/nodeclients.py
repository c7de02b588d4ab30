"""Pinned programs from npm, clients and a registry, installed once, and projects that they install for."""

import fcntl
import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from corpora.mirrorserver import PORT

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


SCRIPTS = {"pnpm": "pnpm/bin/pnpm.cjs", "yarn1": "yarn/bin/yarn.js", "yarn4": "@yarnpkg/cli-dist/bin/yarn.js"}
"""Where the programs lie in the folder of the clients."""


class Node:
    """A project folder in the server's namespace, and one client's way of being called."""

    def __init__(self, server, folder, *command, port=PORT, **environment):
        self.server, self.folder, self.command = server, folder, command
        self.registry = f"http://127.0.0.1:{port}/npm/"
        folder.mkdir()
        self.environment = {
            "HOME": str(folder),
            "npm_config_registry": self.registry,
            "npm_config_userconfig": str(folder / "none.npmrc"),
            "npm_config_globalconfig": str(folder / "none-global.npmrc"),
            "npm_config_cache": str(folder / "cache"),
            "YARN_CACHE_FOLDER": str(folder / "cache-yarn"),  # as root, yarn 1 would share one with all
            "npm_config_update_notifier": "false",
            "npm_config_fetch_retry_mintimeout": "10",
            "npm_config_fetch_retry_maxtimeout": "100",
            **environment,
        }

    @classmethod
    def of(cls, kind, server, folder, port=PORT, **environment):
        """Return a project of npm's or of another client, configured as its own documentation says."""
        command = ("npm",) if kind == "npm" else ("node", str(installed_clients() / SCRIPTS[kind]))
        node = cls(server, folder, *command, port=port, **environment)
        node.kind = kind
        if kind == "yarn4":
            (folder / ".yarnrc.yml").write_text(
                f"npmRegistryServer: '{node.registry.rstrip('/')}'\nunsafeHttpWhitelist: ['127.0.0.1']\n"
                f"nodeLinker: node-modules\nenableTelemetry: false\nenableGlobalCache: false\n"
            )
        return node

    def package(self, **depends):
        names = {name.replace("__", "/"): wanted for name, wanted in depends.items()}
        value = {"name": "project", "version": "1.0.0", "dependencies": names}
        (self.folder / "package.json").write_text(json.dumps(value))
        return self

    def words(self, *arguments):
        """Return the command line that runs the client in the project's folder."""
        return ("env", "-C", str(self.folder), *self.command, *arguments)

    def __call__(self, *arguments, check=True):
        return self.server.run(*self.words(*arguments), check=check, **self.environment)

    def begin(self, *arguments):
        """Start the client and return its process."""
        return self.server.begin(*self.words(*arguments), **self.environment)

    def says(self, module):
        """Return what a module exports, as the project's own code would see it."""
        code = f"console.log(require({module!r}))"
        return self.server.run("env", "-C", str(self.folder), "node", "-e", code).stdout.strip()
