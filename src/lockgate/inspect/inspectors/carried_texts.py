"""Files that stand in texts as letters: uuencode, base64 in a file of its own, and shell archives.

Sources: ``uuencode`` and ``cat`` with here-documents (POSIX.1-2017); RFC 4648; GNU sharutils, whose archives
write each file between two lines of one word, with an X before every line.
"""

import binascii
import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Context, Tally

RUNNING = frozenset({
    "exe", "scr", "com", "pif", "bat", "cmd", "ps1", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "lnk",
    "jar", "msi", "iso", "img", "vhd", "cpl", "dll", "reg", "chm", "url", "one", "docm", "xlsm", "pptm",
    "xll", "iqy", "slk", "vhdx", "settingcontent-ms", "library-ms", "searchconnector-ms", "appref-ms",
    "xlam", "xla", "xltm", "dotm", "potm", "ppam", "ppsm", "sldm", "ace", "jnlp", "application", "gadget",
    "msp", "mst", "msc", "diagcab", "themepack", "theme", "wsc", "sct", "scf", "inf", "rdp", "msix", "appx",
    "appinstaller", "udl", "website", "shb", "ade", "adp", "accde", "pyz", "pyw", "command", "dmg", "psc1",
})  # fmt: skip
"""Endings of files that run, or start something that does, when they are opened."""
_BEGINS = re.compile(r"begin(-base64)? [0-7]{3,4} (\S.{0,199})")
_ENDS = frozenset({"end", "===="})
"""What stands around a file inside a text, as ``uuencode`` writes it."""
_MOST = 1_000
_BASE64 = frozenset({"b64", "base64", "mim"})
_ARCHIVE = re.compile(r"\A[^\x00]{0,4000}\bshell\s+archive\b", re.IGNORECASE)
_WRITES = re.compile(r"<<-?[ \t]{0,9}\\?(['\"]?)([A-Za-z_][\w.-]{0,80})\1")
_TO = re.compile(r">[ \t]{0,9}(['\"]?)([^'\"\s&>|;]{1,200})\1")


def named(tally: Tally, name: str) -> None:
    """Note an attachment that runs when it is opened, by the ending of its name."""
    if name.rstrip(" .").rsplit(".", 1)[-1].lower() in RUNNING:
        tally.note("mail-attachment", Severity.HIGH, f"The attachment {name} runs when it is opened.")


def check(tally: Tally, text: str, context: Context) -> bool:
    """Inspect the files that stand in a text; return whether they were wholly understood."""
    whole = written(tally, text, context)
    name = context.name.rsplit("/", 1)[-1]
    if extension(name) in _BASE64:
        whole &= _member(tally, _decoded(text), name.rpartition(".")[0] or "decoded", context)
    if _ARCHIVE.search(text):
        for count, (inner, lines) in enumerate(_archived(text)):
            demand(count, _MOST, "files in a text")
            whole &= _member(tally, "\n".join((*lines, "")).encode(), inner, context)
    return whole


def written(tally: Tally, text: str, context: Context) -> bool:
    """Inspect the files that ``uuencode`` wrote into a text; return whether they were wholly understood."""
    whole = True
    for count, (found, lines) in enumerate(_letters(text)):
        demand(count, _MOST, "files in a text")
        name = found[2].strip()
        named(tally, name)
        decode = binascii.a2b_base64 if found[1] else binascii.a2b_uu
        try:
            body = b"".join(map(decode, lines))
        except (binascii.Error, ValueError) as error:
            raise BrokenContentError("A file in a text is not written as uuencode writes it.") from error
        whole &= _member(tally, body, name, context)
    return whole


def _member(tally: Tally, body: bytes, name: str, context: Context) -> bool:
    context.budget.member(len(body))
    return tally.absorb(context.inspect(memoryview(body), context.member(name)))


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BrokenContentError("A file that its name says is base64 is none.") from error


def _letters(text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """Yield the first line of each file that stands in a text, and the lines up to its last."""
    begun: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.splitlines() if "begin" in text else ():
        if begun is None:
            begun, lines = _BEGINS.fullmatch(line), []
        elif line.rstrip() in _ENDS:
            yield begun, lines
            begun = None
        else:
            lines.append(line)


def _archived(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each file of a shell archive, and its lines without the letter before each."""
    name, end, mark, lines = "", "", "", list[str]()
    for line in text.splitlines():
        if not end:
            begun, to = _WRITES.search(line), _TO.search(line)
            if begun and to:
                name, end, mark, lines = to[2], begun[2], "X" if "^X" in line else "", []
        elif line == end:
            yield name, lines
            end = ""
        else:
            lines.append(line.removeprefix(mark))
