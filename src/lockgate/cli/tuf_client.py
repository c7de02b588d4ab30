"""``lockgate tuf-client``: the command line of the public TUF client conformance suite.

Its CLIENT-CLI document fixes the options, which stand before the command, and the exit statuses:
0 for success, 1 for every failure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lockgate.core.errors import LockgateError
from lockgate.core.visible import shortened, visible

app = typer.Typer(no_args_is_help=True)

_REPOSITORY = "lockgate.tuf-client"


@app.callback()
def options(
    ctx: typer.Context,
    metadata_dir: Annotated[Path, typer.Option(help="Folder of trusted metadata.")],
    metadata_url: Annotated[str, typer.Option(help="Base address of the repository's metadata.")] = "",
    target_name: Annotated[list[str] | None, typer.Option(help="Path of a target; may be repeated.")] = None,
    target_base_url: Annotated[str, typer.Option(help="Base address of the repository's targets.")] = "",
    target_dir: Annotated[Path | None, typer.Option(help="Folder for verified targets.")] = None,
) -> None:
    """Read metadata and targets of a TUF repository, trusting only what its root leads to.

    Examples:
      lockgate tuf-client --metadata-dir trust init root.json
      lockgate tuf-client --metadata-dir trust --metadata-url URL refresh
      lockgate tuf-client --metadata-dir trust --metadata-url URL --target-name a/b.txt
        --target-base-url URL --target-dir files download
    """
    ctx.meta[_REPOSITORY] = (metadata_dir, metadata_url, target_name or [], target_base_url, target_dir)


@contextmanager
def _one_for_any_failure(ctx: typer.Context) -> Iterator[None]:
    try:
        yield
    except LockgateError as error:
        if (ctx.obj or {}).get("debug"):
            raise
        said = visible(shortened(error.what))
        typer.echo(f"{error.code} {said}\n  What to do: {error.what_to_do}", err=True)
        raise typer.Exit(1) from error


@app.command()
def init(
    ctx: typer.Context, trusted_root: Annotated[Path, typer.Argument(help="The root to begin with.")]
) -> None:
    """Begin to trust a root; nothing is fetched.

    Example: lockgate tuf-client --metadata-dir trust init root.json
    """
    from lockgate.app.check.tuf_client import init_client
    from lockgate.app.trust import utc_now

    folder = ctx.meta[_REPOSITORY][0]
    with _one_for_any_failure(ctx):
        init_client(folder, trusted_root, utc_now())
    typer.echo(f"Trusted root: {folder / 'root.json'}")


@app.command()
def refresh(ctx: typer.Context) -> None:
    """Update the trusted metadata from the repository.

    Example: lockgate tuf-client --metadata-dir trust --metadata-url URL refresh
    """
    from lockgate.app.check.tuf_client import Places, UpdateClient, http_fetcher
    from lockgate.app.trust import utc_now

    folder, url, *_ = ctx.meta[_REPOSITORY]
    _demand(url, "--metadata-url")
    with _one_for_any_failure(ctx):
        UpdateClient(Places(folder, url), http_fetcher(), utc_now()).refresh()
    typer.echo(f"Trusted metadata is up to date: {folder}")


@app.command()
def download(ctx: typer.Context) -> None:
    """Update the trusted metadata, then fetch and verify targets.

    Example: lockgate tuf-client --metadata-dir trust --metadata-url URL --target-name a/b.txt
    --target-base-url URL --target-dir files download
    """
    from lockgate.app.check.tuf_client import Places, UpdateClient, http_fetcher
    from lockgate.app.trust import utc_now

    folder, url, names, target_url, target_folder = ctx.meta[_REPOSITORY]
    for value, option in (
        (url, "--metadata-url"),
        (names, "--target-name"),
        (target_url, "--target-base-url"),
        (target_folder, "--target-dir"),
    ):
        _demand(value, option)
    with _one_for_any_failure(ctx):
        client = UpdateClient(Places(folder, url, target_url), http_fetcher(), utc_now())
        client.refresh()
        for name in names:
            typer.echo(f"{name}: {client.download(name, target_folder)}")


def _demand(value: object, option: str) -> None:
    if not value:
        typer.echo(f"This command needs {option}.", err=True)
        raise typer.Exit(1)
