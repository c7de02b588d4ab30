"""The ICAP client against c-icap with ClamAV behind it, and against servers that break RFC 3507."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpora.scanners import MARK, clam_data, icap
from corpora.stations import BAD, StationLane
from lockgate.core.verdict import Outcome
from lockgate.crossing.station import IcapScanner, Identity, demand_sight, read_address
from lockgate.crossing.station.errors import ScannerBlindError, ScannerError, StationSettingsError
from lockgate.crossing.station.stage import write_staged

METHODS = ("RESPMOD", "REQMOD")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("icap")
    with icap(folder, clam_data(folder / "data"), largest="3M") as running:
        yield running.address("antivirus"), running.address("echo")


def scanner(address: str, stage: Path, method: str = "RESPMOD", seconds: int = 30) -> IcapScanner:
    stage.mkdir(exist_ok=True)
    return IcapScanner(Identity("clamav"), read_address(address), stage, method, seconds)


@pytest.mark.parametrize("method", METHODS)
def test_a_real_service_finds_what_is_bad_and_passes_what_is_good(
    server: tuple[str, str], tmp_path: Path, method: str
) -> None:
    own = scanner(server[0], tmp_path / "stage", method)
    facts = own.identify()
    assert facts.adapter == "icap"
    assert facts.version.startswith("C-ICAP/")
    good = write_staged(own.stage, "good.bin", [b"%d " % n for n in range(200_000)])
    assert own.scan(good).outcome is Outcome.CLEAN
    empty = write_staged(own.stage, "empty.bin", [])
    assert own.scan(empty).outcome is Outcome.CLEAN
    said = own.scan(write_staged(own.stage, "bad.bin", [b"x" * 10_000, MARK]))
    assert (said.outcome, said.names) == (Outcome.FINDINGS, ("Lockgate-Test-1.UNOFFICIAL",))
    assert demand_sight(own, 1 << 20) > 1 << 20


@pytest.mark.parametrize("method", METHODS)
def test_a_service_that_passes_long_files_unread_is_found_out(
    server: tuple[str, str], tmp_path: Path, method: str
) -> None:
    own = scanner(server[0], tmp_path / "stage", method)
    bad = write_staged(own.stage, "bad.bin", [MARK, b"x" * (5 << 20)])
    assert own.scan(bad).outcome is Outcome.CLEAN, "virus_scan.MaxObjectSize passes it without a word"
    with pytest.raises(ScannerBlindError, match="archive of"):
        demand_sight(own, 5 << 20)


@pytest.mark.parametrize("method", METHODS)
def test_a_service_that_only_gives_back_what_it_got_is_found_out(
    server: tuple[str, str], tmp_path: Path, method: str
) -> None:
    own = scanner(server[1], tmp_path / "stage", method)
    assert "Echo" in own.identify().version
    large = write_staged(own.stage, "large.bin", [b"x" * (3 << 20)])
    assert own.scan(large).outcome is Outcome.CLEAN
    with pytest.raises(ScannerBlindError, match="EICAR test pattern"):
        demand_sight(own, 1000)


def test_a_service_that_is_not_there_signs_nothing(server: tuple[str, str], tmp_path: Path) -> None:
    own = scanner(server[0].replace("antivirus", "nothing"), tmp_path / "stage")
    with pytest.raises(ScannerError):
        own.identify()
    assert own.scan(write_staged(own.stage, "a", [b"x"])).outcome is Outcome.INCOMPLETE
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        absent = scanner(f"icap://127.0.0.1:{held.getsockname()[1]}/x", tmp_path / "stage")
        with pytest.raises(ScannerError):
            absent.identify()
        with pytest.raises(ScannerError):
            absent.scan(write_staged(own.stage, "b", [b"x"]))


def test_a_crate_is_scanned_over_icap_as_by_a_command(server: tuple[str, str], tmp_path: Path) -> None:
    lane = StationLane(tmp_path / "lane").make()
    more = {"adapter": "icap", "icap": server[0], "largest_bytes": 1 << 20}
    lane.settings(lane.folder / "data", version_command="", **more)
    done = lane.scanned(lane.cross("The pump has two valves.", BAD), status=8)
    assert done["outcomes"] == {"clean": 1, "findings": 1}
    assert done["report"]["scanner"]["adapter"] == "icap"


# Servers of our own, for what no honest one does.

Serve = Callable[[socket.socket], None]


@contextmanager
def serving(answer: Serve) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield f"icap://127.0.0.1:{listener.getsockname()[1]}/x"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def whole(connection: socket.socket) -> bytes:
    """Read a request to the end of its body."""
    data = b""
    while not data.endswith(b"0\r\n\r\n"):
        piece = connection.recv(1 << 16)
        if not piece:
            break
        data += piece
    return data


def after_all(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        whole(connection)
        connection.sendall(answer)

    return serve


HEAD = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
CLEAN_BODY = b"5\r\nhello\r\n0\r\n\r\n"
ODD = [
    (b"ICAP/1.0 204 No Content\r\n\r\n", "clean"),
    (HEAD + CLEAN_BODY, "clean"),
    (b"ICAP/1.0 204 No Content\r\nX-Infection-Found: Type=0; Threat=Evil;\r\n\r\n", "findings"),
    (b"ICAP/1.0 204 No Content\r\nX-Virus-ID:\r\n\r\n", "findings"),
    (HEAD + b"5\r\nhallo\r\n0\r\n\r\n", "findings"),
    (HEAD + b"6\r\nhello!\r\n0\r\n\r\n", "findings"),
    (HEAD + b"4\r\nhell\r\n0\r\n\r\n", "findings"),
    (HEAD.replace(b"1 200 OK", b"1 403 No"), "findings"),
    (HEAD + b"5\r\nhello\r\n", "incomplete"),
    (HEAD + b"5\r\nhel", "incomplete"),
    (HEAD + b"hello", "incomplete"),
    (HEAD + b"5\r\nhelloo\r\n0\r\n\r\n", "incomplete"),
    (HEAD + b"fffffffff\r\n", "incomplete"),
    (HEAD[:40], "incomplete"),
    (b"", "incomplete"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 204 No Content\r\n", "incomplete"),
    (b"ICAP/1.0 204\r\nno colon\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 100 Continue\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 500 Server error\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 404 Not found\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 200 OK\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 200 OK\r\nEncapsulated: opt-body=x\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=9\r\n\r\nnonsense\r\n\r\n", "incomplete"),
    (b"ICAP/1.0 204 x\r\n" + b"a: b\r\n" * 200 + b"\r\n", "incomplete"),
    (b"ICAP/1.0 204 " + b"x" * 9000 + b"\r\n\r\n", "incomplete"),
]


@pytest.mark.parametrize(("answer", "outcome"), ODD)
def test_an_answer_that_is_no_answer_is_never_clean(tmp_path: Path, answer: bytes, outcome: str) -> None:
    with serving(after_all(answer)) as address:
        own = scanner(address, tmp_path / "stage")
        assert own.scan(write_staged(own.stage, "a", [b"hello"])).outcome == outcome


def test_clean_counts_only_when_the_service_had_the_whole_file(tmp_path: Path) -> None:
    def early(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"ICAP/1.0 204 No Content\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)

    with serving(early) as address:
        own = scanner(address, tmp_path / "stage")
        said = own.scan(write_staged(own.stage, "a", [b"x" * (64 << 20)]))
    assert said.outcome is Outcome.INCOMPLETE
    assert "before it had the whole file" in said.why


def test_a_silent_server_and_one_that_dribbles_end_in_bounded_time(tmp_path: Path) -> None:
    done = threading.Event()
    dribbled: list[int] = []

    def silent(connection: socket.socket) -> None:
        whole(connection)
        done.wait(120)

    def dribble(connection: socket.socket) -> None:
        whole(connection)
        connection.sendall(b"ICAP/1.0 204 No Content\r\nX: ")
        while not done.wait(0.05):
            connection.sendall(b"x")
            dribbled.append(1)

    for serve in (silent, dribble):
        done.clear()
        with serving(serve) as address:
            own = scanner(address, tmp_path / "stage", seconds=1)
            said = own.scan(write_staged(own.stage, serve.__name__, [b"hello"]))
            done.set()
        assert said.outcome is Outcome.INCOMPLETE
    assert len(dribbled) < 4000, "no bound on a line ended it"


def test_an_endless_answer_is_cut_off(tmp_path: Path) -> None:
    def endless(connection: socket.socket) -> None:
        whole(connection)
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with serving(endless) as address:
        own = scanner(address, tmp_path / "stage")
        assert own.scan(write_staged(own.stage, "a", [b"hello"])).outcome is Outcome.FINDINGS


def test_nothing_of_the_crate_reaches_the_server_as_text(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def record(connection: socket.socket) -> None:
        asked.append(whole(connection))
        connection.sendall(b"ICAP/1.0 204 No Content\r\n\r\n")

    with serving(record) as address:
        for method in METHODS:
            own = scanner(address, tmp_path / "stage", method)
            own.scan(write_staged(own.stage, method.lower(), [b"hello"]))
    heads = [request.split(b"\r\n\r\n", 1)[0].decode() for request in asked]
    assert heads[0].splitlines()[0].startswith("RESPMOD icap://127.0.0.1:")
    for request, method in zip(asked, METHODS, strict=True):
        head, rest = request.split(b"\r\n\r\n", 1)
        parts = dict(part.split("=") for part in head.decode().split("Encapsulated: ")[1].split(", "))
        last = "res-body" if method == "RESPMOD" else "req-body"
        assert rest[int(parts[last]) :] == b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://h/x",
        "icap://h",
        "icap://h/",
        "icap://u@h/x",
        "icap://h:0/x",
        "icap://h:99999/x",
        "icap://h/x y",
        "icap://h/x\r\nEvil: 1",
        "icap:///x",
    ],
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StationSettingsError):
        read_address(text)


def test_an_address_has_a_port_of_its_own_by_default() -> None:
    assert read_address("icap://scan.lan/avscan?x=1").port == 1344
    assert read_address("icap://[::1]:99/a").authority == "[::1]:99"
