"""Whatever backup and present hold: a restore never takes anything protected back in time."""

from hypothesis import given
from hypothesis import strategies as st

from lockgate.admit.model import CHANNELS, DENIED, SPENT, ChannelPointer
from lockgate.app.record.merge import HistoriesDifferError, behind, merged
from lockgate.core.sequence import FINAL, CrossingState, LedgerEntry
from lockgate.core.wire import decode, encode
from lockgate.crossing.ledger import LEDGER, TIME, TUF

ORDER = [CrossingState.RECORDED, CrossingState.QUARANTINED, CrossingState.INSPECTED]


def rank(state: CrossingState) -> int:
    return 3 if state in FINAL else ORDER.index(state)


def entry(sequence: int, state: CrossingState, crate: str = "c") -> bytes:
    return encode(
        LedgerEntry(sequence=sequence, crate_sha256=crate * 64, state=state, previous_sha256="0" * 64)
    )


def pointer(version: int) -> bytes:
    return b'{"previous_sha256":"%s","published":"2026-01-01T00:00:00Z","snapshot_sha256":"%s",' % (
        b"0" * 64,
        f"{version:064x}".encode(),
    ) + b'"statement_sha256":"%s","version":%d}' % (b"1" * 64, version)


STATES = st.sampled_from([*ORDER, CrossingState.PUBLISHED])
NAMES = st.sampled_from(["a", "b", "c"])
HELD = st.fixed_dictionaries(
    {
        LEDGER: st.dictionaries(st.integers(1, 4), STATES),
        TIME: st.none() | st.integers(1, 28),
        SPENT: st.sets(NAMES),
        DENIED: st.sets(NAMES),
        CHANNELS: st.none() | st.integers(1, 5),
        TUF: st.none() | st.integers(1, 5),
    }
)


def rows(held: dict) -> dict[tuple[str, str], bytes]:
    found = {(LEDGER, f"{n:08d}"): entry(n, state) for n, state in held[LEDGER].items()}
    found |= {(SPENT, name): b"statement" for name in held[SPENT]}
    found |= {(DENIED, name): b"1" for name in held[DENIED]}
    if held[TIME]:
        found[TIME, "floor"] = b'{"at":"2026-01-%02dT00:00:00Z"}' % held[TIME]
    if held[CHANNELS]:
        found[CHANNELS, "stable"] = pointer(held[CHANNELS])
    if held[TUF]:
        for name in ("timestamp", "targets"):
            found[TUF, f"{name}.json"] = b'{"signed":{"version":%d}}' % held[TUF]
    return found


@given(HELD, HELD)
def test_a_restore_goes_forward_only(here: dict, there: dict) -> None:
    present, backup = rows(here), rows(there)
    after = merged(present, backup)
    for held in (present, backup):
        for (collection, key), value in held.items():
            left = after[collection, key]
            if collection == LEDGER:
                assert rank(decode(LedgerEntry, left).state) >= rank(decode(LedgerEntry, value).state)
            elif collection == CHANNELS:
                assert decode(ChannelPointer, left).version >= decode(ChannelPointer, value).version
            elif collection in {TIME, TUF}:
                assert left >= value
            else:
                assert left == value
    assert set(after) == {*present, *backup} - (
        {place for place in {**present, **backup} if place[0] == TUF} - {p for p in after if p[0] == TUF}
    )
    assert merged(after, backup) == after, "restoring again changes nothing"
    assert not behind(after, merged(after, backup))


@given(HELD, HELD)
def test_a_loss_is_noticed(here: dict, there: dict) -> None:
    present, backup = rows(here), rows(there)
    ahead = all(
        n in here[LEDGER] and rank(here[LEDGER][n]) >= rank(state) for n, state in there[LEDGER].items()
    )
    ahead = ahead and all((here[name] or 0) >= (there[name] or 0) for name in (TIME, CHANNELS))
    ahead = ahead and here[SPENT] >= there[SPENT] and here[DENIED] >= there[DENIED]
    assert behind(present, merged(present, backup)) is not ahead


@given(STATES, STATES)
def test_two_crates_under_one_number_are_never_merged(here: CrossingState, there: CrossingState) -> None:
    place = (LEDGER, "00000001")
    try:
        merged({place: entry(1, here)}, {place: entry(1, there, "d")})
    except HistoriesDifferError:
        return
    raise AssertionError


@given(STATES, st.binary(max_size=40))
def test_what_cannot_be_read_counts_as_lost(state: CrossingState, damaged: bytes) -> None:
    place = (LEDGER, "00000001")
    saved = {place: entry(1, state)}
    assert merged({place: damaged}, saved) == saved
    assert behind({place: damaged}, saved)
