"""Rewriting a lock file in place, to the mirrors of this high side or to a named address."""

import re
from pathlib import Path

from lockgate.app.files import read_named, write_named
from lockgate.app.high.mirrors import mirror_url
from lockgate.app.settings import load_settings
from lockgate.core.errors import InputError
from lockgate.mirror import LOCKFILE_LIMIT, Rewritten, rewrite

_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}/?")


class MirrorAddressError(InputError):
    """A mirror's address is none."""

    code = "LG-1f70"
    advice = "Give scheme, host and port, as in https://mirror.example."


class LockfileTextError(InputError):
    """A lock file is no text."""

    code = "LG-1f71"
    advice = "Lock files are UTF-8; make it anew with its own tool."


def rewrite_file(file: Path, to: str, home: Path | None, *, keep: bool) -> Rewritten:
    """Rewrite a lock file; with `keep` only tell what would change.

    Raises:
        MirrorAddressError: The address is none.
        LockfileTextError, LockfileKindError: The file is no lock file that names hosts.

    """
    url = to or mirror_url(load_settings(home).require("high"))
    if not _URL.fullmatch(url):
        what = f"{url[:120]!r} is no address of a mirror."
        raise MirrorAddressError(what)
    try:
        text = read_named(file, limit=LOCKFILE_LIMIT).decode()
    except UnicodeDecodeError as error:
        what = f"{file.name} is not UTF-8."
        raise LockfileTextError(what) from error
    found = rewrite(file.name, text, url)
    if found.changed and not keep:
        write_named(file, found.text.encode())
    return found
