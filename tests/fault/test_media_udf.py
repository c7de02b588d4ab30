"""Crates in UDF images: written by pycdlib, read without mounting, by others too, and hostile everywhere."""

import binascii
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.errors import LockgateError
from lockgate.crossing import SealedCrate
from lockgate.crossing.errors import CrateGrammarError, NotACrateError
from lockgate.crossing.media import (
    ImageForm,
    MediaReader,
    MediaWriter,
    UdfImage,
    medium_named,
    opened_medium,
    write_image,
)
from lockgate.crossing.media import tree as tree_module
from lockgate.crossing.media import udf as udf_module
from lockgate.crossing.media.errors import (
    ImageFormError,
    MediumListingError,
    ProgramFailedError,
    ReadBackError,
)
from lockgate.crossing.media.image import run
from lockgate.crossing.media.tree import Node
from lockgate.crossing.mend import Mender, Trust
from lockgate.trust.roots import read_supply_root

FILES = {"files/big": filler("media", 5 * MIB + 9000), "files/none": b""}
SECTOR = 2048
FOUR_GIB = 1 << 32


@pytest.fixture(scope="module")
def lane() -> Lane:
    return Lane()


@pytest.fixture(scope="module")
def sealed(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> SealedCrate:
    outbox = tmp_path_factory.mktemp("outbox")
    return lane.seal(outbox, FILES, parity=Fraction(1, 3), volume_bytes=MIB + 20_000)


@pytest.fixture(scope="module")
def image(sealed: SealedCrate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = MediaWriter(sealed.path)
    (piece,) = writer.plan_images(tmp_path_factory.mktemp("image"), medium_named("dvd"))
    return write_image(writer, piece, ImageForm.UDF)


def mount(tmp_path: Path, name: str = "usb") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def take(lane: Lane, inbox: Path, medium: Path) -> list[tuple[str, ...]]:
    reader = MediaReader(inbox, Mender(Trust(read_supply_root(lane.supply), NOW)))
    with opened_medium(medium) as content:
        return [reader.take(source).missing for source in content.crates]


def test_an_image_is_read_without_mounting(
    lane: Lane, sealed: SealedCrate, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As UDF: without the other tree.
    monkeypatch.setattr("lockgate.crossing.media.sources.IsoImage", None)
    inbox = mount(tmp_path, "inbox")
    assert take(lane, inbox, image) == [()]
    assert tree(inbox / sealed.path.name) == tree(sealed.path)


def test_another_reader_finds_the_same(sealed: SealedCrate, image: Path, tmp_path: Path) -> None:
    run(["7zz", "x", "-tudf", f"-o{tmp_path / 'out'}", str(image)])
    assert tree(tmp_path / "out" / sealed.path.name) == tree(sealed.path)
    run(["7zz", "x", "-tiso", f"-o{tmp_path / 'plain'}", str(image)])
    assert tree(tmp_path / "plain" / sealed.path.name) == tree(sealed.path)


def test_a_crate_is_spread_over_images(lane: Lane, sealed: SealedCrate, tmp_path: Path) -> None:
    writer, inbox = MediaWriter(sealed.path), mount(tmp_path, "inbox")
    planned = writer.plan_images(mount(tmp_path, "discs"), medium_named(str(5 * MIB)))
    for piece in reversed(planned):
        path = write_image(writer, piece, ImageForm.UDF)
        assert path.stat().st_size <= 5 * MIB
        take(lane, inbox, path)
    assert len(planned) > 2
    assert tree(inbox / sealed.path.name) == tree(sealed.path)


def test_wrong_bytes_and_a_missing_volume_leave_no_image(sealed: SealedCrate, tmp_path: Path) -> None:
    crate = Path(shutil.copytree(sealed.path, tmp_path / "outbox" / sealed.path.name))
    discs, writer = mount(tmp_path, "discs"), MediaWriter(crate)
    (piece,) = writer.plan_images(discs, medium_named("dvd"))
    with (crate / "vol-0003.lgv").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ReadBackError):
        write_image(writer, piece, ImageForm.UDF)
    (crate / "vol-0003.lgv").unlink()
    with pytest.raises((ProgramFailedError, LockgateError)):
        write_image(writer, piece, ImageForm.UDF)
    assert not list(discs.iterdir())


def test_a_file_over_four_gibibytes_is_read_over_all_its_pieces(image: Path, tmp_path: Path) -> None:
    """Made by hand in a sparse file: five pieces behind the image's own end."""
    disc, end = Disc(image.read_bytes()), b"the end of a large volume"
    disc.data += bytes(-len(disc.data) % SECTOR)
    first, piece = len(disc.data) // SECTOR - disc.start, (1 << 30) - SECTOR
    rest, blocks = 5 * MIB, (1 << 19) - 1
    _, entry = disc.member(2)
    for number in range(5):
        length = piece if number < 4 else rest
        struct.pack_into("<II", disc.data, entry + 176 + 8 * number, length, first + number * blocks)
    struct.pack_into("<I", disc.data, entry + 172, 40)
    struct.pack_into("<H", disc.data, entry + 10, 184 + 40 - 16)
    disc.put(entry + 56, "<Q", size := 4 * piece + rest - 7, entry)
    disc.put((at := disc.descriptor(5)) + 192, "<I", first + 5 * blocks, at)
    large = tmp_path / "large.iso"
    with large.open("wb") as file:
        file.write(disc.data)
        file.seek((disc.start + first + 4 * blocks) * SECTOR + rest - 7 - len(end))
        file.write(end)
        file.truncate((disc.start + first + 5 * blocks) * SECTOR)
    with UdfImage(large) as opened:
        nodes = opened.listing(opened.root[opened.crates()[0]])
        (node,) = [node for node in nodes.values() if node.size > MIB * 100]
        assert (node.size, len(node.extents)) == (size, 5)
        assert opened.file(node).read(size - len(end), 100) == end
        assert opened.file(node).read(FOUR_GIB - 10, 20) == bytes(20)
    assert large.stat().st_blocks * 512 < 64 * MIB


@pytest.mark.slow
def test_a_file_over_four_gibibytes_is_whole(tmp_path: Path) -> None:
    """Both files are sparse: the image is written with holes where there are zeros."""
    from pycdlib import PyCdlib

    big, image = tmp_path / "vol-0001.lgv", tmp_path / "big.iso"
    size, end = FOUR_GIB + 5 * MIB + 7, b"the end of a large volume"
    with big.open("wb") as file:
        file.truncate(size)
        file.seek(size - len(end))
        file.write(end)
    disc, crate = PyCdlib(), "crate-000001-abcdef"
    disc.new(interchange_level=3, udf="2.60")
    disc.add_directory("/C", udf_path=f"/{crate}")
    disc.add_file(str(big), "/C/F.;1", udf_path=f"/{crate}/{big.name}")
    with image.open("wb") as out:
        disc.write_fp(Holes(out))
        out.truncate()
    disc.close()
    with UdfImage(image) as opened:
        node = opened.listing(opened.root[crate])[big.name]
        assert (node.size, len(node.extents)) == (size, 5)
        with opened.file(node) as found:
            assert found.read(size - len(end), 100) == end
            assert found.read(FOUR_GIB - 10, 20) == bytes(20)
    assert image.stat().st_blocks * 512 < 64 * MIB


class Holes:
    """A file that leaves holes where zeros would be written."""

    def __init__(self, file: object) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        if data.count(0) == len(data):
            self._file.seek(len(data), os.SEEK_CUR)  # type: ignore[attr-defined]
        else:
            self._file.write(data)  # type: ignore[attr-defined]
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize(
    ("block", "revision"), [(512, "2.01"), (2048, "1.02"), (2048, "2.01"), (4096, "2.01")]
)
def test_file_systems_that_others_made_are_read(tmp_path: Path, block: int, revision: str) -> None:
    """What udftools makes: other lengths of a block, and entries that hold their own content."""
    image = tmp_path / "stick.img"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    media = ["--media-type=hd", f"--blocksize={block}", f"--udfrev={revision}"]
    run([shutil.which("mkudffs", path="/usr/sbin:/sbin:/usr/bin") or "mkudffs", *media, str(image)])
    with UdfImage(image) as opened:
        assert opened.crates() == []
        assert [name for name in opened.root if name != "lost+found"] == []


def test_a_virtual_partition_is_refused_by_name(tmp_path: Path) -> None:
    image = tmp_path / "packets.img"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    program = shutil.which("mkudffs", path="/usr/sbin:/sbin:/usr/bin") or "mkudffs"
    subprocess.run([program, "--media-type=cdr", "--vat", str(image)], check=True, capture_output=True)
    with pytest.raises(ImageFormError) as caught:
        UdfImage(image)
    assert "anchor" in caught.value.what or "maps its blocks" in caught.value.what


# --- hostile -----------------------------------------------------------------------------------


class Disc:
    """An image's bytes, with its structures as pycdlib lays them out, and tags that are made right again."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.start = struct.unpack_from("<I", data, self.descriptor(5) + 188)[0]
        self.root = self.entry(struct.unpack_from("<I", data, self.block(0) + 404)[0])
        self.crate = self.entry(self.identifiers(self.root)[1][1])

    def block(self, number: int) -> int:
        return (self.start + number) * SECTOR

    def descriptor(self, kind: int) -> int:
        return next(n * SECTOR for n in range(32, 48) if self.data[n * SECTOR] == kind)

    def entry(self, number: int) -> int:
        return self.block(number)

    def folder(self, entry: int) -> int:
        return self.block(struct.unpack_from("<I", self.data, entry + 180)[0])

    def identifiers(self, entry: int) -> list[tuple[int, int]]:
        """Return the place of each entry of a folder, and the block that it names."""
        at, found = self.folder(entry), []
        end = at + struct.unpack_from("<Q", self.data, entry + 56)[0]
        while at < end:
            found.append((at, struct.unpack_from("<I", self.data, at + 24)[0]))
            used = struct.unpack_from("<H", self.data, at + 36)[0]
            at += (38 + used + self.data[at + 19] + 3) // 4 * 4
        return found

    def put(self, at: int, form: str, value: int, tag: int) -> None:
        """Change a value, and make the tag of the descriptor right again."""
        struct.pack_into(form, self.data, at, value)
        self.sign(tag)

    def sign(self, tag: int) -> None:
        length = struct.unpack_from("<H", self.data, tag + 10)[0]
        crc = binascii.crc_hqx(bytes(self.data[tag + 16 : tag + 16 + length]), 0)
        struct.pack_into("<H", self.data, tag + 8, crc)
        self.data[tag + 4] = (sum(self.data[tag : tag + 16]) - self.data[tag + 4]) & 0xFF

    def member(self, number: int) -> tuple[int, int]:
        """Return the identifier of a file of the crate, and its entry."""
        identifier, block = self.identifiers(self.crate)[number]
        return identifier, self.entry(block)


Change = Callable[[Disc], None]


def _crate_in_itself(disc: Disc) -> None:
    identifier, _ = disc.identifiers(disc.root)[1]
    disc.put(identifier + 24, "<I", struct.unpack_from("<I", disc.data, disc.block(0) + 404)[0], identifier)


def _roots_in_a_circle(disc: Disc) -> None:
    crate = disc.identifiers(disc.root)[1][1]
    for identifier, _ in disc.identifiers(disc.crate)[1:]:
        if disc.data[identifier + 18] & 2:
            disc.put(identifier + 24, "<I", crate, identifier)


def _pieces_without_end(disc: Disc) -> None:
    """The list of a file's pieces goes on in a block that goes on in itself."""
    _, entry = disc.member(2)
    spare = struct.unpack_from("<I", disc.data, disc.descriptor(5) + 192)[0] - 1
    at = disc.block(spare)
    disc.data[at : at + SECTOR] = bytes(SECTOR)
    struct.pack_into("<HHBBHHHI", disc.data, at, 258, 2, 0, 0, 0, 0, 16, spare)
    struct.pack_into("<II", disc.data, at + 20, 8, 3 << 30 | SECTOR)
    struct.pack_into("<I", disc.data, at + 28, spare)
    disc.sign(at)
    struct.pack_into("<II", disc.data, entry + 176, 3 << 30 | SECTOR, spare)
    disc.sign(entry)


def _in_entry(offset: int, form: str, value: int, which: int = 2) -> Change:
    return lambda disc: disc.put((entry := disc.member(which)[1]) + offset, form, value, entry)


def _in_identifier(offset: int, form: str, value: int, which: int = 2) -> Change:
    return lambda disc: disc.put((at := disc.member(which)[0]) + offset, form, value, at)


def _in_descriptor(kind: int, offset: int, form: str, value: int) -> Change:
    return lambda disc: disc.put((at := disc.descriptor(kind)) + offset, form, value, at)


def _in_folder(offset: int, form: str, value: int) -> Change:
    return lambda disc: disc.put(disc.crate + offset, form, value, disc.crate)


def _two_of_one_name(disc: Disc) -> None:
    places = [at for at, _ in disc.identifiers(disc.crate) if b"vol-" in disc.data[at + 38 : at + 60]]
    first, second = places[:2]
    length = disc.data[first + 19]
    disc.data[second + 38 : second + 38 + length] = disc.data[first + 38 : first + 38 + length]
    disc.sign(second)


def _raw(at: Callable[[Disc], int], value: int) -> Change:
    def change(disc: Disc) -> None:
        disc.data[at(disc)] = value

    return change


IMAGES: dict[str, Change] = {
    "a crate in itself": _crate_in_itself,
    "roots in a circle": _roots_in_a_circle,
    "pieces that go on for ever": _pieces_without_end,
    "a file behind the partition": _in_entry(180, "<I", 0x7FFFFFF0),
    "a piece longer than the partition": _in_entry(176, "<I", 0x3FFFFFFF),
    "a file longer than its pieces": _in_entry(56, "<Q", 1 << 60),
    "a file shorter than its pieces": _in_entry(56, "<Q", 100),
    "a piece that is not recorded": _in_entry(176, "<I", 1 << 30 | SECTOR),
    "attributes longer than the entry": _in_entry(168, "<I", 0xFFFFFFF0),
    "a list longer than the entry": _in_entry(172, "<I", 0xFFFFFFF0),
    "pieces of an unknown form": _in_entry(34, "<H", 2),
    "content in the entry instead": _in_entry(34, "<H", 3),
    "neither file nor folder": _in_entry(27, "<B", 12),
    "a folder that says it is a file": _in_identifier(18, "<B", 2),
    "an entry that is none": _in_identifier(24, "<I", 0),
    "an entry behind the partition": _in_identifier(24, "<I", 0xFFFFFFF0),
    "another partition": _in_identifier(28, "<H", 1),
    "a deleted file": _in_identifier(18, "<B", 4),
    "a name of another form": _in_identifier(38, "<B", 254),
    "a foreign name": _in_identifier(39, "<B", 0x41),
    "a name longer than its folder": _raw(lambda d: d.member(-1)[0] + 19, 255),
    "use longer than its folder": _raw(lambda d: d.member(-1)[0] + 37, 255),
    "a wrong checksum": _raw(lambda d: d.member(2)[1] + 4, 77),
    "a wrong tag": _raw(lambda d: d.crate, 0),
    "two of one name": _two_of_one_name,
    "a folder longer than the image": _in_folder(56, "<Q", 1 << 50),
    "a folder of nothing": _in_folder(56, "<Q", 0),
    "a partition longer than the image": _in_descriptor(5, 192, "<I", 0x7FFFFFFF),
    "a partition that begins behind the image": _in_descriptor(5, 188, "<I", 0x7FFFFFFF),
    "a partition of another number": _in_descriptor(5, 22, "<H", 5),
    "blocks of another length": _in_descriptor(6, 212, "<I", 512),
    "a partition that maps its blocks": _in_descriptor(6, 440, "<B", 2),
    "a file set behind the partition": _in_descriptor(6, 252, "<I", 0x7FFFFFFF),
    "no anchor": _raw(lambda _: 256 * SECTOR, 9),
    "half an image": lambda disc: disc.data.__delitem__(slice(len(disc.data) // 2, None)),
}

REFUSALS = {"LG-2730", "LG-4730", "LG-2701", "LG-1702", "LG-2708", "LG-2702", "LG-5702", "LG-1001"}
"""Forms of images, too much, foreign names, no crate, another index, other roots, unreadable, no document."""


@pytest.mark.parametrize("name", IMAGES)
def test_hostile_images_bring_nothing_wrong_in(
    lane: Lane, sealed: SealedCrate, image: Path, tmp_path: Path, name: str
) -> None:
    disc = Disc(image.read_bytes())
    IMAGES[name](disc)
    hostile = tmp_path / "hostile.iso"
    hostile.write_bytes(disc.data)
    inbox = mount(tmp_path, "inbox")
    right = tree(sealed.path)
    refusal = None
    try:
        missing = take(lane, inbox, hostile)
    except LockgateError as error:
        refusal = error.code
    if refusal is not None:
        assert refusal in REFUSALS
    else:  # what it says of a volume may be wrong; then that volume is damaged or missing, and known to be
        found = {d.file for d in Mender().check(inbox / sealed.path.name).damages}
        held = tree(inbox / sealed.path.name)
        assert found == {n for n, digest in right.items() if held.get(n) != digest}
        assert found
        assert missing


def test_flips_all_over_an_image_are_damage_or_refused(
    sealed: SealedCrate, image: Path, tmp_path: Path
) -> None:
    """Every third byte of descriptors, entries and folders, with a few values."""
    disc, hostile = Disc(image.read_bytes()), tmp_path / "hostile.iso"
    hostile.write_bytes(disc.data)
    refusals, tried = 0, 0
    places = [256 * SECTOR, disc.descriptor(5), disc.descriptor(6), disc.block(0), disc.root, disc.crate]
    for start in (*places, disc.folder(disc.crate)):
        for offset in range(start, start + 300, 3):
            before = disc.data[offset]
            with hostile.open("r+b", buffering=0) as file:
                for value in (0, 0xFF):
                    file.seek(offset)
                    file.write(bytes([value]))
                    tried += value != before
                    try:
                        with UdfImage(hostile) as opened:
                            for crate in opened.crates():
                                opened.crate(crate).names()
                    except (ImageFormError, MediumListingError, CrateGrammarError, NotACrateError):
                        refusals += 1
                file.seek(offset)
                file.write(bytes([before]))
    assert 0 < tried - refusals < tried // 2


def test_bounds_are_kept(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tree_module, "ENTRIES_LIMIT", 4)
        with UdfImage(image) as opened, pytest.raises(MediumListingError):
            opened.crate(opened.crates()[0])
    with monkeypatch.context() as patch:
        patch.setattr(tree_module, "FOLDER_LIMIT", 50)
        with pytest.raises(MediumListingError):
            UdfImage(image)
    with monkeypatch.context() as patch:
        patch.setattr(tree_module, "EXTENTS_LIMIT", 0)
        with pytest.raises(MediumListingError):
            UdfImage(image)
    disc = Disc(image.read_bytes())
    _pieces_without_end(disc)
    with monkeypatch.context() as patch:
        patch.setattr(udf_module, "CONTINUED_LIMIT", 3)
        hostile = image.with_name("circle.iso")
        hostile.write_bytes(disc.data)
        with UdfImage(hostile) as opened, pytest.raises(MediumListingError):
            opened.crate(opened.crates()[0])


def test_two_files_of_one_name_are_refused(image: Path, tmp_path: Path) -> None:
    disc = Disc(image.read_bytes())
    _two_of_one_name(disc)
    doubled = tmp_path / "doubled.iso"
    doubled.write_bytes(disc.data)
    with UdfImage(doubled) as opened, pytest.raises(ImageFormError, match="twice"):
        opened.crate(opened.crates()[0])


def test_content_in_an_entry_is_read(image: Path, tmp_path: Path) -> None:
    """Linux and Windows keep small files in their entries."""
    disc = Disc(image.read_bytes())
    _, entry = disc.member(2)
    disc.data[entry + 176 : entry + 182] = b"within"
    struct.pack_into("<H", disc.data, entry + 34, 3)
    struct.pack_into("<Q", disc.data, entry + 56, 6)
    struct.pack_into("<I", disc.data, entry + 172, 6)
    disc.sign(entry)
    changed = tmp_path / "within.iso"
    changed.write_bytes(disc.data)
    with UdfImage(changed) as opened:
        nodes = opened.listing(opened.root[opened.crates()[0]])
        (node,) = [node for node in nodes.values() if node.size == 6]
        assert isinstance(node, Node)
        assert opened.file(node).read(0, 100) == b"within"
