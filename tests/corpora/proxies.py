"""The proxies that stand between a client and the mirror, as processes in the server's namespace."""

import select
import subprocess
import sys
from pathlib import Path

from corpora.mirrorserver import PORT

CUTTING_PORT, HOLDING_PORT = 8711, 8712


class Between:
    """A proxy that reacts to addresses with an ending, and prints each as it does; see its own module."""

    def __init__(self, server, script, port, ending):
        command = [str(Path(__file__).with_name(script)), str(port), str(PORT), ending]
        self.process = subprocess.Popen(
            server.inside(sys.executable, *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.communicate()

    def seen(self, client):
        """Return the next address that it printed; a client that ended and asked for none is an error.

        `client` is a running process, or what a finished one left.
        """
        while not select.select([self.process.stdout], [], [], 1)[0]:
            over = isinstance(client, subprocess.CompletedProcess)
            assert not over, client.stdout + client.stderr
            assert client.poll() is None, client.communicate()[0]
        return self.process.stdout.readline().strip()

    def release(self):
        """Let go what is held."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def cutting(server, ending, port=CUTTING_PORT):
    """Return a proxy that breaks the first answer to each such address off in the middle."""
    return Between(server, "cuttingproxy.py", port, ending)


def holding(server, ending, port=HOLDING_PORT):
    """Return a proxy that holds requests for such an address until it is told to release them."""
    return Between(server, "holdingproxy.py", port, ending)
