"""Constructs of honest packages that looked like harm, each beside its hostile twin.

Every honest case was made after a file of a real package that was flagged; nothing of theirs is in it.
"""

import base64
import csv
import hashlib
import io

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_packages import deb

_RECORD = "lock_demo-1.0.dist-info/RECORD"
_DEB = "demo_1.0_all.deb"


def _hexadecimal(*, wrong: bool = False) -> bytes:
    """A wheel whose RECORD has its digests in hexadecimal, or those of other bytes."""
    members = make.wheel_members()
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for name, data in members.items():
        claimed = hashlib.sha256(data + b"x" * wrong).hexdigest()
        writer.writerow([name, "", ""] if name == _RECORD else [name, f"sha256={claimed}", len(data)])
    return make.zipped(members | {_RECORD: rows.getvalue().encode()})


def _module(source: str) -> bytes:
    """A wheel with a module that does something when it is imported."""
    return make.wheel({"lock_demo/a.py": source.encode()})


def _setid(name: str) -> bytes:
    return deb(data={"x": make.tar_entry(name, b"0", "", 0o4755)})


def _logins(*auths: bytes) -> bytes:
    """A page of a manual that shows the file in which a client of registries keeps its logins."""
    named = ", ".join(
        f'"hub{number}.lock.net": {{"au' + f'th": "{auth.decode()}"}}' for number, auth in enumerate(auths)
    )
    return f'Logins are kept so:\n\n{{"auths": {{{named}}}}}\n'.encode()


_LETTERS = base64.b64encode(bytes(range(0x7B, 0x97)))
_CUT = _LETTERS[:17]
_LOGIN = base64.b64encode(b"keeper:" + b"Kz7vQ2mX9pLw")

CONSTRUCTS_GOOD = [
    good("a wheel whose RECORD has its digests in hexadecimal", WHEEL, _hexadecimal(), "python"),
    *(
        good(f"a screen that is set up by {command!r}", WHEEL, _module(f"import os\nos.system({command})\n"),
             "python")
        for command in ('""', '"color"', '"cls" if os.name == "nt" else "clear"', '"chcp 65001 > nul"')
    ),
    good("an address that is empty, to learn what a function takes", WHEEL,
         _module("from urllib.request import urlopen\ntry:\n    urlopen('')\nexcept ValueError:\n    A = 1"),
         "python"),
    *(
        good(f"a Debian package with {name}", _DEB, _setid(f"./{name}"))
        for name in ("sbin/mount.nfs", "usr/bin/lockfile", "opt/lock/view/chrome-sandbox")
    ),
    good("letters where a manual shows a login at a registry", WHEEL, make.wheel(
        {"lock_demo/auth.5": _logins(_LETTERS, _CUT)}
    ), "python"),
]  # fmt: skip

CONSTRUCTS_BAD = [
    bad("a wheel whose RECORD has other digests in hexadecimal", WHEEL, _hexadecimal(wrong=True),
        "record-mismatch"),
    *(
        bad(f"a command beside one that clears the screen: {command}", WHEEL,
            _module(f"import os\nos.system({command})\n"), "python-import-command", "python")
        for command in ('"cls & start a.exe"', '"color" if os.name == "nt" else "sh a"', '"clear; sh a"')
    ),
    bad("an address that is not empty", WHEEL,
        _module("from urllib.request import urlopen\nurlopen('http://a.example/x', cafile=None)\n"),
        "python-import-network", "python"),
    *(
        bad(f"a set-id bit on {name}", _DEB, _setid(f"./{name}"), "tar-setuid")
        for name in ("opt/lock/su", "usr/share/lock/mount.nfs", "sbin/mount.nfs2", "home/chrome-sandbox")
    ),
    bad("a login at a registry behind letters", WHEEL, make.wheel(
        {"lock_demo/auth.5": _logins(_LETTERS, _LOGIN)}
    ), "secret-registry-login", "python"),
]  # fmt: skip
