"""Update metadata over any set of targets and any history of crossings."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile

from corpora.trusted import NOW, Supply
from lockgate.trust import tuf_layout
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.tuf import TUF_FILES, Target, build, settle
from lockgate.trust.tuf_layout import BIN_TARGETS, BITS_LIMIT, FLAT_TARGETS, bits_for
from lockgate.trust.tuf_trust import TrustedUpdates

SUPPLY = Supply()
ROOT = SUPPLY.signed(1)
UNTIL = NOW + timedelta(days=45)

parts = st.text(st.characters(blacklist_characters="/\\", blacklist_categories=["Cc", "Cs"]), min_size=1)
heads = st.sampled_from(["python", "models", "documents", "meta", "files", "other", "[a]*", "python-0"])
paths = st.builds(lambda head, rest: "/".join([head, *rest]), heads, st.lists(parts, max_size=5))
targets = st.builds(Target, st.integers(0, 1 << 53), st.integers(0, 1 << 128).map("{:064x}".format))
crossings = st.dictionaries(paths, targets, max_size=12)


def searched(updates: TrustedUpdates, files: dict[str, bytes], path: str) -> TargetFile | None:
    search = updates.search(path)
    while True:
        try:
            edge = next(search)
        except StopIteration as end:
            return end.value
        updates.accept_role(files[f"{edge.role}.json"], edge)


@given(crossings)
@settings(deadline=None, max_examples=60)
def test_what_is_built_is_settled_and_found_by_search(named: dict[str, Target]) -> None:
    files = build(named, 1, SUPPLY.online, UNTIL)
    assert settle(ROOT, files, {}, NOW).targets == named
    updates = TrustedUpdates(ROOT, NOW)
    updates.accept_timestamp(files["timestamp.json"])
    updates.accept_snapshot(files["snapshot.json"])
    for path, target in named.items():
        found = searched(updates, files, path)
        assert found is not None
        assert (found.length, found.hashes["sha256"]) == (target.size, target.sha256)


@given(st.lists(crossings, min_size=2, max_size=5), st.booleans())
@settings(deadline=None, max_examples=40)
def test_any_history_goes_forward_and_never_back(history: list[dict[str, Target]], small: bool) -> None:  # noqa: FBT001  # drawn
    """Ecosystems grow into bins and shrink again; each crossing may bring only what changed."""
    flat, planned = (2, 1) if small else (FLAT_TARGETS, BIN_TARGETS)
    limits = tuf_layout.FLAT_TARGETS, tuf_layout.BIN_TARGETS
    tuf_layout.FLAT_TARGETS, tuf_layout.BIN_TARGETS = flat, planned
    try:
        kept: dict[str, bytes] = {}
        built: dict[str, bytes] = {}
        for number, named in enumerate(history, 1):
            previous, built = built, build(named, number, SUPPLY.online, UNTIL, built)
            brought = {n: data for n, data in built.items() if n in TUF_FILES or kept.get(n) != data}
            whole, partly = (settle(ROOT, files, kept, NOW) for files in (built, brought))
            assert whole.targets == partly.targets == named
            assert whole.files == partly.files == built
            if previous:
                stale(previous, built)
            kept = whole.files
    finally:
        tuf_layout.FLAT_TARGETS, tuf_layout.BIN_TARGETS = limits


def stale(previous: dict[str, bytes], trusted: dict[str, bytes]) -> None:
    with pytest.raises(UpdateMetadataError):
        settle(ROOT, previous, trusted, NOW)


@given(st.integers(0, BIN_TARGETS << BITS_LIMIT))
def test_bins_hold_about_what_they_are_planned_for(count: int) -> None:
    bits = bits_for(count)
    assert count <= FLAT_TARGETS if bits == 0 else count <= BIN_TARGETS << bits < 2 * count + BIN_TARGETS
