"""Crates in images of discs: written by xorriso, read without mounting, and hostile in every structure."""

import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.errors import LockgateError
from lockgate.crossing import SealedCrate
from lockgate.crossing.errors import CrateGrammarError, NotACrateError
from lockgate.crossing.media import (
    IsoImage,
    MediaReader,
    MediaWriter,
    medium_named,
    opened_medium,
    write_image,
)
from lockgate.crossing.media import tree as tree_module
from lockgate.crossing.media.errors import (
    ImageFormError,
    MediumListingError,
    ProgramFailedError,
    ReadBackError,
)
from lockgate.crossing.mend import Mender, Trust
from lockgate.trust.roots import read_supply_root

FILES = {"files/big": filler("media", 5 * MIB + 9000), "files/none": b""}
SECTOR = 2048


@pytest.fixture(scope="module")
def lane() -> Lane:
    return Lane()


@pytest.fixture(scope="module")
def sealed(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> SealedCrate:
    outbox = tmp_path_factory.mktemp("outbox")
    return lane.seal(outbox, FILES, parity=Fraction(1, 3), volume_bytes=MIB + 20_000)


@pytest.fixture
def crate(sealed: SealedCrate, tmp_path: Path) -> Path:
    """A copy of the crate that a test may damage."""
    return Path(shutil.copytree(sealed.path, tmp_path / "outbox" / sealed.path.name))


@pytest.fixture(scope="module")
def image(sealed: SealedCrate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    writer = MediaWriter(sealed.path)
    (piece,) = writer.plan_images(folder, medium_named("dvd"))
    return write_image(writer, piece)


def mount(tmp_path: Path, name: str = "usb") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def take(lane: Lane, inbox: Path, medium: Path) -> list[tuple[str, ...]]:
    reader = MediaReader(inbox, Mender(Trust(read_supply_root(lane.supply), NOW)))
    with opened_medium(medium) as content:
        return [reader.take(source).missing for source in content.crates]


def test_an_image_is_read_without_mounting(
    lane: Lane, sealed: SealedCrate, image: Path, tmp_path: Path
) -> None:
    inbox = mount(tmp_path, "inbox")
    assert take(lane, inbox, image) == [()]
    assert tree(inbox / sealed.path.name) == tree(sealed.path)


def test_a_crate_is_spread_over_images(lane: Lane, crate: Path, tmp_path: Path) -> None:
    discs = mount(tmp_path, "discs")
    writer = MediaWriter(crate)
    planned = writer.plan_images(discs, medium_named(str(5 * MIB)))
    assert len(planned) > 2
    inbox = mount(tmp_path, "inbox")
    for piece in reversed(planned):
        path = write_image(writer, piece)
        assert path.stat().st_size <= 5 * MIB
        take(lane, inbox, path)
    assert tree(inbox / crate.name) == tree(crate)
    assert sorted(p.suffix for p in discs.iterdir()) == [".iso"] * len(planned)


def test_a_failing_program_leaves_no_image(crate: Path, tmp_path: Path) -> None:
    discs = mount(tmp_path, "discs")
    writer = MediaWriter(crate)
    (piece,) = writer.plan_images(discs, medium_named("dvd"))
    (crate / "vol-0003.lgv").unlink()
    with pytest.raises(ProgramFailedError):
        write_image(writer, piece)
    assert not list(discs.iterdir())


def test_an_image_with_wrong_bytes_gets_no_name(crate: Path, tmp_path: Path) -> None:
    discs = mount(tmp_path, "discs")
    writer = MediaWriter(crate)
    (piece,) = writer.plan_images(discs, medium_named("dvd"))
    with (crate / "vol-0003.lgv").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ReadBackError):
        write_image(writer, piece)
    assert not list(discs.iterdir())


def joliet(data: bytes) -> tuple[int, int]:
    """Return the place of the Joliet root's record, and of its folder."""
    for sector in range(16, 32):
        at = sector * SECTOR
        if data[at] == 2:
            return at + 156, struct.unpack_from("<I", data, at + 158)[0] * SECTOR
    raise AssertionError("no Joliet")


def records(data: bytes, folder: int) -> list[int]:
    """Return the places of the records of a folder's first sector."""
    at, found = folder, []
    while data[at]:
        found.append(at)
        at += data[at]
    return found


def put(data: bytearray, at: int, value: int) -> None:
    """Write a number in both orders, as ECMA-119 has it."""
    struct.pack_into("<I", data, at, value)
    struct.pack_into(">I", data, at + 4, value)


def crate_folder(data: bytes) -> int:
    record = records(data, joliet(data)[1])[2]
    return struct.unpack_from("<I", data, record + 2)[0] * SECTOR


def point_to_root(data: bytearray) -> None:
    """roots/ is the crate's own folder: a circle."""
    folder = crate_folder(data)
    for record in records(data, folder)[2:]:
        if data[record + 25] & 2:
            put(data, record + 2, folder // SECTOR)


def crate_in_itself(data: bytearray) -> None:
    """The crate is the root folder, which holds the crate."""
    root = joliet(data)[1]
    put(data, records(data, root)[2] + 2, root // SECTOR)


def field(offset: int, value: int, *, which: int = 2, inside: bool = True) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        folder = crate_folder(data) if inside else joliet(data)[1]
        put(data, records(data, folder)[which] + offset, value)

    return change


def byte(offset: int, value: int, *, which: int = 2, inside: bool = True) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        folder = crate_folder(data) if inside else joliet(data)[1]
        data[records(data, folder)[which] + offset] = value

    return change


def root_length(data: bytearray) -> None:
    put(data, joliet(data)[0] + 10, 0x7FFFFFFF)


def no_descriptors(data: bytearray) -> None:
    for sector in range(16, 32):
        if data[sector * SECTOR + 1 : sector * SECTOR + 6] == b"CD001":
            data[sector * SECTOR] = 1


def doubled(data: bytearray) -> None:
    """Two files of one name: the second gets the first one's."""
    folder = crate_folder(data)
    places = records(data, folder)
    names = [p for p in places[2:] if data[p + 33 : p + 33 + 6] == "vol".encode("utf-16-be")]
    first, second = names[0], names[1]
    data[second + 33 : second + 33 + data[second + 32]] = data[first + 33 : first + 33 + data[first + 32]]


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def emptied(data: bytearray) -> None:
    del data[:]


REFUSALS = {"LG-2730", "LG-4730", "LG-2701", "LG-1702", "LG-2708", "LG-2702", "LG-5702", "LG-1001"}
"""Forms of images, too much, foreign names, no crate, another index, other roots, unreadable, no document."""

IMAGES = {
    "roots in a circle": point_to_root,
    "a crate in itself": crate_in_itself,
    "a file behind the end": field(2, 0x7FFFFFF0),
    "a file longer than the image": field(10, 0xFFFFFFF0),
    "a folder longer than the image": field(10, 0x7FFFFFFF, inside=False),
    "a root longer than the image": root_length,
    "a record of no length that goes on": byte(0, 1),
    "a record that swallows the next ones": byte(0, 200),
    "a name longer than its record": byte(32, 255),
    "a file that never ends": byte(25, 0x80, which=-1),
    "parts of another file": byte(25, 0x80),
    "a file where a folder should be": byte(25, 0x02),
    "a foreign name": byte(34, 0x41),
    "an extended attribute": byte(1, 255),
    "two of one name": doubled,
    "no Joliet": no_descriptors,
    "half an image": cut,
    "nothing": emptied,
}


@pytest.mark.parametrize("name", IMAGES)
def test_hostile_images_bring_nothing_wrong_in(
    lane: Lane, sealed: SealedCrate, image: Path, tmp_path: Path, name: str
) -> None:
    data = bytearray(image.read_bytes())
    IMAGES[name](data)
    hostile = tmp_path / "hostile.iso"
    hostile.write_bytes(data)
    inbox = mount(tmp_path, "inbox")
    right = tree(sealed.path)
    refusal = None
    try:
        take(lane, inbox, hostile)
    except LockgateError as error:
        refusal = error.code
    if refusal is not None:
        assert refusal in REFUSALS
    else:  # what it says of a volume may be wrong; then that volume is damaged, and known to be
        found = {d.file for d in Mender().check(inbox / sealed.path.name).damages}
        held = tree(inbox / sealed.path.name)
        assert found == {n for n, digest in right.items() if held.get(n) != digest}
        assert found


def test_flips_all_over_an_image_are_damage_or_refused(
    lane: Lane, sealed: SealedCrate, image: Path, tmp_path: Path
) -> None:
    """Every byte of descriptors and folders once, with a few values."""
    original = image.read_bytes()
    root = joliet(original)[1]
    hostile = tmp_path / "hostile.iso"
    hostile.write_bytes(original)
    refusals = 0
    for start in (joliet(original)[0], root, crate_folder(original)):
        for offset in range(start, start + 400, 3):
            with hostile.open("r+b") as file:
                for value in (0, 0xFF):
                    file.seek(offset)
                    file.write(bytes([value]))
                    file.flush()
                    try:
                        with IsoImage(hostile) as opened_image:
                            for crate in opened_image.crates():
                                opened_image.crate(crate).names()
                    except (ImageFormError, MediumListingError, CrateGrammarError, NotACrateError):
                        refusals += 1
                file.seek(offset)
                file.write(original[offset : offset + 1])
    assert refusals > 50


def test_a_folder_with_too_many_entries_is_refused(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "ENTRIES_LIMIT", 4)
    with IsoImage(image) as opened_image, pytest.raises(MediumListingError):
        opened_image.crate(opened_image.crates()[0])
    monkeypatch.undo()
    monkeypatch.setattr(tree_module, "FOLDER_LIMIT", 1000)
    with pytest.raises(MediumListingError):
        IsoImage(image)
