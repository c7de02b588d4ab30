"""How the commands of a ceremony draw a root under way, and what they say of its signatures."""

from typing import TYPE_CHECKING

from rich.console import Console

from lockgate.cli.shared import emit

if TYPE_CHECKING:
    from lockgate.app.lane.ceremony import Looked, Written


def show_document(console: Console, looked: "Looked") -> None:
    """Draw a root under way: its keys, what changes, its words."""
    from rich.table import Column, Table

    from lockgate.core.digests import words

    root = looked.document.root
    aloud = Column("Read aloud", overflow="fold")  # whole on a narrow terminal too: it is compared
    table = Table("Person", "Purpose", "Key", aloud, "Expires", title_justify="left")
    table.title = f"{root.kind} root {root.version} of lane {root.lane} ({root.assurance})"
    for keyid, held in sorted(root.keys.items(), key=lambda item: (item[1].purpose, item[1].person)):
        table.add_row(held.person, held.purpose, keyid[:16], words(keyid)[:23], f"{held.expires:%Y-%m-%d}")
    for identifier, recipient in sorted(root.recipients.items()):
        table.add_row(
            recipient.name,
            "recipient",
            identifier[:16],
            words(identifier)[:23],
            f"{recipient.expires:%Y-%m-%d}",
        )
    console.print(table)
    for purpose, need in sorted(root.thresholds.items()):
        console.print(f"  {need} persons must sign as {purpose}")
    for identifier in sorted(root.revoked_keys):
        console.print(f"  revokes supply key {identifier[:16]}")
    console.print(f"  expires {root.expires:%Y-%m-%d}")
    console.print("Changes:")
    for line in looked.changes:
        console.print(f"  {line}", markup=False)
    if looked.before is not None:
        console.print(f"follows, read aloud: [bold]{words(looked.before.pin)}[/]")
    console.print(f"this document, read aloud: [bold]{looked.words}[/]")


def tell(looked: "Looked", written: "Written | None", as_json: bool, said: str, **more: str) -> None:
    """Print who signed a document and how many are missing."""
    missing = looked.missing
    value = {
        **more,
        "document": written.file if written else None,
        "pictures": list(written.pictures) if written else [],
        "kind": looked.document.kind,
        "version": looked.document.root.version,
        "pin": looked.document.pin,
        "words": looked.words,
        "changes": looked.changes,
        "signed": sorted(looked.signed),
        "signed_before": sorted(looked.signed_before),
        "missing": missing[0],
        "missing_before": missing[1],
        "whole": looked.whole,
    }

    def render(console: Console) -> None:
        if said:
            console.print(said)
        who = ", ".join(sorted(looked.signed | looked.signed_before)) or "nobody"
        state = "whole" if looked.whole else f"{missing[0]} missing of this version, {missing[1]} of the last"
        console.print(f"signed by {who}: {state}")

    emit(as_json, value, render)
