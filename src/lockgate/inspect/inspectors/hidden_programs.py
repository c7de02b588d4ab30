"""Programs among weights: what begins like a program, a script, an archive or a pickle is none of numbers.

Only the first bytes of a tensor or a data set are looked at; that numbers begin so by chance happens once in
billions of tensors.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_FIRST = 128
_PROGRAM = re.compile(
    rb"(?P<elf>\x7fELF[\x01\x02][\x01\x02]\x01)|(?P<zip>PK\x03\x04[\x00-\x3f]\x00)|(?P<script>#! ?/"
    rb"(?:usr/|bin/)[\x20-\x7e]{2})"
    rb"|(?P<pe>MZ[\s\S]{58}[\x40-\xff][\x00-\x03]\x00\x00)"
    rb"|(?P<pickle>\x80[\x02-\x05](?:\x95[\s\S]{8})?[\s\S]{0,40}?"
    rb"(?:c[A-Za-z_][\w.]{1,60}\n[A-Za-z_]\w{0,60}\n"
    rb"|\x8c[\x02-\x40][A-Za-z_][\w.]{1,60}\x94?\x8c[\x02-\x40][A-Za-z_]\w{0,60}\x94?\x93))"
    rb"|(?P<php><\?php\s)"
)
_RUNNERS = (
    rb"(os|posix|nt|subprocess|builtins|__builtin__|importlib|runpy|pty|commands|shutil|socket|marshal"
    rb"|_pickle|pickle)"
)
_CALL = re.compile(
    rb"[ci]" + _RUNNERS + rb"\n([A-Za-z_]\w{2,40})\n"
    rb"|\x8c[\x02-\x10]" + _RUNNERS + rb"\x94?\x8c[\x03-\x28]([A-Za-z_]\w{2,40}?)\x94?\x93"
)
_CALLED = {
    "elf": "a program of Linux", "zip": "an archive", "script": "a script", "pe": "a program of Windows",
    "pickle": "a pickle that names a function", "php": "a page that a server runs",
}  # fmt: skip


def look_inside(tally: Tally, data: memoryview, name: str, at: int) -> None:
    """Note a tensor or a value that begins like a program."""
    if found := _PROGRAM.match(bytes(data[:_FIRST])):
        why = f"{name[:80]!r} holds {_CALLED[found.lastgroup or 'elf']} where numbers belong."
        tally.note("tensor-program", Severity.HIGH, why, at)


def look_for_calls(tally: Tally, data: memoryview) -> None:
    """Note the first pickle inside a file of numbers that names what runs code, wherever it lies."""
    if found := _CALL.search(data):
        named = ".".join(part.decode("ascii") for part in found.groups() if part)
        why = f"A pickle where numbers belong names {named[:60]}."
        tally.note("tensor-program", Severity.HIGH, why, found.start())
