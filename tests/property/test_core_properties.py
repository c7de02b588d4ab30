"""Properties of the shared vocabulary: one encoding, safe paths, a ledger without gaps, proofs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from corpora.trusted import NOW, Site
from lockgate.audit import merkle
from lockgate.core.artifact import PATH_LIMIT, ArtifactFile, Role, UnsafePathError, safe_path
from lockgate.core.digests import words
from lockgate.core.errors import InputError, LockgateError, TrustError
from lockgate.core.roots import Purpose
from lockgate.core.sequence import FINAL, CrossingState, LedgerEntry, SequenceGapError, judge
from lockgate.core.wire import decode, encode, stamp, whole_second
from lockgate.trust.dsse import open_envelope, sign, verify

text = st.text(st.characters(codec="utf-8"), max_size=12)
basic = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=12)


def objects(keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text
    values = st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(keys, values, max_size=5)


documents = objects(text)


@given(documents)
@settings(max_examples=60)
def test_the_encoding_is_what_json_writes_sorted_and_tight(value: dict[str, Any]) -> None:
    data = encode(value)
    assert data.decode() == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert decode(dict[str, Any], data) == value


def jcs(value: Any) -> str:
    """RFC 8785 as it is written, for values without fractions: keys by UTF-16 units."""
    if isinstance(value, dict):
        ordered = sorted(value, key=lambda k: k.encode("utf-16-be"))
        return "{" + ",".join(f"{jcs(k)}:{jcs(value[k])}" for k in ordered) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    if isinstance(value, str):
        short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
        return '"' + "".join(short.get(ord(c), c if c >= " " else f"\\u{ord(c):04x}") for c in value) + '"'
    return str(value) if type(value) is int else {None: "null", True: "true", False: "false"}[value]


@given(objects(basic))
@example({"\x7f": "\u2028\x1f", "": -0})
@settings(max_examples=60)
def test_with_keys_of_the_basic_plane_the_encoding_is_the_canonicalization_scheme(
    value: dict[str, Any],
) -> None:
    assert encode(value).decode() == jcs(value)


@given(documents, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_no_other_spelling_of_a_document_is_read(value: dict[str, Any], chance: Any) -> None:
    canonical = encode(value)
    spellings = [
        json.dumps(value, sort_keys=True, ensure_ascii=False),
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True),
        json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False),
        json.dumps(
            dict(chance.sample(list(value.items()), len(value))), separators=(",", ":"), ensure_ascii=False
        ),
    ]
    for other in spellings:
        if other.encode() == canonical:
            continue
        with pytest.raises(LockgateError):
            decode(dict[str, Any], other.encode())


@given(documents, st.data())
@settings(max_examples=60)
def test_a_changed_byte_is_another_document_or_none(value: dict[str, Any], data: Any) -> None:
    canonical = encode(value)
    at = data.draw(st.integers(0, len(canonical) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != canonical[at]))
    changed = canonical[:at] + bytes([byte]) + canonical[at + 1 :]
    try:
        found = decode(dict[str, Any], changed)
    except LockgateError:
        return
    assert found != value
    assert encode(found) == changed


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_moments_lose_less_than_a_second_and_stay_in_order(moment: datetime) -> None:
    cut = whole_second(moment)
    assert timedelta(0) <= moment - cut < timedelta(seconds=1)
    assert datetime.strptime(stamp(moment), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) == cut


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_words_are_equal_only_when_the_first_half_is(one: bytes, other: bytes) -> None:
    assert (words(one.hex()) == words(other.hex())) == (one[:16] == other[:16])
    assert words(one.hex()).replace("-", "").isalpha()


pieces = st.sampled_from(
    ["", ".", "..", "a", "b c", "\\", "\0", "~", "C:", "ä", "...", "\u202e", "\n", "x" * 400]
)
paths = st.lists(pieces, max_size=5).map("/".join) | text


@given(paths)
def test_a_path_that_is_let_through_stays_inside_its_folder(path: str) -> None:
    try:
        safe = safe_path(path)
    except UnsafePathError:
        with pytest.raises(InputError):
            ArtifactFile(path=path, role=Role.OTHER, size=0, sha256="0" * 64)
        return
    assert safe == path
    assert len(path) <= PATH_LIMIT
    inside = PurePosixPath("/base/folder") / path
    assert inside.parts[:3] == ("/", "base", "folder")
    assert ".." not in inside.parts
    assert len(inside.parts) > 3
    assert str(inside) == f"/base/folder/{path}"
    assert "\\" not in path


digests = st.integers(0, 5).map(lambda n: f"{n:064x}")
offers = st.tuples(
    st.integers(-1, 6),
    digests,
    st.sampled_from(["held", "zero", "other"]),
    st.dictionaries(st.integers(-1, 6), digests, max_size=4),
    st.sampled_from([None, *CrossingState]),
)


@given(st.lists(offers, max_size=25))
@settings(max_examples=100)
def test_the_ledger_never_has_a_gap_or_two_crates_under_one_number(moves: list[Any]) -> None:
    ledger: dict[int, LedgerEntry] = {}
    for sequence, digest, link, void, state in moves:
        last = max(ledger, default=0)
        before = ledger[last].crate_sha256 if ledger else "0" * 64
        previous = {
            "held": void.get(sequence - 1, before),
            "zero": "0" * 64,
            "other": "e" * 64,
        }[link]
        known = dict(ledger)
        try:
            added = judge(ledger, sequence, digest, previous, void)
        except TrustError:
            assert ledger == known
            continue
        assert all(entry.sequence not in ledger for entry in added)
        if not added:
            assert ledger[sequence].crate_sha256 == digest
            assert ledger[sequence].state not in FINAL
        ledger.update({entry.sequence: entry for entry in added})
        assert sorted(ledger) == list(range(1, len(ledger) + 1))
        assert {n: ledger[n] for n in known} == known
        if added:
            assert added[-1].sequence == sequence == max(ledger)
            assert all(e.crate_sha256 == void[e.sequence] for e in added[:-1])
            assert previous == (
                void[sequence - 1]
                if sequence - 1 in void
                else known[last].crate_sha256
                if known
                else "0" * 64
            )
        if state is not None and ledger[sequence].state not in FINAL:
            old = ledger[sequence]
            ledger[sequence] = LedgerEntry(
                sequence=sequence,
                crate_sha256=old.crate_sha256,
                state=state,
                previous_sha256=old.previous_sha256,
            )


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_every_gap_is_named_unless_it_is_declared_void(last: int, ahead: int, data: Any) -> None:
    ledger = {
        n: LedgerEntry(
            sequence=n, crate_sha256=f"{n:064x}", state=CrossingState.PUBLISHED, previous_sha256="0" * 64
        )
        for n in range(1, last + 1)
    }
    target = last + ahead
    void = data.draw(st.sets(st.integers(last + 1, max(last + 1, target - 1)))) & set(range(last + 1, target))
    missing = sorted(set(range(last + 1, target)) - void)
    named = {n: f"{n:064x}" for n in void}
    if missing:
        with pytest.raises(SequenceGapError) as refused:
            judge(ledger, target, "f" * 64, f"{target - 1:064x}", named)
        assert refused.value.where["missing"] == missing[0]
    else:
        assert len(judge(ledger, target, "f" * 64, f"{target - 1:064x}", named)) == ahead


def tree(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    nodes: dict[tuple[int, int], bytes] = {}
    for index, leaf in enumerate(leaves):
        for level, at, value in merkle.added_nodes(
            index, merkle.leaf_hash(leaf), lambda lv, at: nodes[lv, at]
        ):
            assert (level, at) not in nodes
            nodes[level, at] = value
    return lambda level, at: nodes[level, at]


@given(st.integers(1, 600), st.data())
@settings(max_examples=60)
def test_merkle_proofs_of_any_size_hold_for_their_leaf_alone(size: int, data: Any) -> None:
    leaves = [b"%d" % n for n in range(size)]
    node = tree(leaves)
    root = merkle.root(size, node)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, node)
    leaf = merkle.leaf_hash(leaves[index])
    assert len(path) <= (size - 1).bit_length()
    assert merkle.inclusion_holds(index, size, leaf, path, root)
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != index))
    assert not merkle.inclusion_holds(other, size, leaf, path, root)
    assert not merkle.inclusion_holds(index, size, merkle.leaf_hash(b"x"), path, root)
    for at in range(len(path)):
        changed = [*path[:at], bytes(32), *path[at + 1 :]]
        assert not merkle.inclusion_holds(index, size, leaf, changed, root)
        assert not merkle.inclusion_holds(index, size, leaf, path[:at] + path[at + 1 :], root)


@given(st.integers(1, 600), st.integers(0, 600), st.data())
@settings(max_examples=60)
def test_consistency_proofs_hold_for_a_prefix_alone(size: int, old: int, data: Any) -> None:
    assume(old <= size)
    leaves = [b"%d" % n for n in range(size)]
    node = tree(leaves)
    root, before = merkle.root(size, node), merkle.root(old, node)
    proof = merkle.consistency(old, size, node)
    assert merkle.consistency_holds(old, size, before, root, proof)
    if not 0 < old < size:
        return
    changed_at = data.draw(st.integers(0, old - 1))
    forked = tree([*leaves[:changed_at], b"other", *leaves[changed_at + 1 :]])
    assert not merkle.consistency_holds(old, size, merkle.root(old, forked), root, proof)
    assert not merkle.consistency_holds(old, size, before, merkle.root(size, forked), proof)
    their = merkle.consistency(old, size, forked)
    assert not merkle.consistency_holds(old, size, before, merkle.root(size, forked), their)


SITE = Site()
ROOT = SITE.root(thresholds={Purpose.APPROVER: 2})
PAYLOAD = encode({"amount": 10, "to": "somebody"})
ENVELOPE = sign("application/test", PAYLOAD, SITE.approvers)


@pytest.mark.parametrize("flip", [1, 2, 4, 32])
def test_no_flipped_bit_of_an_envelope_goes_unnoticed(flip: int) -> None:
    opened = open_envelope(ENVELOPE)
    assert verify(opened, ROOT, Purpose.APPROVER, NOW, "application/test") == {"ap-1", "ap-2", "ap-3"}
    for at in range(len(ENVELOPE)):
        changed = bytearray(ENVELOPE)
        changed[at] ^= flip
        with pytest.raises(LockgateError):
            verify(open_envelope(bytes(changed)), ROOT, Purpose.APPROVER, NOW, "application/test")


@given(st.data())
@settings(max_examples=100)
def test_no_cut_inserted_or_replaced_piece_of_an_envelope_goes_unnoticed(data: Any) -> None:
    begin = data.draw(st.integers(0, len(ENVELOPE)))
    end = data.draw(st.integers(begin, min(len(ENVELOPE), begin + 40)))
    piece = data.draw(st.binary(max_size=8) | st.sampled_from([b" ", b"\n", b"=", b"A", b",", b'"']))
    changed = ENVELOPE[:begin] + piece + ENVELOPE[end:]
    assume(changed != ENVELOPE)
    with pytest.raises(LockgateError):
        verify(open_envelope(changed), ROOT, Purpose.APPROVER, NOW, "application/test")
