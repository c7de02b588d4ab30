"""``lockgate root card|init|rotate|sign|combine|inspect``: what holders do, each alone, without a home."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.ceremony_show import show_document, tell
from lockgate.cli.shared import HomeOption, JsonOption, emit
from lockgate.cli.shared import out as out_console
from lockgate.core.roots import RootKind

if TYPE_CHECKING:
    from lockgate.core.ceremony import Changes
    from lockgate.trust.ceremony import RootDocument

Document = Annotated[
    list[Path], typer.Argument(help="The root: one file, or its QR pictures or their lines.")
]
After = Annotated[
    list[Path] | None, typer.Option(help="The version before it: one file, or repeat for its pictures.")
]
Out = Annotated[Path, typer.Option(help="Where the document goes.")]
Qr = Annotated[bool, typer.Option("--qr", help="Write it as QR pictures (PNG) beside the file as well.")]
Cards = Annotated[list[Path] | None, typer.Option("--card", help="A holder's card (repeat for each).")]
Thresholds = Annotated[
    list[str] | None, typer.Option("--threshold", help="PURPOSE=PERSONS, such as site-root=2 (repeat).")
]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Days until the version expires.")]
PolicyFile = Annotated[Path | None, typer.Option(help="The site's policy as JSON (default: as it is).")]
Key = Annotated[
    str, typer.Option(help="Folder with PURPOSE.pem and PURPOSE.pass, or a pkcs11: address (RFC 7512).")
]
PinFile = Annotated[
    Path | None,
    typer.Option(help="File with the token's PIN (default: the address's pin-source, else asked)."),
]


def _ask_pin() -> str:
    return str(typer.prompt("PIN of the token", hide_input=True, err=True))


def _place(key: str, pin_file: Path | None) -> Any:
    from lockgate.app.keys import key_place

    return key_place(key, pin_file, _ask_pin if sys.stdin.isatty() else None)


def card(
    purpose: Annotated[str, typer.Option(help="What the key is for; `recipient`: crates are sealed to it.")],
    person: Annotated[str, typer.Option(help="Who holds it: a person, or a machine's name.")],
    lane: Annotated[str, typer.Option(help="The lane's name.")],
    key: Key,
    out: Out,
    token_pin_file: PinFile = None,
    qr: Qr = False,
    as_json: JsonOption = False,
) -> None:
    """Write a card: your public key for whoever prepares a root. A folder without the key gets a new one.

    Example: lockgate root card --purpose site-root --person alice --lane plant --key alice --out alice.card
    """
    from lockgate.app.lane.ceremony import RECIPIENT, make_card, write_document
    from lockgate.app.trust import utc_now
    from lockgate.core.ceremony import CeremonyError
    from lockgate.core.digests import words
    from lockgate.core.roots import Purpose

    if purpose not in {RECIPIENT, *Purpose}:
        what = f"{purpose[:40]!r} is no purpose of a key."
        raise CeremonyError(what, advice=f"One of {', '.join([RECIPIENT, *Purpose])}.")
    data, identifier = make_card(_place(key, token_pin_file), purpose, person, lane, utc_now())
    written = write_document(data, out, qr=qr)
    value = {"card": out, "pictures": list(written.pictures), "id": identifier, "words": words(identifier)}

    def render(console: Console) -> None:
        console.print(f"Card of [bold]{person}[/] ({purpose}): {out}")
        console.print(f"  key {identifier[:16]}, read aloud: [bold]{words(identifier)}[/]")

    emit(as_json, value, render)


def _thresholds(given: list[str] | None) -> dict[Any, int]:
    from lockgate.core.ceremony import CeremonyError
    from lockgate.core.roots import Purpose

    found = {}
    for text in given or []:
        name, _, number = text.partition("=")
        if name not in set(Purpose) or not number.isdecimal() or not 1 <= int(number) <= 64:  # noqa: PLR2004
            what = f"{text[:60]!r} is not PURPOSE=PERSONS, with 1 to 64 persons."
            raise CeremonyError(what)
        found[Purpose(name)] = int(number)
    return found


def _policy(file: Path | None) -> Any:
    if file is None:
        return None
    import msgspec

    from lockgate.app.files import read_named
    from lockgate.core.ceremony import CeremonyError
    from lockgate.core.policy import Policy

    try:
        return msgspec.json.decode(read_named(file), type=Policy)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = f"{file} is no policy: {error}."
        raise CeremonyError(what) from error


def init(
    kind: Annotated[RootKind, typer.Option(help="Which of the two roots.")],
    lane: Annotated[str, typer.Option(help="The lane's name.")],
    out: Out,
    card: Cards = None,
    threshold: Thresholds = None,
    days: Days = 365,
    policy: PolicyFile = None,
    assurance: Annotated[str, typer.Option(help="production, or demo.")] = "production",
    qr: Qr = False,
    as_json: JsonOption = False,
) -> None:
    """Prepare version 1 of a root from the holders' cards. It bears no signature yet; no key is needed.

    Example: lockgate root init --kind site --lane plant --card a.card --card b.card --threshold site-root=2
    --out site.json
    """
    from datetime import timedelta

    from lockgate.app.lane.ceremony import read_cards
    from lockgate.app.trust import utc_now
    from lockgate.core.ceremony import Changes, first_root

    now = utc_now()
    changes = Changes(add=read_cards(card or []), thresholds=_thresholds(threshold), policy=_policy(policy))
    root = first_root(kind, lane, assurance, now + timedelta(days=days), changes, at=now)
    _finish_draft(root, [], out, qr, as_json)


def rotate(
    out: Out,
    after: After = None,
    kind: Annotated[RootKind | None, typer.Option(help="Take the version before it from --home.")] = None,
    card: Cards = None,
    retire: Annotated[
        list[str] | None,
        typer.Option(help="Key id, or its beginning: signs nothing new; what it signed stays (repeat)."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Key id, or its beginning: counts for nothing (repeat).")
    ] = None,
    threshold: Thresholds = None,
    days: Days = 365,
    renew: Annotated[
        bool, typer.Option("--renew", help="All keys that have not expired live as long as this version.")
    ] = False,
    policy: PolicyFile = None,
    qr: Qr = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare the next version of a root: new keys, lost keys, other thresholds. No key is needed.

    A lost key: drop it and add the new card; the remaining holders sign. A compromised key: drop it.

    Example: lockgate root rotate --after site.json --drop 3f21 --card new.card --out site-2.json
    """
    from lockgate.app.lane.ceremony import read_cards
    from lockgate.app.trust import utc_now
    from lockgate.core.ceremony import Changes

    old = _before(after, kind, home)
    changes = Changes(
        add=read_cards(card or []),
        retire=_ids(old, retire),
        drop=_ids(old, drop),
        thresholds=_thresholds(threshold),
        policy=_policy(policy),
        renew=renew,
    )
    _next(old, changes, days, utc_now(), out, qr, as_json)


def revoke(
    key: Annotated[
        list[str],
        typer.Argument(
            help="Ids of supply keys (see `lockgate root show`): whole, or with --home as their beginnings."
        ),
    ],
    out: Out,
    after: After = None,
    undo: Annotated[bool, typer.Option("--undo", help="Believe these keys again.")] = False,
    days: Days = 365,
    qr: Qr = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare the next site root, in which this site revokes supply keys whatever the supply root says.

    Example: lockgate root revoke 3f21… --home high --out site-2.json
    """
    from lockgate.app.lane.standing import supply_key
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now
    from lockgate.core.ceremony import CeremonyError, Changes
    from lockgate.core.digests import checked

    old = _before(after, RootKind.SITE, home)
    if old.kind is not RootKind.SITE:
        raise CeremonyError("The site root revokes supply keys; a supply root drops its own with `rotate`.")
    ids = tuple(checked(each) if after else supply_key(load_settings(home), each) for each in key)
    changes = Changes(restore=ids) if undo else Changes(revoke=ids)
    _next(old, changes, days, utc_now(), out, qr, as_json)


def _before(after: list[Path] | None, kind: RootKind | None, home: Path | None) -> "RootDocument":
    from lockgate.app.lane.install import current_document
    from lockgate.app.lane.qr_parts import read_document
    from lockgate.app.settings import load_settings
    from lockgate.core.ceremony import CeremonyError
    from lockgate.trust.ceremony import read_root

    if after:
        return read_root(read_document(after))
    if kind is None:
        what = "There is no version to follow."
        raise CeremonyError(what, advice="Name it with --after, or its kind with --kind beside --home.")
    return read_root(current_document(load_settings(home), kind))


def _ids(old: "RootDocument", given: list[str] | None) -> tuple[str, ...]:
    from lockgate.core.ceremony import CeremonyError

    known = [*old.root.keys, *old.root.recipients]
    found = []
    for text in given or []:
        meant = [each for each in known if each.startswith(text)]
        if len(meant) != 1 or len(text) < 4:  # noqa: PLR2004  # shorter is a slip of the hand
            what = f"{len(meant)} keys of the {old.kind} root begin with {text[:64]!r}; it has to be one."
            raise CeremonyError(what)
        found.append(meant[0])
    return tuple(found)


def _next(
    old: "RootDocument", changes: "Changes", days: int, now: Any, out: Path, qr: bool, as_json: bool
) -> None:
    from datetime import timedelta

    from lockgate.core.ceremony import next_root

    root = next_root(old.root, now + timedelta(days=days), changes, at=now)
    _finish_draft(root, [old], out, qr, as_json)


def _finish_draft(root: Any, before: list["RootDocument"], out: Path, qr: bool, as_json: bool) -> None:
    from lockgate.app.lane.ceremony import write_document
    from lockgate.core.digests import words
    from lockgate.core.root_changes import differences
    from lockgate.trust.ceremony import draft, read_root

    document = read_root(draft(root))
    written = write_document(document.data, out, qr=qr)
    changes = differences(before[0].root if before else None, root)
    value = {
        "document": out,
        "pictures": list(written.pictures),
        "kind": root.kind,
        "version": root.version,
        "pin": document.pin,
        "words": words(document.pin),
        "changes": changes,
    }

    def render(console: Console) -> None:
        console.print(f"{root.kind} root {root.version} of lane [bold]{root.lane}[/], not signed yet: {out}")
        for line in changes:
            console.print(f"  {line}")
        console.print(f"  read aloud: [bold]{words(document.pin)}[/]")

    emit(as_json, value, render)


def sign(
    document: Document,
    key: Key,
    out: Out,
    after: After = None,
    token_pin_file: PinFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    qr: Qr = False,
    as_json: JsonOption = False,
) -> None:
    """Show a root to its holder, ask, and sign. Works on any machine that holds the key.

    Example: lockgate root sign site-2.json --after site.json --key alice --out site-2.alice.json
    """
    from lockgate.app.lane.ceremony import look, sign_root, write_document
    from lockgate.app.trust import utc_now

    looked = look(document, after or [])
    if not as_json:
        show_document(out_console, looked)
    if not yes and not typer.confirm("Are these the words that the others read aloud, and do you sign this?"):
        raise typer.Exit(1)
    data, person = sign_root(looked, _place(key, token_pin_file), utc_now())
    written = write_document(data, out, qr=qr)
    tell(look([out], after or []), written, as_json, f"{person} signed: {out}", person=person)


def combine(
    document: Annotated[
        list[Path],
        typer.Argument(help="The root as each holder signed it: files, QR pictures or their lines."),
    ],
    out: Out,
    after: After = None,
    more: Annotated[
        list[Path] | None, typer.Option("--with", help="The same root with other signatures (repeat).")
    ] = None,
    qr: Qr = False,
    as_json: JsonOption = False,
) -> None:
    """Put signatures that holders made apart into one document.

    Example: lockgate root combine site.alice.json site.bob.json --out site.json
    """
    from lockgate.app.lane.ceremony import look, write_document
    from lockgate.app.lane.qr_parts import read_documents
    from lockgate.trust.ceremony import gather, read_root

    parts = [read_root(each) for each in read_documents([*document, *(more or [])])]
    written = write_document(gather(parts), out, qr=qr)
    tell(look([out], after or []), written, as_json, f"Combined: {out}")


def inspect(document: Document, after: After = None, as_json: JsonOption = False) -> None:
    """Show what a root says, what it changes, who signed it, and how many are missing.

    Example: lockgate root inspect site-2.json --after site.json
    """
    from lockgate.app.lane.ceremony import look

    looked = look(document, after or [])
    if not as_json:
        show_document(out_console, looked)
    tell(looked, None, as_json, "")
