"""One ciphertext that two keys of AES-GCM open, each to another plaintext (NIST SP 800-38D, section 6.4).

GCM does not commit to its key: its tag is linear in the blocks of the ciphertext, so one block can be
solved for such that both keys give the same tag. (Dodis and others, "Fast Message Franking", 2018.)
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
_ONE = 1 << 127
_R = 0xE1 << 120


def _times(x: int, y: int) -> int:
    """Multiply in GF(2^128), in GCM's order of bits."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (_R if y & 1 else 0)
    return product


def _power(x: int, exponent: int) -> int:
    result = _ONE
    while exponent:
        if exponent & 1:
            result = _times(result, x)
        x, exponent = _times(x, x), exponent >> 1
    return result


def _encrypted(key: bytes, block: bytes) -> int:
    return int.from_bytes(Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block), "big")  # noqa: S305


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def _hash(key: int, blocks: list[int]) -> int:
    state = 0
    for block in blocks:
        state = _times(state ^ block, key)
    return state


def for_two_keys(keys: tuple[bytes, bytes], nonce: bytes, data: bytes, associated: bytes) -> bytes:
    """Return ciphertext and tag that both keys accept; the first block of `data` is what is solved for.

    Args:
        keys: Two AES-256 keys.
        nonce: The nonce (12 bytes) that both use.
        data: A ciphertext of at least one block.
        associated: The associated data that both use.

    """
    lengths = (len(associated) * 8).to_bytes(8, "big") + (len(data) * 8).to_bytes(8, "big")
    head = _padded(associated)
    text = head + bytes(BLOCK) + _padded(data)[BLOCK:] + lengths
    blocks = [int.from_bytes(text[at : at + BLOCK], "big") for at in range(0, len(text), BLOCK)]
    place = len(head) // BLOCK
    exponent = len(blocks) - place
    hashes = [_encrypted(key, bytes(BLOCK)) for key in keys]
    masks = [_encrypted(key, nonce + b"\x00\x00\x00\x01") for key in keys]
    tags = [_hash(h, blocks) ^ mask for h, mask in zip(hashes, masks, strict=True)]
    factor = _power(hashes[0], exponent) ^ _power(hashes[1], exponent)
    solved = _times(tags[0] ^ tags[1], _power(factor, 2**128 - 2))
    blocks[place] = solved
    tag = _hash(hashes[0], blocks) ^ masks[0]
    return solved.to_bytes(BLOCK, "big") + data[BLOCK:] + tag.to_bytes(BLOCK, "big")
