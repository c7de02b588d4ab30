"""Digests as text, as words, and of streams."""

import hashlib
import io

import pytest

from lockgate.core import digests
from lockgate.core.digests import BadDigestError, checked, sha256, sha256_stream, words

ZEROS = "0" * 64


def test_the_words_are_those_of_the_proquint_paper() -> None:
    addresses = "7f0000013f54dcc13f7607238c62c18d"
    assert words(addresses + "0" * 32) == "lusab-babad-gutih-tugad-gutuk-bisog-mudof-sakat"
    assert words(ZEROS) == "-".join(["babab"] * 8)
    assert words("f" * 64) == "-".join(["zuzuz"] * 8)


def test_words_differ_where_the_first_half_of_a_digest_differs() -> None:
    seen = {words(f"{1 << bit:032x}{'0' * 32}") for bit in range(128)}
    assert len(seen) == 128


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 63 + "\n", ZEROS + "\n", "\u0966" * 64]
)
def test_only_64_lower_case_hexadecimal_digits_are_a_digest(text: str) -> None:
    for use in (checked, words):
        with pytest.raises(BadDigestError):
            use(text)


def test_a_digest_is_returned_as_it_is() -> None:
    assert checked(ZEROS) == ZEROS


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 24])
def test_a_stream_is_hashed_from_where_it_stands(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(digests, "CHUNK", 8)
    monkeypatch.setattr(digests, "_FIRST", 4)
    data = bytes(range(size))
    stream = io.BytesIO(b"read already" + data)
    stream.seek(12)
    assert sha256_stream(stream) == (hashlib.sha256(data).hexdigest(), size)
    assert sha256(data) == hashlib.sha256(data).hexdigest()
