"""``lockgate update``: releases of Lockgate itself, from making one to going back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, TokenPinOption, draw_list, emit

app = typer.Typer(no_args_is_help=True, help="Update Lockgate itself: try, activate, go back.")

Version = Annotated[str, typer.Argument(help="The release's version.")]
Key = Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")]
Out = Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/ of the home).")]


@app.command()
def make(
    wheels: Annotated[
        Path, typer.Argument(help="Folder with lockgate's wheel and those that changed with it.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the release, its wheels and its manifest.")],
    as_json: JsonOption = False,
) -> None:
    """Prepare a release of the wheels in a folder; what they do not bring is pinned as it is here.

    It bears no signature yet. Releasers sign it with `update sign`; the low side collects it by the
    `release.toml` beside it.

    Example: lockgate update make dist --out release
    """
    from lockgate.app.release.release import make_release, read_release, release_digest, write_bundle
    from lockgate.app.trust import utc_now
    from lockgate.core.digests import words

    envelope = make_release(wheels, utc_now())
    file = write_bundle(wheels, envelope, out)
    digest = release_digest(envelope)
    release = read_release(envelope)
    value = {
        "release": file,
        "version": release.version,
        "sha256": digest,
        "words": words(digest),
        "wheels": len(release.files),
        "packages": len(release.packages),
    }

    def render(console: Console) -> None:
        console.print(f"Release {release.version}, not signed yet: {file}")
        console.print(f"  {len(release.files)} wheels, {len(release.packages)} packages")
        console.print(f"  read aloud: [bold]{words(digest)}[/]")

    emit(as_json, value, render)


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(help="The folder that `update make` wrote.")],
    key: Annotated[
        str, typer.Option(help="Folder with lockgate-release.pem and .pass, or a pkcs11: address (RFC 7512).")
    ],
    token_pin_file: TokenPinOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a release with a releaser's key, after hashing its wheels again.

    Example: lockgate update sign release --key people/releaser-1
    """
    from lockgate.app.keys import key_place
    from lockgate.app.release.release import read_bundle, release_digest, sign_bundle
    from lockgate.core.digests import words

    signed = sign_bundle(folder, key_place(key, token_pin_file))
    file, envelope = read_bundle(folder)
    digest = release_digest(envelope)
    value = {"release": file, "sha256": digest, "words": words(digest), "signatures": signed}
    emit(as_json, value, lambda c: c.print(f"Signed ({signed} signatures): {file}\n  {words(digest)}"))


@app.command("list")
def list_releases(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the releases that were admitted, who signed them, and what is active.

    Example: lockgate update list --home lane/high
    """
    import msgspec

    from lockgate.app.release.activation import settle
    from lockgate.app.release.update import active_release, offered
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    settle(side)
    active, found = active_release(side), offered(side)
    value = {
        "active": msgspec.to_builtins(active),
        "releases": [
            {
                "version": o.version,
                "file": o.file,
                "standing": o.standing,
                "signed": list(o.people),
                "refused": o.refused,
                "crossing": o.admitted.crossing,
            }
            for o in found
        ],
    }

    def render(out: Console) -> None:
        out.print(f"Active: [bold]{active.version}[/] in {active.slot}")
        if active.previous:
            out.print(f"  before it: {active.previous.version}")
        table = Table("Version", "Crossing", "State", "Signed by")
        for o in found:
            state = f"[red]refused[/] {o.refused}" if o.refused else o.standing
            table.add_row(o.version or o.file, str(o.admitted.crossing), state, ", ".join(o.people))
        draw_list(out, table, "No other release has crossed")

    emit(as_json, value, render)


@app.command("try")
def try_version(version: Version, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Verify a release, install it into a slot of its own and try it there; what is active goes on.

    In the slot, without network and without keys, it opens test crates of earlier versions and hashes
    a copy of the log again.

    Example: lockgate update try 0.2.0 --home lane/high
    """
    import msgspec

    from lockgate.app.release.update import try_release
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    with Bars(quiet=as_json, unit_bytes=False) as bars:
        bars.start("install and try", 0)
        done = try_release(side, version)
        bars.finish()
    value = {"slot": done.installed.folder, "trial": msgspec.to_builtins(done.trial)}

    def render(out: Console) -> None:
        out.print(f"Release {version} works in {done.installed.folder}")
        out.print(
            f"  opened {len(done.trial.crates)} test crates; the log holds, {done.trial.log_size} leaves"
        )
        out.print("  next: `lockgate update request`")

    emit(as_json, value, render)


@app.command()
def request(
    version: Version, key: Key, out: Out = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Ask two approvers to activate a release that was tried.

    Example: lockgate update request 0.2.0 --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.release.activation import request_activation
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = request_activation(side, version, operator_key(side, key))
    _asked(as_json, write_request(side, f"activate-{version}", envelope, out))


@app.command()
def rollback(key: Key, out: Out = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Ask two approvers to go back to the release before the active one.

    Example: lockgate update rollback --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.release.activation import request_revert
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = request_revert(side, operator_key(side, key))
    _asked(as_json, write_request(side, "revert", envelope, out))


def _asked(as_json: bool, file: Path) -> None:
    emit(
        as_json,
        {"request": file},
        lambda out: out.print(f"Request: {file}\n  approvers sign it with `lockgate approve`"),
    )


@app.command()
def activate(
    signed: Annotated[list[Path], typer.Argument(help="The request as each approver signed it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Carry out what the approvers signed: activate a release, or go back to the one before.

    Restart the services afterwards, from `releases/current/bin/lockgate`.

    Example: lockgate update activate approver-1.json approver-2.json --home lane/high
    """
    import msgspec

    from lockgate.app.release.activation import activate as carry_out
    from lockgate.app.settings import load_settings

    active = carry_out(load_settings(home).require("high"), signed)
    emit(
        as_json,
        msgspec.to_builtins(active),
        lambda out: out.print(f"Active: [bold]{active.version}[/] in {active.slot}"),
    )
