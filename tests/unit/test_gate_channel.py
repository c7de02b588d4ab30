"""The channel's file follows the record, whoever publishes at the same time and whatever the disk does."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.gates import Scripted, World
from lockgate.admit import Gate
from lockgate.app.gate.gate import put_channel
from lockgate.app.sections import LaneSection, TrustSection
from lockgate.app.settings import Home, Settings, Side
from lockgate.approve import read_statement
from lockgate.core.sequence import CrossingState
from lockgate.store.errors import StoreIoError


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def side(tmp_path: Path) -> Side:
    lane = LaneSection(name="test", side="high", assurance="demo")
    return Side(Home(tmp_path), Settings(lane=lane, trust=TrustSection(supply_pin="0", site_pin="0")))


def test_a_publication_during_recovery_is_not_undone(world: World) -> None:
    world.publish(1, "a")
    world.arrive(2, "b")
    world.gate.inspect(2, Scripted())
    newer = world.signed(world.gate.request(2, "stable", world.operator), "ap-1", "ap-2")
    pending = [newer]

    def interrupted(channel: str, envelope: bytes) -> None:
        if pending:
            world.gate.execute(pending.pop())
        world.files[channel] = envelope

    slow = Gate(replace(world.gate._p, write_channel=interrupted))
    assert slow.recover() == ["stable"]
    assert world.files["stable"] == newer
    assert read_statement(world.files["stable"]).channel_version == 2


def test_a_channel_file_that_cannot_be_written_is_told_and_completed_later(world: World) -> None:
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    envelope = world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2")

    def refuse(channel: str, envelope: bytes) -> None:
        del channel, envelope
        raise StoreIoError("The disk is full.")

    with pytest.raises(StoreIoError):
        Gate(replace(world.gate._p, write_channel=refuse)).execute(envelope)
    last = world.log.event(world.log.size() - 1)
    assert (last["status"], last["facts"]["code"]) == ("unfinished", StoreIoError.code)
    assert world.gate.crossing(1).state is CrossingState.PUBLISHED
    assert world.gate.recover() == ["stable"]
    assert world.files["stable"] == envelope


def test_an_approved_rejection_is_carried_out_once(world: World) -> None:
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    envelope = world.signed(world.gate.request_reject(1, world.operator), "ap-1", "ap-2")
    world.gate.execute(envelope)
    world.gate.execute(envelope)
    assert world.gate.crossing(1).state is CrossingState.REJECTED
    assert world.files == {}


def test_the_file_is_replaced_whole(side: Side) -> None:
    put_channel(side, "stable", b"first")
    target = side.home.channels / "stable.dsse.json"
    before = target.stat().st_ino
    put_channel(side, "stable", b"first")
    assert target.stat().st_ino == before, "the same again is not written again"
    put_channel(side, "stable", b"second")
    assert target.read_bytes() == b"second"
    assert [p.name for p in side.home.channels.iterdir()] == ["stable.dsse.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file(
    side: Side, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    put_channel(side, "stable", b"first")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreIoError, match="'stable' could not be written: No space left"):
            put_channel(side, "stable", b"second")
    assert (side.home.channels / "stable.dsse.json").read_bytes() == b"first"
    put_channel(side, "stable", b"second")
    assert (side.home.channels / "stable.dsse.json").read_bytes() == b"second"
    assert len(list(side.home.channels.iterdir())) == 1
