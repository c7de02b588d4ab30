"""What a person sees who opens the mirrors' own address in a browser: what is served, and where.

It tells what ``/healthz`` tells everybody, and nothing of what the snapshot holds.
"""

from collections.abc import Iterable
from html import escape

from lockgate.core.statement import Statement

PLACES = (
    ("/simple/", "Python packages", ("pip", "uv", "poetry", "pdm")),
    ("/npm/", "npm packages", ("npm", "yarn", "pnpm")),
    ("/apt/", "Debian repositories", ("apt",)),
    ("/rpm/", "RPM repositories", ("dnf",)),
    ("/conda/", "conda channels", ("conda",)),
    ("/v2/", "Container images, and models of Ollama", ("docker", "podman", "containerd", "ollama")),
    ("/", "Models, data sets and spaces", ("huggingface",)),
    ("/git/", "Git repositories", ("git",)),
    ("/files/", "Documents and plain files", ()),
)
"""Where each protocol begins, what it serves, and for which clients a configuration is printed."""

LISTED = frozenset({"/simple/", "/files/"})
"""Places that a browser can open."""


def front_page(served: Statement | None, address: str) -> str:
    """Return the page as HTML, without styles and scripts: none are let in on this address.

    Args:
        served: What is served; none: nothing yet.
        address: The mirrors' address as clients know it; empty: as the settings say.

    """
    state = "Nothing is published yet."
    if served is not None:
        state = (
            f"Channel {escape(served.channel)}, version {served.channel_version}, snapshot "
            f"<code>{served.snapshot_sha256}</code>."
        )
    rows = "".join(
        f"<tr><td>{_place(path)}</td><td>{escape(what)}</td><td>{_commands(clients, address)}</td></tr>\n"
        for path, what, clients in PLACES
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Mirrors - Lockgate</title></head>\n"
        f"<body>\n<h1>Mirrors</h1>\n<p>{state}</p>\n"
        '<table>\n<thead><tr><th scope="col">Address</th><th scope="col">What is there</th>'
        '<th scope="col">Configuration of clients</th></tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table>\n</body>\n</html>\n"
    )


def _place(path: str) -> str:
    text = f"<code>{path}</code>"
    return f'<a href="{path.removeprefix("/")}">{text}</a>' if path in LISTED else text


def _commands(clients: Iterable[str], address: str) -> str:
    """Return the commands that print what clients need."""
    url = f" --url {escape(address)}" if address else ""
    return "<br>".join(f"<code>lockgate client-config {client}{url}</code>" for client in clients)
