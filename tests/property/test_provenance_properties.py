"""Whatever is done to what proves who signed: it never proves something else, and never fails otherwise."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora import images
from corpora.signing import IN_TOTO, NOW, World, provenance, publish_statement
from lockgate.core.provenance import State
from lockgate.inspect.provenance import cosign, der, models, pep740
from lockgate.inspect.provenance.bundles import envelope_of, prove, read_bundle
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORLD = World()
ROOTS = WORLD.roots()
NAME, DIGEST = "demo-1-py3-none-any.whl", "ab" * 32
GOOD = WORLD.bundle(publish_statement(NAME, DIGEST), stamp=NOW)
RAW = json.dumps(GOOD).encode()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each part of a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(way for key, item in inside for way in leaves(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with one part of it replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def judged(data: bytes) -> object:
    bundle = read_bundle(data)
    payload, signed = envelope_of(bundle, IN_TOTO)
    return payload, prove(bundle.verification_material, signed, ROOTS, NOW)


WHOLE = judged(RAW)


@QUICK
@given(st.sampled_from(leaves(GOOD)), JSON)
def test_a_part_that_is_replaced_never_proves_something_else(path: tuple[Any, ...], new: Any) -> None:
    with suppress(InvalidProvenanceError, ExpiredProvenanceError):
        assert judged(json.dumps(replaced(GOOD, path, new)).encode()) == WHOLE


@QUICK
@given(st.integers(0, len(RAW) - 1), st.integers(0, 255))
def test_a_byte_that_is_changed_never_proves_something_else(at: int, byte: int) -> None:
    with suppress(InvalidProvenanceError, ExpiredProvenanceError):
        assert judged(RAW[:at] + bytes([byte]) + RAW[at + 1 :]) == WHOLE


@QUICK
@given(st.integers(0, 5000), st.integers(0, 255))
def test_pep740_tells_one_fact_or_refuses(at: int, byte: int) -> None:
    data = provenance(GOOD)
    changed = data[: at % len(data)] + bytes([byte]) + data[at % len(data) + 1 :]
    with suppress(InvalidProvenanceError):
        (fact,) = pep740.judge(changed, NAME, DIGEST, ROOTS, NOW)
        assert fact.state in {State.VERIFIED, State.INVALID, State.EXPIRED}


@QUICK
@given(JSON)
def test_other_documents_are_refused_in_the_same_way(value: Any) -> None:
    data = json.dumps(value).encode()
    assert models.judge(data, {}, ROOTS, NOW)[0].state is State.INVALID
    image = images.image()
    held = {digest.removeprefix("sha256:"): body for digest, body in image.manifests.items()}
    assert cosign.judge({**held, "0" * 64: data}, {}, ROOTS, NOW) == ()


@QUICK
@given(st.binary(max_size=200))
def test_der_is_read_to_its_last_byte_or_refused(data: bytes) -> None:
    with suppress(InvalidProvenanceError):
        node = der.parse(data)
        assert node.raw == data
        if node.tag == der.SEQUENCE:
            assert b"".join(child.raw for child in node.children()) == node.body
