"""Whoever writes to the link: without the key, with recorded packets, or with the key itself."""

import hashlib
import os
import threading
from pathlib import Path
from random import Random

import pytest

from corpora.diode import (
    HERE,
    KEY,
    NAME,
    Forge,
    Receiving,
    content,
    fake_crate,
    receiving,
    sender,
    throw,
    transfer,
)
from lockgate.crossing.diode import DiodeKey, Report
from lockgate.crossing.diode.errors import DiodeConflictError, DiodeLimitError, DiodeTableError
from lockgate.crossing.diode.table import Table, TableFile
from lockgate.crossing.diode.udp import Inlet, Outlet
from lockgate.crossing.diode.wire import OVERHEAD, Kind
from lockgate.crossing.errors import NoSpaceError

FILE = "vol-0001.lgv"
DATA = hashlib.shake_256(b"data").digest(1500)
"""One full block of 4 shards of 200 bytes, and a last one of 700 bytes."""


def whole(forge: Forge, data: bytes = DATA, name: str = FILE, crate: str = NAME) -> list[list[bytes]]:
    """Return the packets of a good transfer of one file: announcement, blocks, digest, end."""
    table = forge.table((name, len(data)), crate=crate)
    blocks = [
        forge.block(1, n, data[n * 800 : (n + 1) * 800], len(data)) for n in range(-(-len(data) // 800))
    ]
    return [table, *blocks, [forge.digest(1, data)], [forge.end()]]


def flat(parts: list[list[bytes]]) -> list[bytes]:
    return [packet for part in parts for packet in part]


def outcome(there: Receiving, packets: list[bytes]) -> Report:
    throw(there.inlet.port, packets)
    return there.result()


def inbox(tmp_path: Path) -> dict[str, bytes]:
    return content(tmp_path / "in" / NAME) if (tmp_path / "in" / NAME).exists() else {}


def test_packets_made_by_hand_arrive_when_they_are_right(tmp_path: Path) -> None:
    with receiving(tmp_path / "in") as there:
        report = outcome(there, flat(whole(Forge())))
    assert report.whole
    assert inbox(tmp_path) == {FILE: DATA}
    assert not any(report.refused.values())


def test_any_changed_byte_of_a_packet_makes_it_count_for_nothing(tmp_path: Path) -> None:
    forge = Forge()
    good = whole(forge)
    first = good[1][0]
    bad = []
    for at in range(len(first)):
        changed = bytearray(first)
        changed[at] ^= 1 << (at % 8)
        bad.append(bytes(changed))
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*good[0], *bad, *flat(good[1:])])
    assert (report.whole, inbox(tmp_path)) == (True, {FILE: DATA})
    useless = {name: n for name, n in report.refused.items() if n}
    assert useless == {"foreign": 4, "forged": len(first) - 4}


def test_packets_of_any_length_and_content_do_no_harm(tmp_path: Path) -> None:
    rng = Random(5)  # noqa: S311  # the same each time
    forge = Forge()
    good = flat(whole(forge))
    noise = [
        rng.randbytes(rng.choice([0, 1, 27, 55, 71, 72, 73, 200, 1472, 9000, 65507])) for _ in range(300)
    ]
    cut = [p[:n] for p in good[:3] for n in (0, 4, 28, 55, 56, 71, 72, len(p) - 1)]
    longer = [p + b"\0" for p in good[:3]]
    with receiving(tmp_path / "in") as there:
        report = outcome(there, noise + cut + longer + good)
    assert (report.whole, inbox(tmp_path)) == (True, {FILE: DATA})
    assert report.refused["foreign"] + report.refused["forged"] == len(noise + cut + longer)


def test_an_empty_packet_that_comes_alone_is_a_packet_and_no_silence() -> None:
    with Inlet(HERE, 0) as inlet:
        throw(inlet.port, [b""])
        assert len(inlet.receive(60.0)) == 1
        inlet.expect(200)
        throw(inlet.port, [b""])
        assert len(inlet.receive(60.0)) == 1


def test_the_order_of_packets_does_not_matter_after_the_announcement(tmp_path: Path) -> None:
    parts = whole(Forge())
    middle = flat(parts[1:-1])
    Random(7).shuffle(middle)  # noqa: S311  # the same each time
    with receiving(tmp_path / "in") as there:
        assert outcome(there, [*parts[0], *middle, *parts[-1]]).whole
    assert inbox(tmp_path) == {FILE: DATA}


def test_recorded_packets_are_refused_while_their_session_lives_and_after_its_end(tmp_path: Path) -> None:
    good = flat(whole(Forge()))
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [p for packet in good[:-1] for p in (packet, packet)] + good[-1:])
    assert (report.whole, report.refused["replayed"], report.lost) == (True, len(good) - 1, 0)
    (tmp_path / "in" / NAME / FILE).unlink()
    later = Forge()
    with receiving(tmp_path / "in") as there:
        report = outcome(there, good + flat(whole(later, b"other", "vol-0002.lgv")))
    assert report.refused["ended"] == len(good)
    assert inbox(tmp_path) == {"vol-0002.lgv": b"other"}


def test_packets_of_one_session_are_nothing_in_another(tmp_path: Path) -> None:
    good, other = Forge(), Forge()
    session = slice(4, 28)
    moved = []
    for packet in flat(whole(other, bytes(1500))):
        made = bytearray(packet)
        made[session] = good.key.session
        moved.append(bytes(made))
    parts = whole(good)
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*parts[0], *moved, *flat(parts[1:])])
    assert (report.whole, inbox(tmp_path)) == (True, {FILE: DATA})
    # The first one bears the number of a packet that came.
    assert (report.refused["forged"], report.refused["replayed"]) == (len(moved) - 1, 1)


def test_another_key_is_nobodys(tmp_path: Path) -> None:
    stranger = Forge(DiodeKey(bytes(32)).new_session(os.urandom))
    strange, good = flat(whole(stranger, b"evil")), flat(whole(Forge()))
    with receiving(tmp_path / "in") as there:
        report = outcome(there, strange + good)
    assert (inbox(tmp_path), report.refused["forged"]) == ({FILE: DATA}, len(strange))


def test_shards_that_contradict_the_announcement_are_not_used(tmp_path: Path) -> None:
    forge = Forge()
    parts = whole(forge)
    shape, shard = (0, 4, 2), bytes(200)
    wrong = [
        forge.packet(Kind.DATA, shard, shape=shape, stream=0, length=1500),
        forge.packet(Kind.DATA, shard, shape=shape, stream=2, length=1500),
        forge.packet(Kind.DATA, shard, shape=shape, stream=2**32 - 1, length=1500),
        forge.packet(Kind.DATA, shard, shape=shape, stream=1, block=2, length=1500),
        forge.packet(Kind.DATA, shard, shape=shape, stream=1, block=2**32 - 1, length=1500),
        forge.packet(Kind.DATA, shard, shape=shape, stream=1, length=1501),
        forge.packet(Kind.DATA, shard, shape=(0, 5, 2), stream=1, length=1500),
        forge.packet(Kind.DATA, shard, shape=(0, 4, 3), stream=1, length=1500),
        forge.packet(Kind.DATA, shard, shape=(6, 4, 2), stream=1, length=1500),
        forge.packet(Kind.DATA, shard + b"\0", shape=shape, stream=1, length=1500),
        forge.packet(Kind.DATA, b"", shape=shape, stream=1, length=1500),
        forge.said(2, bytes(16)),
        forge.said(0, bytes(16)),
        forge.packet(Kind.DIGEST, bytes(15), stream=1),
    ]
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*parts[0], *wrong, *flat(parts[1:])])
    assert (report.whole, report.refused["contradictory"]) == (True, len(wrong))
    assert inbox(tmp_path) == {FILE: DATA}


def files(*names: str, size: int = 10) -> tuple[TableFile, ...]:
    return tuple(TableFile(name=name, size=size) for name in names)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": files("../../etc/passwd")},
        {"files": files("/etc/passwd")},
        {"files": files("roots/../crate.json")},
        {"files": files("vol-0001.lgv", "vol-0001.lgv")},
        {"files": files("vol-0001.lgv\n")},
        {"files": files("script.sh")},
        {"files": ()},
        {"files": files("crate.json", size=2**23 + 1)},
        {"files": files("roots/1.root.json", size=2**19 + 1)},
        {"files": files(FILE, size=2**44), "shard": 1, "data": 1},
        {"files": tuple(TableFile(name=f"vol-{n:04d}.lgv", size=1) for n in range(12000))},
        {"crate": "../elsewhere"},
        {"crate": "crate-000001-AABBCC"},
        {"crate": ".diode"},
        {"format": "lockgate-diode/2"},
        {"data": 200, "parity": 56},
        {"shard": 65500},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_no_crate_has_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    forge = Forge(shard=6000)
    table = forge.table((FILE, 10), **({"shard": 200} | changes))
    with receiving(tmp_path / "in") as there, pytest.raises(DiodeTableError):
        outcome(there, [*table, *forge.block(1, 0, b"0123456789", 10), forge.end()])
    assert [p.name for p in (tmp_path / "in").iterdir()] == [".diode"]
    assert [p for p in (tmp_path / "in" / ".diode").iterdir() if p.is_dir()] == []


@pytest.mark.parametrize("raw", [b"{}", b"[" * 5000, b"\xff", b'{"format": "lockgate-diode/1"}', b"null"])
def test_an_announcement_that_is_none_is_refused(tmp_path: Path, raw: bytes) -> None:
    forge = Forge()
    with receiving(tmp_path / "in") as there, pytest.raises(DiodeTableError):
        outcome(there, [*forge.table(raw=raw), forge.end()])


def test_what_is_over_a_bound_is_refused_by_the_bounds_name(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, float], dict[str, object], type[Exception], str]] = [
        ({"content": 99}, {}, DiodeLimitError, "content"),
        ({"memory": 1 << 20}, {"interleave": 1 << 18}, DiodeLimitError, "memory"),
        ({"free": 1 << 20}, {}, NoSpaceError, "free bytes"),
    ]
    for number, (settings, changes, error, said) in enumerate(cases):
        forge = Forge()
        with receiving(tmp_path / f"in{number}", **settings) as there, pytest.raises(error) as caught:
            outcome(there, [*forge.table((FILE, 100), **changes), forge.end()])
        assert said in str(caught.value)


def test_other_files_under_the_name_of_a_crate_on_its_way_are_a_conflict(tmp_path: Path) -> None:
    first = Forge()
    parts = whole(first)
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*parts[0], *parts[1], *parts[-1]])
    assert report.missing == (FILE,)
    other = Forge()
    with receiving(tmp_path / "in") as there, pytest.raises(DiodeConflictError):
        outcome(there, flat(whole(other, DATA + b"more")))
    with receiving(tmp_path / "in") as there:
        assert outcome(there, flat(whole(Forge()))).whole
    assert inbox(tmp_path) == {FILE: DATA}


def test_a_digest_that_does_not_fit_leaves_nothing_and_a_second_sending_completes(tmp_path: Path) -> None:
    forge = Forge()
    parts = whole(forge)
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*flat(parts[:-2]), forge.said(1, bytes(16)), forge.end()])
    assert (report.whole, report.missing, inbox(tmp_path)) == (False, (FILE,), {})
    with receiving(tmp_path / "in") as there:
        assert outcome(there, flat(whole(Forge()))).whole
    assert inbox(tmp_path) == {FILE: DATA}


def test_parts_of_two_different_contents_never_become_one_file(tmp_path: Path) -> None:
    one, two = Forge(), Forge()
    other = bytes(1500)
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*flat(whole(one)[:2]), one.end()])
        assert report.missing == (FILE,)
    with receiving(tmp_path / "in") as there:
        report = outcome(there, flat(whole(two, other)))
        assert report.missing == (FILE,)
    assert inbox(tmp_path) == {}
    with receiving(tmp_path / "in") as there:
        assert outcome(there, flat(whole(Forge(), other))).whole
    assert inbox(tmp_path) == {FILE: other}


def test_a_session_that_writes_over_anothers_block_spoils_its_sum(tmp_path: Path) -> None:
    one, two = Forge(), Forge()
    mine, theirs = whole(one), whole(two, bytes(1500))
    begun, rest = theirs[2][:1], theirs[2][1:]
    packets = [*mine[0], *theirs[0], *begun, *mine[1], *mine[2], *rest, one.digest(1, DATA), one.end()]
    with receiving(tmp_path / "in") as there:
        report = outcome(there, packets)
    assert (report.crate, report.missing, inbox(tmp_path)) == (NAME, (FILE,), {})


def test_a_file_in_the_inbox_is_never_replaced(tmp_path: Path) -> None:
    with receiving(tmp_path / "in") as there:
        assert outcome(there, flat(whole(Forge()))).whole
    with receiving(tmp_path / "in") as there:
        assert outcome(there, flat(whole(Forge(), bytes(1500)))).whole
    assert inbox(tmp_path) == {FILE: DATA}


def test_a_file_of_another_length_in_the_inbox_is_a_conflict(tmp_path: Path) -> None:
    (tmp_path / "in" / NAME).mkdir(parents=True)
    (tmp_path / "in" / NAME / FILE).write_bytes(b"short")
    with receiving(tmp_path / "in") as there, pytest.raises(DiodeConflictError):
        outcome(there, flat(whole(Forge())))
    (tmp_path / "in" / NAME / FILE).unlink()
    (tmp_path / "in" / NAME / FILE).symlink_to(tmp_path / "elsewhere")
    with receiving(tmp_path / "in") as there, pytest.raises(DiodeConflictError):
        outcome(there, flat(whole(Forge())))
    assert not (tmp_path / "elsewhere").exists()


def test_more_losses_than_parity_are_reported_and_nothing_is_made_up(tmp_path: Path) -> None:
    parts = whole(Forge())
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*parts[0], *parts[1][:3], *flat(parts[2:])])
    assert (report.missing, report.lost_blocks, report.lost, inbox(tmp_path)) == ((FILE,), 1, 3, {})
    assert report.margin < 0


def test_blocks_that_are_never_finished_take_bounded_memory(tmp_path: Path) -> None:
    forge = Forge()
    size = 800 * 4000
    table = forge.table((FILE, size), (f"vol-{2:04d}.lgv", len(DATA)), interleave=1)
    starts = [
        forge.packet(Kind.DATA, bytes(200), shape=(0, 4, 2), stream=1, block=n, length=size)
        for n in range(4000)
    ]
    good = [forge.block(2, n, DATA[n * 800 : (n + 1) * 800], len(DATA)) for n in range(2)]
    ends = [forge.digest(2, DATA), forge.end()]
    with receiving(tmp_path / "in", memory=4 * 60_000) as there:
        report = outcome(there, [*table, *starts, *flat(good), *ends])
        assert there.receiver.peak_memory <= 60_000
    assert report.refused["evicted_blocks"] >= 4000 - 60_000 // 1200
    assert inbox(tmp_path) == {"vol-0002.lgv": DATA}


def test_names_of_sessions_cost_no_memory(tmp_path: Path) -> None:
    key = DiodeKey(KEY)
    flood = [Forge(key.new_session(os.urandom)).packet(Kind.FILLER, b"") for _ in range(50)]
    forged = [p[:28] + os.urandom(len(p) - 28) for p in flood]
    good = Forge()
    parts = whole(good)
    with receiving(tmp_path / "in", now=1.0) as there:
        report = outcome(there, [*forged, *parts[0], *flood, *flat(parts[1:])])
        assert len(there.receiver._live.sessions) < 4
    assert (report.whole, inbox(tmp_path)) == (True, {FILE: DATA})
    assert report.refused["forged"] == 50
    assert report.refused["crowded"] == 50 - 3


def test_a_transfer_completes_beside_a_flood(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 3_000_000)
    stop = threading.Event()
    rng = Random(3)  # noqa: S311  # the same each time
    recorded = flat(whole(Forge(), b"recorded", crate="crate-000009-000000"))
    with receiving(tmp_path / "in") as there:
        assert outcome(there, recorded).whole
    noise = [rng.randbytes(1400), *recorded, *(p[:40] + rng.randbytes(300) for p in recorded)]

    def flood(port: int) -> None:
        with Outlet("127.0.0.1", port, 65507) as outlet:
            while not stop.is_set():
                for packet in noise:
                    outlet.send(memoryview(packet))

    with receiving(tmp_path / "in", silence=1.0) as there:
        attacker = threading.Thread(target=flood, args=(there.inlet.port,))
        attacker.start()
        try:
            sender(there.inlet.port, tmp_path, rate=10_000_000).send(crate)
            report = there.result()
        finally:
            stop.set()
            attacker.join()
    while not report.whole:  # the flood took too much: that is reported, and the rest is sent again
        assert report.missing
        _, report = transfer(crate, tmp_path / "in", *report.missing)
    assert inbox(tmp_path) == content(crate)


def test_an_announcement_of_many_blocks_arrives_whole(tmp_path: Path) -> None:
    forge = Forge(shard=40)
    entries = [(f"vol-{n:04d}.lgv", 10) for n in range(1, 40)]
    data = b"".join(forge.table(*entries)[n][56:-16] for n in range(len(forge.table(*entries)))).rstrip(b"\0")
    forge = Forge(shard=40)
    packets = []
    step = 40 * 7
    for block, at in enumerate(range(0, len(data), step)):
        part = data[at : at + step].ljust(step, b"\0")
        packets += [
            forge.packet(
                Kind.TABLE, part[n * 40 : n * 40 + 40], shape=(n, 7, 0), block=block, length=len(data)
            )
            for n in range(7)
        ]
    Random(1).shuffle(packets)  # noqa: S311  # the same each time
    with receiving(tmp_path / "in") as there:
        report = outcome(there, [*packets, forge.end()])
    assert len(report.missing) == 39


def test_the_table_of_this_test_is_the_products() -> None:
    assert len(Forge().packet(Kind.END)) == OVERHEAD
    assert Table.__struct_fields__[0] == "format"
