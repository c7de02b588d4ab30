"""Where in a crate an error says that something is wrong: byte for byte what the volumes hold there."""

import base64

import pytest

from crossing_lane import Lane, filler
from lockgate.core.errors import HostError, LockgateError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.wire import encode, span_of
from lockgate.crossing import SealedCrate, whereabouts
from lockgate.crossing.format import VolumeEntry
from lockgate.crossing.whereabouts import PayloadPlaces, within_manifest
from lockgate.trust.dsse import open_envelope, payload_span

RECORD, TAG = 7, 16
HEADERS, PLAIN = (5, 40, 1), (20, 7, 15)


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> SealedCrate:
    lane = Lane(policy=Policy(cleartext=True))
    lane.site = lane.site_root(lane.gate)
    return lane.seal(tmp_path_factory.mktemp("outbox"), {"files/a": filler("a", 9000)}, cleartext=True)


def volumes() -> list[VolumeEntry]:
    found = []
    for number, (header, plain) in enumerate(zip(HEADERS, PLAIN, strict=True), 1):
        records = -(-plain // RECORD)
        size = header + plain + records * TAG
        facts = {"name": f"vol-{number:04d}.lgv", "commitment": "0" * 64, "records": records}
        found.append(VolumeEntry(size=size, plaintext_size=plain, **facts))  # type: ignore[arg-type]
    return found


def sealed() -> dict[str, list[int | None]]:
    """Return, for each byte of each volume, which byte of the payload it carries."""
    found, at = dict[str, list[int | None]](), 0
    for volume, header in zip(volumes(), HEADERS, strict=True):
        cells: list[int | None] = [None] * header
        for start in range(0, volume.plaintext_size, RECORD):
            size = min(RECORD, volume.plaintext_size - start)
            cells += [*range(at + start, at + start + size), *[None] * TAG]
        at += volume.plaintext_size
        assert len(cells) == volume.size
        found[volume.name] = cells
    return found


def test_a_place_is_where_the_bytes_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every range of a payload over three volumes, of several records each."""
    monkeypatch.setattr(whereabouts, "RECORD_SIZE", RECORD)
    places, cells, size = PayloadPlaces(volumes()), sealed(), sum(PLAIN)
    names = list(cells)
    for start in range(size):
        for stop in range(start + 1, size + 1):
            facts = places.of(start, stop - start)
            end = facts["offset"] + facts["length"]
            found = cells[facts["file"]][facts["offset"] : end]
            assert found[0] == start
            if "last_file" in facts:
                first, last = names.index(facts["file"]), names.index(facts["last_file"])
                for name in names[first + 1 : last]:
                    found += cells[name]
                found += cells[facts["last_file"]][: facts["last_length"]]
            assert found[-1] == stop - 1
            assert [one for one in found if one is not None] == list(range(start, stop))


def test_a_place_behind_the_end_is_the_end_and_no_payload_has_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whereabouts, "RECORD_SIZE", RECORD)
    places, last = PayloadPlaces(volumes()), volumes()[-1]
    assert places.of(99, 5) == {"file": last.name, "offset": last.size - TAG - 1, "length": 1}
    assert places.of(9, 0)["length"] == 0
    assert PayloadPlaces(()).of(0, 5) == {}


def test_what_the_host_is_to_blame_for_gets_no_place(crate: SealedCrate) -> None:
    places = PayloadPlaces(crate.manifest.volumes)
    for error in (HostError("full"), TrustError("elsewhere", file="roots/1.root.json")):
        before = dict(error.where)
        with pytest.raises(LockgateError), places.judging("files/a"):
            raise error
        assert error.where == before
        envelope = (crate.path / "crate.json").read_bytes()
        with pytest.raises(LockgateError), within_manifest(envelope):
            raise error
        assert error.where == before


def test_a_byte_inside_a_document_is_told_apart_from_one_in_the_volume(crate: SealedCrate) -> None:
    places = PayloadPlaces(crate.manifest.volumes)
    places.index(b"", 0)
    places.parts([("meta/lock.json", 100), ("files/a", 5)])
    error = TrustError("odd", offset=3, path="files/a")
    with pytest.raises(TrustError), places.judging():
        raise error
    (volume,) = crate.manifest.volumes
    at = volume.size - volume.plaintext_size - TAG + 100
    expected = {"path": "files/a", "byte": 3, "file": volume.name, "offset": at, "length": 5}
    assert error.where == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("$", {"a": [1, {"b": "x", "long": [2, 3]}], "é": {"7": "seven"}}),
        ("$.a", [1, {"b": "x", "long": [2, 3]}]),
        ("$.a[0]", 1),
        ("$.a[1].long[1]", 3),
        ("$.é.7", "seven"),
        ("$.a[1].b", "x"),
        ("$.a[9]", [1, {"b": "x", "long": [2, 3]}]),
        ("$.a[...].b", [1, {"b": "x", "long": [2, 3]}]),
        ("$.a[0].b", 1),
    ],
)
def test_the_range_of_a_field(field: str, value: object) -> None:
    document = encode({"a": [1, {"b": "x", "long": [2, 3]}], "é": {"7": "seven"}})
    start, length = span_of(document, field)
    if field == "$.a[...].b":  # msgspec's word for any member of an array or object
        assert (start, length) == span_of(document, "$.a")
    assert document[start : start + length] == encode(value)


@pytest.mark.parametrize("document", [b'{"a": 1,"b":2}', b'{"b":1,"b":2}', b"{", b"\xff", b"[" * 9000])
def test_a_document_of_another_form_is_named_as_a_whole(document: bytes) -> None:
    assert span_of(document, "$.b") == (0, len(document))


def test_a_field_of_crate_json_is_in_the_characters_that_carry_it(crate: SealedCrate) -> None:
    envelope = (crate.path / "crate.json").read_bytes()
    payload = open_envelope(envelope).payload
    for field in ("$", "$.sequence", "$.previous_sha256", "$.volumes[0].size", "$.roots.1"):
        at, length = span_of(payload, field)
        start, size = payload_span(envelope, at, length)
        carried = base64.b64decode(envelope[start : start + size])
        assert payload[at : at + length] in carried
        assert len(carried) <= length + 4
