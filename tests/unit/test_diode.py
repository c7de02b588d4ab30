"""The parts of the diode by themselves, and whole transfers over loopback."""

import hmac
import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from corpora.commands import Commands
from corpora.diode import HERE, KEY, NAME, SECONDS, content, fake_crate, receiving, sender, transfer
from corpora.ports import free_port
from crossing_lane import Lane
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.trust import utc_now
from lockgate.crossing import Received
from lockgate.crossing.diode import DiodeKey, Inlet, Outlet, SendSettings, make_key, read_key
from lockgate.crossing.diode.errors import DiodeKeyError, DiodeSettingError, DiodeSocketError
from lockgate.crossing.diode.names import read_names, write_names
from lockgate.crossing.diode.pace import Pace
from lockgate.crossing.diode.sums import FileSum
from lockgate.crossing.diode.table import Cut, file_limit, sending_order
from lockgate.crossing.diode.udp import shard_size
from lockgate.crossing.diode.window import Rates
from lockgate.crossing.diode.wire import taken_apart
from lockgate.crossing.diode.writer import Pool
from lockgate.crossing.errors import CrossingBusyError, NotACrateError


def test_what_arrives_is_what_was_sent(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 300_000, 1, 70_001)
    sent, report = transfer(crate, tmp_path / "in")
    assert content(tmp_path / "in" / NAME) == content(crate)
    assert (report.whole, report.missing, report.lost_blocks, report.ended) == (True, (), 0, True)
    assert report.content == sent.content == sum(len(data) for data in content(crate).values())
    assert sorted(p.name for p in (tmp_path / "in" / ".diode").iterdir()) == [".receiving", "ended-sessions"]
    assert "emulated" in report.evidence


def test_a_sealed_crate_that_crossed_a_diode_opens_as_any_other(tmp_path: Path) -> None:
    lane = Lane()
    files = {"files/a": bytes(200_000), "files/b": b"b"}
    crate = lane.seal(tmp_path / "out", files, volume_bytes=100_000)
    _, report = transfer(crate.path, tmp_path / "in")
    assert report.whole
    received = lane.opener(tmp_path / "staging").receive(tmp_path / "in" / crate.path.name)
    assert isinstance(received, Received)
    assert {path for path in received.targets if path.startswith("files/")} == set(files)


def test_named_files_alone_are_sent_and_the_rest_is_named_as_missing(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 50_000, 60_000, 70_000)
    sent, report = transfer(crate, tmp_path / "in", "vol-0003.lgv", "crate.json")
    assert sent.files == ("crate.json", "vol-0003.lgv")
    missing = ("roots/1.root.json", "shards.idx", "vol-0001.lgv", "vol-0002.lgv")
    assert (report.whole, report.missing) == (False, missing)
    assert set(content(tmp_path / "in" / NAME)) == {"crate.json", "vol-0003.lgv"}
    carried = tmp_path / "missing"
    write_names(carried, report.missing)
    sent, report = transfer(crate, tmp_path / "in", *read_names(carried))
    assert (sent.files, report.whole) == (missing, True)
    assert content(tmp_path / "in" / NAME) == content(crate)


def test_a_file_that_is_not_in_the_crate_cannot_be_sent(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 10)
    with pytest.raises(DiodeSettingError, match=r"vol-0009\.lgv"):
        sender(1, tmp_path).send(crate, ("vol-0009.lgv",))
    with pytest.raises(NotACrateError):
        sender(1, tmp_path).send(tmp_path)


def test_each_end_has_its_inbox_and_its_port_for_itself(tmp_path: Path) -> None:
    crate = fake_crate(tmp_path / "out", 10)
    with receiving(tmp_path / "in") as first:
        with pytest.raises(CrossingBusyError), receiving(tmp_path / "in"):
            pass
        with pytest.raises(DiodeSocketError, match="listen"):
            Inlet(HERE, first.inlet.port)
        sender(first.inlet.port, tmp_path).send(crate)
        assert first.result().whole


def test_packets_larger_than_the_link_are_refused_by_the_kernel(tmp_path: Path) -> None:
    with Outlet("127.0.0.1", 9, 65507) as outlet, pytest.raises(DiodeSocketError):
        outlet.send(memoryview(bytes(65508)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("port", 0), ("port", 65536), ("rate", 9999), ("mtu", 575), ("mtu", 65536), ("data", 0)),
        *(("data", 256), ("parity", -1), ("parity", 56), ("interleave", 65535)),
    ],
)
def test_settings_out_of_their_range_are_refused_by_name(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(DiodeSettingError, match=f"diode's {name} is"):
        sender(**({"port": 7411, "journal": tmp_path, "data": 200, "parity": 40} | {name: value}))


def test_packets_are_taken_apart_alike_whatever_length_is_expected() -> None:
    sent = [bytes([n]) * 300 for n in range(10)] + [b"short" * 20, b"", b"x", b"y" * 300, b"z" * 301]
    for expected in (300, 100, 65507):
        with (
            Inlet(HERE, 0) as inlet,
            Outlet(HERE, inlet.port, 300) as outlet,
            Outlet(HERE, inlet.port, 400) as other,
        ):
            inlet.expect(expected)
            outlet.send(memoryview(b"".join(sent[:10]) + sent[10]))
            for packet in sent[11:]:
                other.send(memoryview(packet))
            came: list[bytes] = []
            while len(came) < len(sent):
                packets = inlet.receive(SECONDS)
                assert packets, "packets were lost"
                came += [bytes(packet[0]) for packet in packets]
                assert all(packet == taken_apart(packet[0]) for packet in packets)
        assert came == sent


def test_memory_on_loan_never_overlaps_and_keeps_its_bound() -> None:
    pool = Pool(100_000)
    lent = [buffer for _ in range(11) if (buffer := pool.lend(9_999)) is not None]
    for number, buffer in enumerate(lent):
        buffer[:] = bytes([number]) * 9_999
    assert [set(buffer) for buffer in lent] == [{n} for n in range(10)]
    assert pool.lend(11) is None
    assert pool.peak <= 100_000
    pool.take_back(lent.pop())
    again = pool.lend(9_999)
    assert again is not None
    assert set(again) == {9}, "fresh memory was taken beside what is free"


def test_names_of_hosts_are_not_looked_up() -> None:
    with pytest.raises(DiodeSettingError, match="not an IP address"):
        Inlet("localhost", 0)
    assert (shard_size("192.0.2.1", 1500), shard_size("2001:db8::1", 1500)) == (1400, 1380)
    assert SendSettings("192.0.2.1").checked().rate == 100_000_000


def has_ipv6() -> bool:
    """Tell whether this machine's loopback has an address of IPv6 (proc_net(5): all its addresses)."""
    known = Path("/proc/net/if_inet6")
    return known.exists() and " lo\n" in known.read_text()


@pytest.mark.skipif(not has_ipv6(), reason="this machine's kernel has no IPv6")
def test_ipv6_carries_a_crate_too(tmp_path: Path) -> None:
    from lockgate.crossing.diode import Receiver, ReceiverParts, Sender, SenderParts, SendJournal

    crate = fake_crate(tmp_path / "out", 5000)
    with (
        Inlet("::1", 0) as inlet,
        Receiver.open(ReceiverParts(DiodeKey(KEY), tmp_path / "in", inlet)) as there,
    ):
        parts = SenderParts(DiodeKey(KEY), SendJournal(tmp_path))
        Sender(parts, SendSettings("::1", inlet.port)).send(crate)
        assert there.receive().whole


def test_the_key_file_is_its_owners_alone_and_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path, lambda n: b"\x07" * n)
    assert path.read_text() == "07" * 32 + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(DiodeKeyError, match="exists"):
        make_key(path)
    session = read_key(path).new_session(lambda n: b"\x01" * n).session
    assert read_key(path).session(session) is not None
    assert DiodeKey(KEY).session(session) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (bytes(12) + b"\1" * 12, b"\1" * 12 + bytes(12)),
        (bytes(12) + b"\1", b"\1" + bytes(12)),
        (b"abcdefghijklABCDEFGHIJKL", b"abcdefghijkmABCDEFGHIJKM"),
    ],
    ids=["two blocks changed places", "a short one too", "two blocks changed in the same bit"],
)
def test_changes_of_two_blocks_do_not_cancel_out_in_a_sum(tmp_path: Path, one: bytes, other: bytes) -> None:
    session = DiodeKey(KEY).new_session(lambda n: b"\x01" * n)
    found = []
    for number, data in enumerate((one, other)):
        path = tmp_path / str(number)
        path.write_bytes(data)
        with path.open("rb") as file:
            found.append(FileSum(session, 9, len(data), Cut(4, 3, 1)).complete(file.fileno()))
    assert found[0] != found[1]


def test_a_files_sum_is_that_of_the_format_document(tmp_path: Path) -> None:
    session = DiodeKey(KEY).new_session(lambda n: b"\x01" * n)
    keys = [
        HKDF(SHA256(), 32, salt=b"\x01" * 16, info=b"lockgate-diode/1 " + use).derive(KEY)
        for use in (b"contents", b"marks")
    ]
    path, data = tmp_path / "file", bytes(range(25))
    path.write_bytes(data)
    marks = []
    for n in range(3):
        place = bytes([0, 0, 0, 9, *bytes(7), n])
        short = AESGCM(keys[0]).encrypt(place, b"", data[n * 12 : n * 12 + 12])
        marks.append(hmac.digest(keys[1], place + short, "sha256")[:16])
    with path.open("rb") as file:
        found = FileSum(session, 9, 25, Cut(4, 3, 1)).complete(file.fileno())
    assert found == bytes(a ^ b ^ c for a, b, c in zip(*marks, strict=True))
    with path.open("rb") as file, pytest.raises(EOFError):
        FileSum(session, 9, 26, Cut(4, 3, 1)).complete(file.fileno())


@pytest.mark.parametrize(
    "text", [b"", b"07" * 31, b"07" * 33, b"AB" * 32, b"07" * 32 + b"\n\n", b"\xff" * 64]
)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(text)
    with pytest.raises(DiodeKeyError) as refused:
        read_key(path)
    assert "07" not in str(refused.value)
    with pytest.raises(DiodeKeyError):
        read_key(tmp_path / "none")


def test_only_names_of_a_crates_files_are_taken_from_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for text in (b"", b"\n\n", b"../key\n", b"vol-1.lgv\n", b"vol-0001.lgv\nroots/x\n", b"\xff\n"):
        path.write_bytes(text)
        with pytest.raises(DiodeSettingError):
            read_names(path)
    with pytest.raises(DiodeSettingError):
        read_names(tmp_path / "none")
    path.write_bytes(b"vol-0001.lgv\nroots/12.root.json\n")
    assert read_names(path) == ("vol-0001.lgv", "roots/12.root.json")


def test_names_have_bounds_and_an_order() -> None:
    assert file_limit("roots/1.root.json") == 512 * 1024
    for name in ("", "x", "roots/", "roots/0.root.json", "a/crate.json", "../crate.json", "vol-00001.lgv"):
        assert file_limit(name) == 0, name
    assert sending_order(
        ["vol-0002.lgv", "shards.idx", "vol-0001.lgv", "crate.json", "roots/1.root.json"]
    ) == [
        *("roots/1.root.json", "crate.json", "shards.idx", "vol-0001.lgv", "vol-0002.lgv"),
    ]


def test_short_blocks_have_relatively_more_parity() -> None:
    cut = Cut(shard=100, data=20, parity=10)
    assert cut.blocks(2001) == 2
    assert (cut.shape(2001, 0), cut.shape(2001, 1), cut.shape(5000, 2)) == ((20, 10), (1, 9), (10, 10))
    assert Cut(100, 20, 0).shape(50, 0) == (1, 0)


class FakeOutlet:
    """Takes packets and remembers when."""

    def __init__(self) -> None:
        self.burst, self.now, self.sent = 1000, 0.0, [(0.0, 0)][:0]

    def send(self, packets: memoryview) -> None:
        self.sent.append((self.now, len(packets)))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_pace_keeps_the_rate_and_does_not_make_up_for_a_long_delay() -> None:
    outlet = FakeOutlet()
    pace = Pace(outlet, 100_000, lambda: outlet.now, outlet.sleep)  # type: ignore[arg-type]
    pace.send(memoryview(bytes(10_000)))
    assert [round(at, 6) for at, _ in outlet.sent] == [round(n * 0.01, 6) for n in range(10)]
    outlet.now += 5
    outlet.sent.clear()
    pace.send(memoryview(bytes(10_000)))
    assert outlet.now - 5.09 < 0.1
    assert sum(1 for at, _ in outlet.sent if at == outlet.sent[0][0]) <= 2


def test_the_highest_safe_rate_is_the_one_at_which_little_was_lost() -> None:
    rates = Rates(packet=1000, tolerable=0.08)
    rates.look(1.0, 0, 1)
    rates.look(1.1, 50, 51)
    assert rates.safe == 0
    rates.look(2.0, 1000, 1001)
    rates.look(3.0, 3000, 2999)
    rates.look(4.0, 8000, 7000)
    assert (rates.safe, rates.unsafe) == (2_000_000, 5_000_000)


def bound(port: int) -> bool:
    """Tell whether somebody listens at a UDP port of this machine."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


def test_the_commands_make_a_key_send_and_receive(tmp_path: Path) -> None:
    commands = Commands()
    lane = make_demo_lane(tmp_path / "lane", "harbour", utc_now())
    crate = fake_crate(lane.low / "outbox", 40_000, 50_000)
    key, missing, port = tmp_path / "key", tmp_path / "missing", free_port(SOCK_DGRAM)
    assert commands.json("diode", "key", key) == {"file": str(key)}
    receive = [
        sys.executable,
        "-m",
        "lockgate.cli.main",
        "diode",
        "receive",
        "--home",
        lane.high,
        "--key",
        key,
    ]
    receive += ["--listen", HERE, "--port", str(port), "--missing-list", missing, "--json"]

    def cross(*words: object) -> tuple[int, Any, Any]:
        with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as there:
            while not bound(port):
                assert there.poll() is None
                time.sleep(0.01)
            send = ("diode", "send", crate, "--home", lane.low, "--key", key, "--to", HERE, "--port", port)
            sent = commands.json(*send, *words)
            said, _ = there.communicate(timeout=120)
            return there.returncode, sent, json.loads(said)

    status, sent, report = cross("--only", "vol-0002.lgv")
    assert (status, sent["files"], report["whole"]) == (7, ["vol-0002.lgv"], False)
    assert missing.read_text().split() == report["missing"]
    status, sent, report = cross("--only-list", missing, "--mtu", 9000, "--afresh")
    assert (status, report["missing"], report["loss"], report["margin"]) == (0, [], 0.0, 1.0)
    assert content(lane.high / "inbox" / NAME) == content(crate)
    assert missing.read_text() == ""


def test_each_command_belongs_to_its_side(tmp_path: Path) -> None:
    commands = Commands()
    lane = make_demo_lane(tmp_path / "lane", "harbour", utc_now())
    key = tmp_path / "key"
    status, error = commands.refused("diode", "receive", "--home", lane.low, "--key", key)
    assert (status, "high side" in error["error"]) == (2, True)
    status, error = commands.refused("diode", "receive", "--home", lane.high, "--key", key)
    assert (status, error["code"]) == (2, "LG-1780")
    words = ("diode", "send", tmp_path / NAME, "--to", HERE, "--key", key)
    assert commands.refused(*words, "--home", lane.high)[0] == 2
    assert commands.refused(*words, "--home", lane.low)[1]["code"] == "LG-1780"
