"""``lockgate custody``: who had a crate's package, from packing to the gate."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from lockgate.app.crossing.counter import Desk
    from lockgate.app.crossing.custody import Seen
    from lockgate.app.keys import KeyPlace

app = typer.Typer(no_args_is_help=True, help="Sign hand-overs of a crate's package, check and show its way.")

ChainFile = Annotated[
    Path, typer.Argument(help="The chain (crate-….custody.json); it is replaced when it grows.")
]
Key = Annotated[
    str, typer.Option(help="Folder with your custodian.pem and custodian.pass, or a pkcs11: address.")
]
PinFile = Annotated[Path | None, typer.Option(help="File with the token's PIN (default: asked).")]
Place = Annotated[str, typer.Option(help="Where this is.")]
Seals = Annotated[
    list[str] | None, typer.Option("--seal", help="Number on a seal, read from the seal itself; repeat it.")
]
Media = Annotated[
    list[str] | None, typer.Option("--medium", help="Label of a medium, where it can be seen; repeat it.")
]
Photos = Annotated[
    list[Path] | None, typer.Option("--photo", help="A photograph; its digest is signed. Repeat it.")
]
Note = Annotated[str, typer.Option(help="One line for the approvers.")]
At = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M"], help="When it happened, in UTC, where it was written on paper first."
    ),
]
Despite = Annotated[
    bool, typer.Option("--despite", help="Sign although something differs; --note says who told you to.")
]


def _key(key: str, pin_file: Path | None) -> "KeyPlace":
    from lockgate.app.keys import key_place
    from lockgate.cli.approve import ask_pin

    return key_place(key, pin_file, ask_pin if sys.stdin.isatty() else None)


def _seen(
    place: str,
    seals: list[str] | None,
    media: list[str] | None,
    at: datetime | None,
    photos: list[Path] | None,
    note: str,
) -> "Seen":
    from lockgate.app.crossing.custody import Seen, photo_digest
    from lockgate.core.custody import plain_marks

    return Seen(
        place=place,
        seals=plain_marks(seals or []),
        media=plain_marks(media) if media else None,
        at=at.replace(tzinfo=UTC) if at else None,
        photos=tuple(photo_digest(path) for path in photos or []),
        note=note,
    )


def _said(chain: bytes, file: Path, as_json: bool, home: Path | None) -> None:
    """Write a chain that grew, and print its last hand-over."""
    import msgspec

    from lockgate.app.crossing.custody import check_chain
    from lockgate.app.files import write_named
    from lockgate.app.settings import load_settings

    signed = check_chain(load_settings(home), chain)[-1]
    write_named(file, chain)
    this = signed.handover
    value = {"chain": file, "step": this.step, **msgspec.to_builtins(signed)}

    def render(console: Console) -> None:
        what = "packed by" if this.packed else f"{this.giver} →"
        console.print(f"{what} {this.receiver}, {this.at:%Y-%m-%d %H:%M} UTC: {file}")
        console.print(f"  hand-over {this.step + 1}, signed by {', '.join(signed.signers)}")

    emit(as_json, value, render)


@app.command()
def begin(
    crate: Annotated[Path, typer.Argument(help="The crate's folder; its crate.json is verified.")],
    key: Key,
    place: Place,
    media: Media = None,
    seals: Seals = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the chain goes (default: beside the crate).")
    ] = None,
    photos: Photos = None,
    note: Note = "",
    token_pin_file: PinFile = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a chain: you packed the media of a crate and sealed the package.

    Example: lockgate custody begin outbox/crate-000001-7f3a9c --key people/clerk-low --place "Low counter"
    --medium BD-0017 --seal A104311 --home lane/low
    """
    from lockgate.app.crossing import custody
    from lockgate.app.settings import load_settings

    side = load_settings(home)
    seen = _seen(place, seals, media, None, photos, note)
    chain = custody.begin(side, custody.read_crate(side, crate), _key(key, token_pin_file), seen)
    _said(chain, out or crate.with_name(crate.name + custody.CHAIN_SUFFIX), as_json, home)


@app.command()
def hand(
    chain: ChainFile,
    to: Annotated[str, typer.Option(help="Who gets the package, by the name on their badge.")],
    key: Key,
    place: Place,
    seals: Seals = None,
    giver: Annotated[str, typer.Option("--from", help="Who gives it, where that is not you.")] = "",
    media: Media = None,
    at: At = None,
    photos: Photos = None,
    note: Note = "",
    despite: Despite = False,
    token_pin_file: PinFile = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign that the package goes from you to somebody, who needs neither device nor key.

    With --from, you sign for two others. To yourself with a --note, you packed it again under new seals.

    Example: lockgate custody hand crate-000001-7f3a9c.custody.json --to courier-7 --key people/clerk-low
    --place "Low counter" --seal A104311 --home lane/low
    """
    from lockgate.app.crossing.custody import hand_over
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings

    seen = _seen(place, seals, media, at, photos, note)
    side, place_of_key = load_settings(home), _key(key, token_pin_file)
    longer = hand_over(side, read_named(chain), place_of_key, (giver, to), seen, despite=despite)
    _said(longer, chain, as_json, home)


@app.command()
def receive(
    chain: ChainFile,
    giver: Annotated[str, typer.Option("--from", help="Who gives you the package, by their badge.")],
    key: Key,
    place: Place,
    seals: Seals = None,
    slip: Annotated[
        str, typer.Option(help="What the slip's picture says when it is scanned, or its short code.")
    ] = "",
    crate: Annotated[
        Path | None,
        typer.Option(help="The crate on the medium, where it can be read: its digest is compared."),
    ] = None,
    media: Media = None,
    at: At = None,
    photos: Photos = None,
    note: Note = "",
    despite: Despite = False,
    token_pin_file: PinFile = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign that you have the package now. Another package, seal or person is refused: stop and call.

    Example: lockgate custody receive crate-000001-7f3a9c.custody.json --from courier-7
    --key people/clerk-high --place "High counter" --seal A104311 --home lane/high
    """
    from lockgate.app.crossing.custody import check_chain, demand_package, hand_over, read_crate
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings

    side, data = load_settings(home), read_named(chain)
    so_far = check_chain(side, data, read_crate(side, crate) if crate else None)
    if slip:
        demand_package(slip, so_far[-1].handover)
    seen = _seen(place, seals, media, at, photos, note)
    longer = hand_over(side, data, _key(key, token_pin_file), (giver, ""), seen, despite=despite)
    _said(longer, chain, as_json, home)


@app.command()
def sign(
    chain: ChainFile,
    key: Key,
    token_pin_file: PinFile = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign the last hand-over as its other party, where that party has a key.

    Example: lockgate custody sign crate-000001-7f3a9c.custody.json --key people/clerk-high --home lane/high
    """
    from lockgate.app.crossing.custody import countersign
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings

    longer = countersign(load_settings(home), read_named(chain), _key(key, token_pin_file))
    _said(longer, chain, as_json, home)


@app.command()
def check(
    chain: ChainFile,
    crate: Annotated[Path | None, typer.Option(help="The crate that it has to be of.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a chain as it travels: every signature, every link, and what it shows so far.

    Example: lockgate custody check crate-000001-7f3a9c.custody.json --home lane/high
    """
    import msgspec

    from lockgate.app.crossing.custody import check_chain, findings_so_far, read_crate
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings
    from lockgate.cli.custody_draw import draw_chain

    side = load_settings(home)
    named = read_crate(side, crate) if crate else None
    signed = check_chain(side, read_named(chain), named)
    found = findings_so_far(side, signed, named)
    value = {"chain": msgspec.to_builtins(signed), "findings": msgspec.to_builtins(found)}
    emit(as_json, value, lambda console: draw_chain(console, signed, found))


@app.command()
def record(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    chain: Annotated[Path, typer.Argument(help="The chain that came with the package.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a chain for a crossing that was received, for the approvers (high side).

    Example: lockgate custody record 1 crate-000001-7f3a9c.custody.json --home lane/high
    """
    from lockgate.app.crossing.custody import record_chain
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings

    done = record_chain(load_settings(home).require("high"), sequence, read_named(chain))
    value: dict[str, Any] = {"crossing": sequence, "handovers": len(done), "last": done[-1].sha256}
    emit(
        as_json,
        value,
        lambda console: console.print(f"Crossing {sequence}: {len(done)} hand-overs are on record"),
    )


@app.command()
def show(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the way of a crossing's package as the approvers see it (high side).

    Example: lockgate custody show 1 --home lane/high
    """
    import msgspec

    from lockgate.app.gate.custody import report_of
    from lockgate.app.settings import load_settings
    from lockgate.cli.custody_draw import draw_chain

    report = report_of(load_settings(home).require("high"), sequence)

    def render(console: Console) -> None:
        console.print(f"Crossing {report.crossing}, crate {report.crate_sha256[:16]}…")
        draw_chain(console, report.chain, report.findings)

    emit(as_json, msgspec.to_builtins(report), render)


@app.command()
def slip(
    crate: Annotated[Path, typer.Argument(help="The crate's folder; its crate.json is verified.")],
    out: Annotated[Path, typer.Option(help="Where the page goes (PDF).")],
    png: Annotated[Path | None, typer.Option(help="Write a picture of it (PNG) as well.")] = None,
    chain: Annotated[
        Path | None, typer.Option(help="Its chain: fills in seals, media and hand-overs so far.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the slip that is printed and goes with the package. A slip on a medium is never opened.

    Example: lockgate custody slip outbox/crate-000001-7f3a9c --chain crate-000001-7f3a9c.custody.json
    --out slip.pdf --home lane/low
    """
    from lockgate.app.crossing.custody import check_chain, draw_slip, read_crate, short_code
    from lockgate.app.files import read_named, write_named
    from lockgate.app.settings import load_settings
    from lockgate.crossing.slip import slip_png

    side = load_settings(home)
    verified = read_crate(side, crate)
    signed = check_chain(side, read_named(chain), verified) if chain else ()
    page = draw_slip(side, verified, signed)
    write_named(out, page)
    if png is not None:
        write_named(png, slip_png(page))
    code = short_code(verified.manifest.sequence, verified.sha256)
    value = {"pdf": out, "png": png, "code": code, "crate_sha256": verified.sha256}
    emit(as_json, value, lambda console: console.print(f"Slip {code}: {out}"))


def _terminal(desk: "Desk", console: Console) -> bool:
    """Ask for one package in the terminal and say one thing; tell whether it was signed."""
    from lockgate.cli.shared import escape
    from lockgate.core.errors import LockgateError

    try:
        slip = typer.prompt("Scan the slip, or type its code")
        package = desk.find(slip)
        console.print(f"[bold]RIGHT PACKAGE[/] {package.code}")
        count = len(package.last.seals)
        seals = typer.prompt(
            f"Numbers of the {count} seals, with spaces, or STOP", default="" if not count else None
        )
        if seals.strip().upper() == "STOP":
            console.print(f"[bold reverse] STOP AND CALL [/] {escape(desk.call)}")
            return False
        other = typer.prompt("Who gets it from you" if desk.gives(package) else "Who gives it to you")
        last = desk.sign(slip, seals, other).handover
    except LockgateError as error:
        console.print(f"[bold reverse] STOP AND CALL [/] {escape(desk.call)}")
        console.print(f"{error.code} {escape(error.what)} Nothing was signed.")
        return False
    console.print(f"[bold reverse] DONE [/] seals match; {escape(last.giver)} → {escape(last.receiver)}")
    return True


@app.command()
def counter(
    chains: Annotated[Path, typer.Argument(help="Folder with the chains of packages that come and go here.")],
    key: Key,
    place: Place,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show a page on this machine instead of asking.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page, on loopback.")] = 8735,
    token_pin_file: PinFile = None,
    home: HomeOption = None,
) -> None:
    """Work a counter: right package, seals match, done; or stop and call. Exit status 3 for stop.

    The page is served on loopback by this process, which alone holds your key. It opens with the
    number that this command prints.

    Example: lockgate custody counter chains --key people/clerk-high --place "High counter" --home lane/high
    """
    import secrets

    from lockgate.app.crossing.counter import Desk
    from lockgate.app.settings import load_settings

    desk = Desk(load_settings(home), chains, _key(key, token_pin_file), place)
    console = Console(highlight=False)
    if not serve:
        if not _terminal(desk, console):
            raise typer.Exit(3)
        return
    from lockgate.console.counter import serve_counter

    number = f"{secrets.randbelow(10**8):08d}"
    console.print(
        f"Counter of {desk.person}: http://127.0.0.1:{port}/ opens with the number [bold]{number}[/]"
    )
    serve_counter(desk, number, secrets.token_urlsafe(32), port)
