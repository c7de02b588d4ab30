"""How parsers are run that take more than bytes."""

import base64
import io
from collections.abc import Callable
from functools import cache
from typing import Any

from fuzzing.seeds import documents, world
from fuzzing.target import Run, found, late, limits, refusing, two_inputs


def decode_document(data: bytes) -> object:
    """Read bytes as the kind of document that the first two bytes number."""
    from lockgate.core.wire import decode, encode

    kinds = documents()
    kind = kinds[int.from_bytes(data[:2]) % len(kinds)]
    read = decode(kind, data[2:])
    assert encode(read) == data[2:], "reads bytes that are not the canonical ones"
    return read


@cache
def site() -> Any:
    from corpora.trusted import Site

    return Site().root()


@cache
def supply_root() -> bytes:
    from corpora.trusted import Supply

    return Supply().signed()


def trusting(method: str) -> Run:
    """Return a run of one step of the update client (TUF 1.0.33, section 5), from a root that is trusted."""

    def run(data: bytes) -> object:
        from corpora.trusted import NOW
        from lockgate.trust.tuf_trust import TrustedUpdates

        return getattr(TrustedUpdates(supply_root(), NOW), method)(data)

    return run


def now() -> Any:
    from corpora.trusted import NOW

    return NOW


def patch(first: bytes, second: bytes) -> object:
    """Rebuild from a patch; what it may read is the second input."""
    import os

    from lockgate.core.wire import encode
    from lockgate.crossing.delta.worker import RebuildArgs, rebuild_entry

    base = os.memfd_create("base")
    try:
        os.write(base, second)
        args = encode(RebuildArgs(1 << 20, (("0" * 64, base),)))
        return sum(len(part) for part in rebuild_entry(memoryview(first), args))
    finally:
        os.close(base)


def with_base(where: str) -> Run:
    return two_inputs(lambda data, reference: found(where)(data, len(reference), reference))


def extract(name: str) -> Run:
    def run(data: bytes) -> object:
        from lockgate.knowledge.extract import MediaType, extract

        return extract(data, MediaType[name], "title")

    return refusing(run)


def default(where: str) -> Callable[[], Any]:
    """Return what makes one object of a class by its defaults."""
    return late(where)


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def page(data: bytes) -> object:
    """Read a page; the first byte says whether it is called JSON."""
    from lockgate.collect.simple import SIMPLE_JSON, read_page

    return read_page(SIMPLE_JSON if data[:1] == b"J" else "text/html", data[1:], "https://index/simple/a/")


def outside(run: Run) -> Run:
    """Return a run of what reads an index's answers; callers turn its refusal into one of Lockgate's."""

    def refused(data: bytes) -> object:
        from lockgate.collect.simple import PageError

        try:
            return run(data)
        except PageError:
            return None

    return refused


def packet(data: bytes) -> object:
    """Read a packet as the receiver does: only one that is as long as a header."""
    from lockgate.crossing.diode.wire import HEADER_SIZE, read_front, read_place

    if len(data) < HEADER_SIZE:
        return None
    *_, place = read_front(memoryview(data))
    return read_place(place)


def segment(data: bytes, reference: bytes) -> object:
    """Read a segment's data; the first byte says of which kind they are."""
    from lockgate.crossing.delta.rebuild import read_segment
    from lockgate.crossing.delta.recipe import Segment, SegmentKind

    kinds = list(SegmentKind)
    kind = kinds[data[0] % len(kinds)] if data else kinds[0]
    segment = Segment(kind, len(reference), 0, len(reference), len(data[1:]))
    return read_segment(segment, data[1:], reference)


def form(module: str, kind: str) -> Any:
    return found(f"infer.forms.{module}.{kind}")()


def torch_args() -> bytes:
    import msgspec

    return msgspec.json.encode(found("inspect.convert.torch_weights.ConvertArgs")(limits=limits()))


def picture_args() -> bytes:
    """Return the arguments of drawing a document."""
    import msgspec

    return msgspec.json.encode(found("inspect.convert.pictures.PicturesArgs")(limits=limits()))


def flatten(data: bytes) -> object:
    import msgspec

    from lockgate.inspect.detect import detect

    detected = detect(memoryview(data), "document", 4 << 20)
    args = found("inspect.convert.documents.FlattenArgs")(detected=detected, limits=limits())
    return found("inspect.convert.entry.text_entry")(memoryview(data), msgspec.json.encode(args))


def request(data: bytes) -> object:
    from lockgate.inspect.helper import RequestError, read_request

    try:
        return read_request(data, 2)
    except RequestError:
        return None


@cache
def agreement() -> Any:
    """Return a recipient's key."""
    from lockgate.trust.keys import new_recipient_key

    return new_recipient_key("recipient").private


def digest_key(data: bytes) -> bytes:
    """Open the key of a receipt's digests with a ring whose key has the id zero."""
    key = found("infer.digestkeys.RingKey")(id="0" * 16, key=base64.b64encode(bytes(32)).decode(), made=now())
    return found("infer.digestkeys.DigestRing")([key], bytes).open("ab" * 16, data)


def opened(data: bytes) -> object:
    """Open what was sealed to a key."""
    from cryptography.exceptions import InvalidTag

    from lockgate.trust.hpke import open_base

    try:
        return open_base(data, agreement(), b"fuzz")
    except (
        InvalidTag,
        ValueError,
    ):  # as it says; lockgate.trust.sealing turns them into its own
        return None


@cache
def supply() -> Any:
    """Return a supply root that is trusted."""
    from corpora.trusted import Supply

    return Supply().root()


def collector() -> Any:
    """Return the purpose of a collector's key."""
    from lockgate.core.roots import Purpose

    return Purpose.COLLECTOR


def roots() -> Any:
    """Return trust roots of upstream."""
    return world().roots()


def feeding(name: str) -> Run:
    """Return a run that gives a parser its bytes in two parts; the first byte says where they are cut."""

    def run(data: bytes) -> object:
        parser = found(f"infer.sse.{name}")(4096)
        at = 1 + (data[0] if data else 0)
        return [*parser.feed(data[1:at]), *parser.feed(data[at:])]

    return run


def recipe(data: bytes) -> object:
    """Read a patch's control block."""
    from lockgate.crossing.delta.bounds import MemoryFile
    from lockgate.crossing.delta.recipe import read_recipe

    return read_recipe(MemoryFile(data))
