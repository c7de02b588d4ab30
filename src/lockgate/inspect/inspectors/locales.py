"""Compiled settings of languages: glibc's locales and list of conversions, and Qt's messages.

Formats: glibc's ``locale/loadlocale.c`` and ``iconv/gconv_cache.c``; Qt's ``qtranslator.cpp``. What they say
is looked at; a list of conversions names the modules that a program loads.
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.inspectors.wires import locale_fields
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_CACHE = struct.Struct("<I5H2x")
_HASH, _MODULE = 4, 12
_QM_MAGIC = 16
_QM_PARTS = frozenset({0x2F, 0x42, 0x69, 0x88, 0x96, 0xA7})
_QM_MESSAGES = 0x69
_QM_END = 1
_QM_COUNTED = frozenset({2, 3, 4, 6, 7, 8})
"""Parts of a message with a length: sources, contexts, comments, and the translation (3)."""
_QM_OLD = 5


class LocaleInspector(Inspector):
    """A category of a locale: fields in order, up to the end of the file."""

    name = "glibc-locale"
    version = 1
    detects = frozenset({"glibc-locale"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head and fields, which detection has found in order."""
        if not locale_fields(data):
            raise _broken("The fields of the locale are not in order.", 8)
        tally.opaque.add("glibc-locale")
        tally.claim_all()
        look(tally, [texts_of(data)], context)


class ConversionsInspector(Inspector):
    """glibc's list of conversions between encodings: texts, a table of them, and modules."""

    name = "gconv"
    version = 1
    detects = frozenset({"gconv"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the parts where each begins at the end of the one before."""
        _, texts, table, size, modules, others = _CACHE.unpack_from(data)
        starts = [_CACHE.size, texts, table, table + size * _HASH, modules, others, len(data)]
        if starts[1] != starts[0] or starts[3] != starts[4] or starts != sorted(starts):
            raise _broken("The parts of the list do not follow one another.", 4)
        if (others - modules) % _MODULE:
            raise _broken("The modules are not as long as their entries.", modules)
        tally.opaque.add("gconv")
        tally.claim_all()
        look(tally, [texts_of(data[texts:table])], context)


class QtMessagesInspector(Inspector):
    """Messages of Qt: parts with a kind and a length, one of which holds the translations."""

    name = "qm"
    version = 1
    detects = frozenset({"qm"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every part and look at the translations."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        at, seen, texts = _QM_MAGIC, set[int](), list[str]()
        while at < len(data):
            kind, stop = data[at], at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
            if kind not in _QM_PARTS or kind in seen or at + 5 > len(data) or stop > len(data):
                raise _broken("A part is not known, is there twice, or ends past the file.", at)
            seen.add(kind)
            if kind == _QM_MESSAGES:
                texts = _messages(data[at + 5 : stop], at + 5)
            at = stop
        if _QM_MESSAGES not in seen:
            raise _broken("There are no messages.", at)
        tally.opaque.add("qm")
        tally.claim_all()
        look(tally, texts, context)


def _messages(data: memoryview, base: int) -> list[str]:
    """Return what messages say; each is a run of parts that an end mark closes."""
    at, texts = 0, list[str]()
    while at < len(data):
        kind = data[at]
        at += 1
        if kind == _QM_END:
            continue
        if kind == _QM_OLD:
            at += 4
        elif kind in _QM_COUNTED:
            size = int.from_bytes(data[at : at + 4], "big")
            # A translation that is not there has a length of -1.
            size = 0 if size == 0xFFFFFFFF else size  # noqa: PLR2004  # as above
            raw = bytes(data[at + 4 : at + 4 + size])
            texts.append(raw.decode("utf-16-be" if kind in {2, 3, 4} else "utf-8", "replace"))
            at += 4 + size
        else:
            raise _broken("A part of a message is not known.", base + at)
    if at != len(data):
        raise _broken("A message ends past its part.", base + len(data))
    return texts


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
