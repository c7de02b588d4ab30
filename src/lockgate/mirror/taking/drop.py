"""What waits for the gate: files and folders that clients brought, each beside what tells whose it is.

The mirrors lay it into one folder of the home and read nothing of it; `lockgate submit watch` takes it.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockgate.core.digests import sha256
from lockgate.core.oci import is_digest
from lockgate.mirror.errors import PushLimitError

ABOUT = ".toml"
"""Ends the name of the file that tells of the one beside it."""

WAITING_LIMIT = 1000
"""Most uploads that wait for the gate, each beside what tells of it."""

SET_ASIDE = frozenset({"done", "refused"})
"""Folders for what waits no more."""

IMAGE = ".image"
"""Ends the name of a note that an image was pushed."""

_OF_ANOTHER = re.compile(r"sha(?:256|512)-[0-9a-f]{64}")


def about_text(facts: Mapping[str, str | Sequence[str]]) -> str:
    """Return what tells of a submission, as TOML: its basic strings and arrays are JSON's."""
    lines = (f"{key} = {json.dumps(value, ensure_ascii=True)}" for key, value in facts.items() if value)
    return "".join(f"{line}\n" for line in lines)


def lay(folder: Path, name: str, partial: Path, facts: Mapping[str, str | Sequence[str]]) -> None:
    """Put a file or folder where the gate takes it from, after what tells of it.

    Args:
        folder: Where what clients bring waits.
        name: What it is called there.
        partial: Where it lies now, on the same disk.
        facts: What is said of it, by the keys that `lockgate submit watch` knows.

    """
    (folder / f"{name}{ABOUT}").write_text(about_text(facts), encoding="utf-8")
    partial.rename(folder / name)


def free_bytes(folders: Sequence[Path], total_bytes: int) -> int:
    """Return how many bytes may still come into folders whose content waits.

    Raises:
        PushLimitError: None, or too many things wait already.

    """
    count, size = 0, 0
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name in SET_ASIDE:
                continue
            count += 1
            files = path.rglob("*") if path.is_dir() else (path,)
            size += sum(f.stat().st_size for f in files if f.is_file())
    if count >= 2 * WAITING_LIMIT or size >= total_bytes:
        what = f"{WAITING_LIMIT} uploads, or {total_bytes} bytes, wait for the gate."
        raise PushLimitError(what, limit="WAITING_LIMIT")
    return total_bytes - size


def submitted_by(reference: str, tags: Sequence[str]) -> bool:
    """Tell whether a pushed manifest gets a tag that people gave it.

    Tags that name a digest (cosign's, and those that stand in for lists of referrers) belong to another
    manifest, with which they are submitted.
    """
    given = [tag for tag in (reference, *tags) if not is_digest(tag)]
    return any(not _OF_ANOTHER.match(tag) for tag in given)


def note_image(folder: Path, repository: str, digest: str, submitter: str) -> None:
    """Note that a pushed image waits for the gate; one note for each digest, whatever its tags."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{secrets.token_hex(8)}"
    partial.write_text(f"{repository}@{digest}\n")
    name = f"{sha256(f'{repository}@{digest}'.encode())[:32]}{IMAGE}"
    lay(folder, name, partial, {"by": submitter, "way": "oci", "image": f"{repository}@{digest}"})
