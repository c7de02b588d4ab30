"""A real `llama-server` on loopback, as long as a bench wants it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 300


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def served(program: Path, model: Path, context: int = 4096) -> Iterator[str]:
    """Start `llama-server` with a context of so many tokens; give its address once it answers."""
    port = free_port()
    words = ["-m", model, "--host", "127.0.0.1", "--port", port, "-c", context, "-np", 1, "--jinja"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(program.parent)}
    with subprocess.Popen(  # the operator names it
        [str(program), *map(str, words)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
            while not up(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("llama-server did not start")
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def up(url: str) -> bool:
    """Tell whether a server says that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)  # noqa: PLR2004  # RFC 9110
    except OSError:
        return False
