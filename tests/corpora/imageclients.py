"""podman and containerd with the very lines that `client-config` prints, each with folders of its own."""

import json
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from lockgate.mirror import client_config

CONFIG = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/socket"
"""


class Podman:
    """podman with the very lines that `client-config podman` prints, and with a folder of its own."""

    def __init__(self, server, folder, url=""):
        self.server, self.folder = server, folder
        (text,) = (file.text for file in client_config("podman", url or server.url).files)
        (folder / "registries.conf").write_text(text)
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def __call__(self, *arguments, check=True):
        places = {"root": "store", "runroot": "run", "tmpdir": "tmp"}
        options = [word for name, at in places.items() for word in (f"--{name}", str(self.folder / at))]
        options += ["--storage-driver", "vfs", "--events-backend", "file", "--cgroup-manager", "cgroupfs"]
        conf = str(self.folder / "registries.conf")
        return self.server.run("podman", *options, *arguments, check=check, CONTAINERS_REGISTRIES_CONF=conf)

    def pull(self, *arguments, check=True):
        trusting = ("--quiet", "--signature-policy", str(self.folder / "policy.json"))
        return self("pull", *trusting, *arguments, check=check)

    def digests(self):
        """Return the digests of the one image that it holds."""
        (shown,) = json.loads(self("images", "--digests", "--format", "json").stdout)
        return {name.partition("@")[2] for name in shown["RepoDigests"]}


class Containerd:
    """A containerd that knows the mirror alone, in its namespace."""

    def __init__(self, server, folder, url=""):
        self.server, self.folder = server, folder
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        (hosts,) = client_config("containerd", url or server.url).files
        place = folder / "certs.d" / "_default" / "hosts.toml"
        place.parent.mkdir(parents=True)
        place.write_text(hosts.text)

    def ctr(self, space, *words, check=True):
        """Run its client in one of its own namespaces, which see nothing of one another."""
        address = ("--address", str(self.folder / "socket"), "--namespace", space)
        return self.server.run("ctr", *address, *words, check=check)

    def fetch(self, space, reference, *options, check=True):
        hosts = ("--hosts-dir", str(self.folder / "certs.d"))
        return self.ctr(space, "content", "fetch", *hosts, *options, reference, check=check)

    def held(self, space):
        """Return the digests of what it holds."""
        return {line.split()[0] for line in self.ctr(space, "content", "ls").stdout.splitlines()[1:]}

    def wait(self, daemon):
        deadline = time.monotonic() + 180
        while self.ctr("none", "version", check=False).returncode:
            assert daemon.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a daemon tells nobody when its socket answers


@contextmanager
def running_containerd(server, url=""):
    """Run a containerd in the server's namespace; its socket takes no folder with a long name."""
    with tempfile.TemporaryDirectory(prefix="ctr") as name:
        folder = Path(name)
        made = Containerd(server, folder, url)
        command = server.inside("containerd", "--config", str(folder / "config.toml"))
        with (folder / "log").open("w") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=log, env=server.environment())
            try:
                made.wait(daemon)
                yield made
            finally:
                daemon.terminate()
                daemon.wait(60)
