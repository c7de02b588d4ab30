"""The signed view: when another table takes the place of the one that is served."""

import threading
import time

import msgspec
import pytest

from corpora.mirrorsite import MirrorSite, UnsignedChannel, statement_for
from corpora.wheels import build_wheel
from lockgate.core.snapshot import Generated
from lockgate.core.statement import Operation
from lockgate.core.wire import encode
from lockgate.mirror import (
    AmbiguousSnapshotError,
    NothingPublishedError,
    OlderChannelError,
    SignedView,
    VerifiedChannel,
    WrongStatementError,
)
from lockgate.mirror.view import RETRY_SECONDS


class Scripted(UnsignedChannel):
    """Counts readings, and can be held up in the middle of one."""

    def __init__(self, site):
        super().__init__(site.channel, site.blobs)
        self.readings = 0
        self.hold = None
        self.started = threading.Event()

    def current(self):
        self.readings += 1
        self.started.set()
        if self.hold:
            self.hold.wait(120)
        return super().current()


@pytest.fixture
def site(tmp_path):
    made = MirrorSite(tmp_path)
    made.add_wheels("box", "1", build_wheel("box", "1"))
    return made


@pytest.fixture
def verifier(site):
    return Scripted(site)


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def view(verifier, now):
    return SignedView(verifier, lambda: now[0])


def test_nothing_is_served_before_something_is_published(site, view):
    assert view.stale()
    assert not view.refresh()
    with pytest.raises(NothingPublishedError):
        _ = view.table
    assert view.status.statement is None
    assert isinstance(view.status.refused, NothingPublishedError)
    site.publish()
    assert view.stale()
    assert view.refresh()
    assert set(view.table.projects) == {"box"}
    assert view.status.refused is None
    assert not view.stale()


def test_a_table_is_swapped_as_a_whole_and_the_old_one_stays_what_it_was(site, view):
    site.publish()
    view.refresh()
    before = view.table
    site.add_wheels("crate", "2", build_wheel("crate", "2"))
    site.publish()
    assert view.table is before
    assert view.refresh()
    assert set(before.projects) == {"box"}
    assert set(view.table.projects) == {"box", "crate"}
    with pytest.raises(TypeError):
        before.projects["evil"] = None


@pytest.mark.parametrize("damage", ["garbage", "older", "same-version", "other-snapshot", "reject"])
def test_a_bad_channel_changes_nothing_but_the_status(site, view, damage):
    site.publish()
    first = site.channel.read_bytes()
    site.publish()
    view.refresh()
    served = view.table
    site.add_wheels("evil", "1", build_wheel("evil", "1"))
    snapshot = site.snapshot()
    site.blobs.put_bytes(encode(snapshot))
    good = statement_for(snapshot, 3)
    channel, code = {
        "garbage": (b"{", "LG-1001"),
        "older": (first, OlderChannelError.code),
        "same-version": (encode(msgspec.structs.replace(good, channel_version=2)), OlderChannelError.code),
        "other-snapshot": (encode(msgspec.structs.replace(good, snapshot_sha256="0" * 64)), None),
        "reject": (
            encode(msgspec.structs.replace(good, operation=Operation.REJECT)),
            WrongStatementError.code,
        ),
    }[damage]
    site.write_channel(channel)
    assert not view.refresh()
    assert view.table is served
    assert view.status.statement.channel_version == 2
    assert view.status.refused is not None
    assert code in {None, view.status.refused.code}
    site.version = 3
    site.publish()
    assert view.refresh()
    assert view.status.refused is None


def test_a_verifier_that_pairs_the_wrong_snapshot_is_not_believed(site, view, verifier, monkeypatch):
    site.publish()
    other = msgspec.structs.replace(site.snapshot(), lane="other")
    monkeypatch.setattr(
        verifier, "current", lambda: VerifiedChannel(statement_for(site.snapshot(), 1), other)
    )
    assert not view.refresh()
    assert isinstance(view.status.refused, WrongStatementError)


def test_a_refused_channel_is_read_again_only_later_or_when_it_changes(site, view, verifier, now):
    site.write_channel(b"{")
    view.refresh()
    assert verifier.readings == 1
    assert not view.stale()
    view.refresh()
    assert verifier.readings == 1
    now[0] += RETRY_SECONDS
    assert view.stale()
    view.refresh()
    assert verifier.readings == 2
    site.publish()
    assert view.stale()


def test_the_old_file_put_back_as_it_was_is_served_on_without_alarm(site, view):
    site.publish()
    view.refresh()
    served = view.table
    data = site.channel.read_bytes()
    site.write_channel(b"{")
    view.refresh()
    site.write_channel(data)
    assert not view.refresh()
    assert view.table is served
    assert view.status.refused is None


def test_others_go_on_with_the_old_table_while_one_reads(site, view, verifier):
    site.publish()
    view.refresh()
    before = view.table
    site.add_wheels("crate", "2", build_wheel("crate", "2"))
    site.publish()
    verifier.hold, verifier.started = threading.Event(), threading.Event()
    reader = threading.Thread(target=view.refresh)
    reader.start()
    try:
        assert verifier.started.wait(120)
        assert view.refresh() is False  # returns at once although the other one is held up
        assert view.table is before
    finally:
        verifier.hold.set()
        reader.join(120)
    assert set(view.table.projects) == {"box", "crate"}


@pytest.mark.parametrize("fault", ["twice", "missing"])
def test_a_snapshot_whose_pages_are_not_one_for_each_address_is_refused(site, view, fault):
    snapshot = site.snapshot()
    if fault == "twice":
        again = Generated(path="simple/index.html", media_type="text/html", size=1, sha256="0" * 64)
        generated = (*snapshot.generated, again)
    else:
        generated = tuple(p for p in snapshot.generated if p.path != "simple/box/index.json")
    snapshot = msgspec.structs.replace(snapshot, generated=generated)
    site.blobs.put_bytes(encode(snapshot))
    site.write_channel(encode(statement_for(snapshot, 1)))
    assert not view.refresh()
    assert isinstance(view.status.refused, AmbiguousSnapshotError)


def test_who_asks_while_the_first_snapshot_is_loaded_waits_for_it(tmp_path):
    site = MirrorSite(tmp_path)
    site.publish()
    entered, release = threading.Event(), threading.Event()

    class Slow(UnsignedChannel):
        """Takes its time. A test double."""

        def current(self):
            entered.set()
            assert release.wait(120)
            return super().current()

    view = SignedView(Slow(site.channel, site.blobs), time.monotonic)
    first = threading.Thread(target=view.refresh)
    first.start()
    assert entered.wait(120)
    assert view.stale()
    second = threading.Thread(target=view.refresh)
    second.start()
    release.set()
    second.join(120)
    assert view.table.statement.channel_version == 1
    first.join(120)
    assert not view.stale()
