"""What an order is found in: mails, tickets, pages, tables, programs. Each carries harmless text as well.

Whatever carries orders carries harmless sentences in as many other texts, so that none is told by its form.
"""

import csv
import io
import json
import random
from collections.abc import Callable

Carrier = Callable[[str, str, str, random.Random], str]
"""Puts a sentence between two others into a document."""

_NAMES = ("Anna Otto", "Tim Berg", "L. Moreau", "J. Silva", "Kim Novak", "R. Okafor", "Mei Lin", "P. Rossi")
_FILES = ("notes.md", "main.py", "report.csv", "index.html", "config.yaml", "deploy.sh", "README.md")
_KEYS = ("content", "body", "note", "review", "description", "comment", "text", "title", "summary", "bio")
_STYLES = (
    "display:none",
    "color:#fff",
    "font-size:0",
    "opacity:0",
    "position:absolute;left:-999px",
    "margin:4px",
)


def _mail(order: str, before: str, after: str, rng: random.Random) -> str:
    sender, to = rng.sample(_NAMES, 2)
    name = sender.split()[-1].lower()
    return (
        f"From: {sender} <{name}@mail.example>\nTo: {to}\nSubject: {before[:40]}\n\n{before}\n\n{order}\n\n"
        f"{after}\n\n{rng.choice(('Regards', 'Best', 'Thanks', 'Cheers'))}\n{sender}"
    )


def _ticket(order: str, before: str, after: str, rng: random.Random) -> str:
    number, who = rng.randint(100, 99_999), rng.choice(_NAMES)
    lines = [
        f"Ticket #{number}",
        f"Status: open\nReporter: {who}",
        f"Description: {before}",
        order,
        f"Comment: {after}",
    ]
    return "\n".join(lines)


def _page(order: str, before: str, after: str, rng: random.Random) -> str:
    hidden = rng.choice(
        (
            f"<!-- {order} -->",
            f'<div style="{rng.choice(_STYLES)}">{order}</div>',
            f"<p>{order}</p>",
            f'<img src="a.png" alt="{order}">',
            f'<meta name="description" content="{order}">',
            f"<li>{order}</li>",
        )
    )
    return f"<html><body><h1>{before[:40]}</h1><p>{before}</p>{hidden}<p>{after}</p></body></html>"


def _table(order: str, before: str, after: str, rng: random.Random) -> str:
    out = io.StringIO()
    rows = [[rng.choice(_NAMES), before, rng.randint(1, 5)], [rng.choice(_NAMES), order, rng.randint(1, 5)]]
    csv.writer(out).writerows([["name", rng.choice(_KEYS), "stars"], *rows, [rng.choice(_NAMES), after, 3]])
    return out.getvalue()


def _json(order: str, before: str, after: str, rng: random.Random) -> str:
    one, other = rng.sample(_KEYS, 2)
    found = {
        "id": rng.randint(1, 9999),
        other: before,
        one: order,
        "author": rng.choice(_NAMES),
        "more": after,
    }
    shape = rng.choice(
        (found, {"results": [found]}, {"status": "ok", "data": found}, [{other: after}, found])
    )
    return json.dumps(shape, indent=rng.choice((None, 2)), ensure_ascii=False)


def _calendar(order: str, before: str, after: str, rng: random.Random) -> str:
    day = rng.randint(10, 28)
    return (
        f"BEGIN:VEVENT\nSUMMARY:{before[:50]}\nDTSTART:202611{day}T090000Z\nDESCRIPTION:{order} {after}\n"
        f"ORGANIZER:{rng.choice(_NAMES)}\nEND:VEVENT"
    )


def _program(order: str, before: str, after: str, rng: random.Random) -> str:
    mark = rng.choice(("#", "//", "--", "REM", ";"))
    return (
        f"{mark} {rng.choice(_FILES)}: {before}\ndef run(items):\n    {mark} {order}\n"
        f"    return [x for x in items]\n\n{mark} {after}"
    )


def _readme(order: str, before: str, after: str, rng: random.Random) -> str:
    place = rng.choice(
        (f"> {order}", f"- {order}", order, f"```\n{order}\n```", f"[//]: # ({order})", f"**{order}**")
    )
    return (
        f"# {before[:40]}\n\n{before}\n\n## {rng.choice(('Setup', 'Usage', 'Notes'))}\n\n{place}\n\n{after}"
    )


def _log(order: str, before: str, after: str, rng: random.Random) -> str:
    hour = rng.randint(10, 20)
    levels = rng.sample(("INFO", "WARN", "ERROR", "DEBUG"), 3)
    parts = zip(levels, (before, order, after), (11, 23, 42), strict=True)
    return "\n".join(
        f"2026-11-0{rng.randint(1, 9)} {hour}:{minute} {level} {text}" for level, text, minute in parts
    )


def _talk(order: str, before: str, after: str, rng: random.Random) -> str:
    one, other = (name.split()[0] for name in rng.sample(_NAMES, 2))
    return f"{one}: {before}\n{other}: {order}\n{one}: {after}"


def _front(order: str, before: str, after: str, rng: random.Random) -> str:
    head = f"title: {before[:50]}\nauthor: {rng.choice(_NAMES)}\n{rng.choice(_KEYS)}: {order}"
    return f"---\n{head}\n---\n{before}\n{after}"


CARRIERS: tuple[Carrier, ...] = (
    _mail, _ticket, _page, _table, _json, _calendar, _program, _readme, _log, _talk, _front,
)  # fmt: skip


def carried(order: str, before: str, after: str, rng: random.Random) -> str:
    """Return a document of some kind with a sentence in it."""
    return rng.choice(CARRIERS)(order, before, after, rng)
