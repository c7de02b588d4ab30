"""Documents as QR pictures: drawn, read by a reader of such pictures, put together again."""

import base64
import hashlib
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.ceremony import Ceremony
from lockgate.app.lane.qr_parts import (
    DOCUMENT_BYTES,
    QrPartsError,
    QrPartsLimitError,
    from_lines,
    read_document,
    read_documents,
    to_lines,
    write_pictures,
)
from lockgate.core.errors import TooLargeError


def noise(size: int, seed: bytes = b"x") -> bytes:
    return hashlib.shake_256(seed).digest(size)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=8000), st.randoms(use_true_random=False))
def test_lines_make_the_document_in_any_order(document: bytes, shuffler) -> None:
    lines = to_lines(document)
    shuffler.shuffle(lines)
    assert from_lines([*lines, lines[0]]) == document


def test_pictures_are_read_back_by_a_reader_of_pictures(tmp_path: Path) -> None:
    document = noise(3000)
    pictures = write_pictures(document, tmp_path / "root.json")
    assert [p.name for p in pictures] == [f"root.json.{n}.png" for n in (1, 2, 3)]
    assert read_document(pictures[::-1]) == document
    (tmp_path / "scanned.txt").write_text("\n".join(to_lines(document)))
    assert read_document([tmp_path / "scanned.txt"]) == document


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda lines: lines[:-1], "are missing: 3"),
        (lambda lines: [], "no pictures"),
        (lambda lines: [*lines, to_lines(b"other")[0]], "several documents"),
        (lambda lines: [*lines, "LGQ1:nonsense"], "something else"),
        (lambda lines: [lines[1].replace(":2/3:", ":1/3:"), *lines[1:]], "do not make a document"),
        (lambda lines: [*lines[:2], lines[2][:-8] + "AAAAAAAA"], "do not make a document|do not end"),
    ],
)
def test_what_makes_no_whole_document_is_refused(spoil, why: str) -> None:
    with pytest.raises(QrPartsError, match=why):
        from_lines(spoil(to_lines(noise(3000))))


def test_a_document_under_another_name_is_refused() -> None:
    (line,) = to_lines(b"the document")
    with pytest.raises(QrPartsError, match="that they name"):
        from_lines([line.replace(line[5:21], "0" * 16)])


def test_a_bomb_is_bounded() -> None:
    bomb = zlib.compress(bytes(DOCUMENT_BYTES + 1), 9)
    line = f"LGQ1:{'0' * 16}:1/1:{base64.urlsafe_b64encode(bomb).decode()}"
    with pytest.raises(QrPartsError, match=str(DOCUMENT_BYTES)):
        from_lines([line])
    with pytest.raises(QrPartsLimitError, match="at most 64"):
        to_lines(noise(100_000))


def test_pictures_without_a_code_and_files_that_are_none(tmp_path: Path) -> None:
    broken = tmp_path / "a.png"
    broken.write_bytes(b"\x89PNG and nothing")
    with pytest.raises(QrPartsError, match="no readable picture"):
        read_document([broken])
    from PIL import Image

    Image.new("L", (64, 64), 255).save(tmp_path / "white.png")
    with pytest.raises(QrPartsError, match="shows no QR code"):
        read_document([tmp_path / "white.png"])
    plain = tmp_path / "plain.json"
    plain.write_bytes(b"{}")
    assert read_document([plain]) == b"{}"
    with pytest.raises(QrPartsError, match="neither a picture"):
        read_document([plain, plain])
    with pytest.raises(QrPartsError, match="No document"):
        read_document([])
    plain.write_bytes(bytes(16 * 1024 * 1024 + 1))
    with pytest.raises(TooLargeError):
        read_document([plain])


def test_a_root_goes_round_as_pictures_alone(tmp_path: Path) -> None:
    lane = Ceremony(tmp_path)
    lane.supply()
    run = lane.commands.json
    cards = [w for c in sorted((tmp_path / "table").glob("*.card")) for w in ("--card", c)]
    own = ("--kind", "supply", "--lane", "plant-2", "--threshold", "supply-root=2", "--qr")
    pictures = run("root", "init", *own, *cards, "--out", tmp_path / "screen/a.json")["pictures"]
    for person in ("ann", "cay"):
        own = ("--key", lane.key(person), "--yes", "--qr", "--out", tmp_path / person / "signed.json")
        said = run("root", "sign", *pictures, *own)
        pictures = said["pictures"]
    assert (said["whole"], said["signed"], said["person"]) == (True, ["ann", "cay"], "cay")
    assert len(pictures) > 1


def test_signatures_made_apart_are_combined(tmp_path: Path) -> None:
    lane = Ceremony(tmp_path)
    run = lane.commands.json
    for document, people in ((lane.supply(), ("ann", "bob", "cay")), (lane.site(), ("dora", "eli", "fay"))):
        apart = []
        for person in people:
            ran = lane.try_sign(document, person)
            assert ran.status == 0, ran.err
            apart.append(lane.home(person) / f"signed-{document.name}")
        whole = tmp_path / f"whole-{document.name}"
        with_rest = [word for file in apart[1:] for word in ("--with", file)]
        said = run("root", "combine", apart[0], *with_rest, "--out", whole)
        assert (said["whole"], said["signed"]) == (True, list(people))
        assert run("root", "combine", *apart, "--out", whole)["signed"] == list(people)
    other = lane.commands.refused(
        "root",
        "combine",
        whole,
        "--with",
        apart[0].parent.parent / "ann/signed-supply.json",
        "--out",
        tmp_path / "none.json",
    )
    assert other[1]["code"] == "LG-1005"
    assert not (tmp_path / "none.json").exists()


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file (PNG specification, section 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*between: bytes, side: int = 100, lines: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(lines or bytes(101 * 100)))
    return b"\x89PNG\r\n\x1a\n" + b"".join((head, *between, body, chunk(b"IEND", b"")))


DOCUMENT = b"a statement" * 20

BROKEN = {
    "a text that unpacks to 4 MiB": png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(4 << 20)))),
    "no gamma": png(chunk(b"gAMA", b"")),
    "no size": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"1"),
    "a cut animation": png(chunk(b"acTL", b"\0")),
    "lines that do not unpack": png(lines=b"x"),
    "nothing behind the mark": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_named_and_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.png"
    file.write_bytes(BROKEN[name])
    with pytest.raises(QrPartsError) as caught:
        read_document([file])
    assert caught.value.where["file"] == file
    with pytest.raises(QrPartsError):
        read_documents([file])


def test_every_changed_byte_of_a_picture_is_refused_or_harmless(tmp_path: Path) -> None:
    (picture,) = write_pictures(DOCUMENT, tmp_path / "a.json")
    good, file, refused = picture.read_bytes(), tmp_path / "changed.png", 0
    for place in range(8, len(good), 3):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x5A]) + good[place + 1 :])
        try:
            assert read_document([file]) == DOCUMENT
        except QrPartsError:
            refused += 1
    assert refused


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8001, 13_000, (1 << 31) - 1])
def test_a_picture_of_more_pixels_than_a_camera_has_is_not_unpacked(side: int, tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(png(side=side))
    with pytest.raises((QrPartsLimitError, QrPartsError)) as caught:
        read_document([file])
    assert caught.value.where["file"] == file
    if side == 8001:
        assert caught.value.where["limit"] == "pixels_limit"
