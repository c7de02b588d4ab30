"""RPM packages: lead, signatures, header and payload, and the scripts that run at installation.

Format: RPM's "Package format" (versions 3 and 4): a lead of 96 bytes, two headers of tagged values, and a
compressed cpio archive. Digests in the headers are checked; who signed them is not looked at here.
"""

import hashlib
import struct

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.shell_flow import flows
from lockgate.inspect.inspectors.shell_signs import INSTALL_SHELL, SHELL
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_LEAD, _VERSION = 96, 4
_LEAD_MAGIC, _HEAD_MAGIC = b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
_COUNTS, _ENTRY = struct.Struct(">2I"), struct.Struct(">4I")
_HEADER_BYTES = 256 << 20
_NAME, _FORMAT, _COMPRESSOR, _PAYLOAD_SHA256, _REQUIRES = 1000, 1124, 1125, 5092, 1049
_HEADER_SHA256 = 273
_TEXTS = {6, 8, 9}
_WIDTHS = {0: 0, 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_SCRIPTS = {
    1023: "pre", 1024: "post", 1025: "preun", 1026: "postun", 1079: "verify", 1151: "pretrans",
    1152: "posttrans", 1065: "trigger", 5066: "filetrigger", 5076: "transfiletrigger",
    5105: "preuntrans", 5106: "postuntrans",
}  # fmt: skip
"""Tag → when its script runs."""
_ENDINGS = {"gzip": "gz", "xz": "xz", "zstd": "zst", "bzip2": "bz2", "lzma": "lzma"}


class RpmInspector(Inspector):
    """Checks both headers, shows the scripts, and inspects the payload."""

    name = "rpm"
    version = 1
    detects = frozenset({"rpm"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim lead and headers, and the payload when it was wholly understood.

        Raises:
            BrokenContentError: A header is malformed.

        """
        if len(data) < _LEAD or data[_VERSION] not in {3, 4}:
            what = "It is cut short, or an RPM package of a version that is not read."
            raise BrokenContentError(what, at=4)
        signed, end = _header(data, _LEAD)
        begin = -(-end // 8) * 8
        if any(data[end:begin]):
            what = "The padding of the signatures is not zero."
            raise BrokenContentError(what, at=end)
        header, start = _header(data, begin)
        _digests(data, tally, signed, header, (begin, start))
        tally.claim(0, start)
        for tag in sorted(_SCRIPTS.keys() & header.keys()):
            for script in header[tag]:
                _script(tally, _SCRIPTS[tag], script)
        for name in header.get(_REQUIRES, ())[:512]:
            if not name.startswith(("rpmlib(", "/", "config(")):
                tally.need(name)
        self._payload(data, tally, context, header, start)

    def _payload(
        self, data: memoryview, tally: Tally, context: Context, header: dict[int, list[str]], start: int
    ) -> None:
        form, packed = (header.get(_FORMAT) or ["cpio"])[0], (header.get(_COMPRESSOR) or ["gzip"])[0]
        if form != "cpio" or packed not in _ENDINGS:
            tally.unfinished("rpm-payload", f"A payload of {form[:20]} and {packed[:20]} is not read.", start)
            return
        member = context.member(f"payload.cpio.{_ENDINGS[packed]}", package=True, role="rpm-data")
        if tally.absorb(context.inspect(data[start:], member)):
            tally.claim(start, len(data))


def _header(data: memoryview, at: int) -> tuple[dict[int, list[str]], int]:
    """Return the texts of a header by tag, and where it ends."""
    first = at + len(_HEAD_MAGIC) + _COUNTS.size
    if first > len(data) or bytes(data[at : at + len(_HEAD_MAGIC)]) != _HEAD_MAGIC:
        what = "A header is missing."
        raise BrokenContentError(what, at=at)
    count, size = _COUNTS.unpack_from(data, at + len(_HEAD_MAGIC))
    store = first + _ENTRY.size * demand(count, 65_536, "entries")
    end = store + demand(size, _HEADER_BYTES, "header_bytes")
    if end > len(data):
        what = "A header ends past the file."
        raise BrokenContentError(what, at=at)
    said: dict[int, list[str]] = {}
    for index in range(count):
        tag, kind, offset, items = _ENTRY.unpack_from(data, first + _ENTRY.size * index)
        if kind in _TEXTS:
            if tag in said:
                what = f"The tag {tag} stands twice."
                raise BrokenContentError(what, at=at)
            said[tag] = _texts(data[store:end], offset, items)
        elif kind not in _WIDTHS or offset + _WIDTHS[kind] * items > size:
            what = f"The value of tag {tag} is malformed."
            raise BrokenContentError(what, at=at)
    return said, end


def _texts(store: memoryview, at: int, count: int) -> list[str]:
    raw = bytes(store[at:])
    parts = raw.split(b"\x00", demand(count, 1_000_000, "entries"))
    if at >= len(store) or len(parts) <= count:
        what = "A text of a header has no end."
        raise BrokenContentError(what, at=at)
    return [part.decode("utf-8", "replace") for part in parts[:count]]


def _digests(
    data: memoryview,
    tally: Tally,
    signed: dict[int, list[str]],
    header: dict[int, list[str]],
    place: tuple[int, int],
) -> None:
    begin, start = place
    for said, part in (
        (signed.get(_HEADER_SHA256), data[begin:start]),
        (header.get(_PAYLOAD_SHA256), data[start:]),
    ):
        if said and hashlib.sha256(part).hexdigest() != said[0]:
            tally.note("rpm-digest", Severity.CRITICAL, "A digest of the package does not match it.", begin)
            tally.complete = False


def _script(tally: Tally, when: str, script: str) -> None:
    if script.strip():
        first = script.strip().partition("\n")[0]
        tally.note("install-script", Severity.INFO, f"It runs as root at {when}: {first[:100]}")
        look(tally, script, SHELL + INSTALL_SHELL, f"{when}: ")
        flows(tally, script, f"{when}: ")
