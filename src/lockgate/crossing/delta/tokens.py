"""DEFLATE taken apart into its tokens (RFC 1951), for compressors that cannot be run again.

Many compressors (of Go, of browsers, of `pigz`) are not zlib: their output cannot be made again from the
content. But it can be made again from their *choices*: literals, matches, blocks and code lengths. The
tokens of two versions of a file differ where the files differ, although their bits share nothing.

Bytes of a block: first byte (bit 0: last block; bits 1-2: RFC 1951's type); for type 2 HLIT, HDIST, HCLEN,
the code length code's lengths, and the code length symbols, each repeat with its count; for type 0 the
length (u16, little-endian) and the bytes. Then the tokens: a literal as itself; a match as 0xFF, length - 3,
distance (u16, little-endian); the literal 0xFF as 0xFF 0 0 0; the end of the block as 0xFF 1 0 0.
"""

from typing import Final

from lockgate.crossing.delta.errors import PatchError

_FF: Final = 0xFF
_LITERAL_FF: Final = b"\xff\x00\x00\x00"
_END: Final = b"\xff\x01\x00\x00"
_STORED, _FIXED, _DYNAMIC = 0, 1, 2
_END_OF_BLOCK = 256
_LONGEST = 15
_MASK = (1 << _LONGEST) - 1
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}
_LENGTHS: Final[list[tuple[int, int]]] = [
    *((3 + n, 0) for n in range(8)),
    *(
        (base + (step << extra), extra)
        for extra, base in ((1, 11), (2, 19), (3, 35), (4, 67), (5, 131))
        for step in range(4)
    ),
    (258, 0),
]
_DISTANCES: Final[list[tuple[int, int]]] = [
    *((1 + n, 0) for n in range(4)),
    *(((2 + half << extra) + 1, extra) for extra in range(1, 14) for half in range(2)),
]
_FIXED_LITERALS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
_FIXED_DISTANCES = [5] * 30


class TokensError(PatchError):
    """A DEFLATE stream, or its tokens, cannot be taken apart or put together."""

    code = "LG-2761"
    advice = "The fault is the sealer's. Nothing of the crossing was admitted; ask for a full crossing."


def _codes(lengths: list[int]) -> dict[int, tuple[int, int]]:
    """Return the bits (reversed, as they lie in the stream) and their number of every symbol."""
    if sum(1 << (_LONGEST - n) for n in lengths if n) > 1 << _LONGEST:
        raise TokensError("A DEFLATE block has an over-subscribed code.")
    found, code = {}, 0
    for length in range(1, _LONGEST + 1):
        for symbol, own in enumerate(lengths):
            if own == length:
                found[symbol] = (int(f"{code:0{length}b}"[::-1], 2), length)
                code += 1
        code <<= 1
    return found


def _table(lengths: list[int]) -> list[int]:
    """Return, for every 15 bits, symbol times 16 plus the code's length; 0 where there is no code."""
    table = [0] * (1 << _LONGEST)
    for symbol, (bits, length) in _codes(lengths).items():
        table[bits :: 1 << length] = [symbol << 4 | length] * (1 << (_LONGEST - length))
    return table


class _Bits:
    """Reads bits, lowest first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.held = 0
        self.count = 0

    def need(self, count: int) -> None:
        """Hold at least that many bits (zeros after the end)."""
        if self.count < count:
            self.held |= int.from_bytes(self.data[self.at : self.at + 8], "little") << self.count
            self.at += 8
            self.count += 64

    def take(self, count: int) -> int:
        """Return the next bits."""
        self.need(count)
        value = self.held & ((1 << count) - 1)
        self.held >>= count
        self.count -= count
        return value

    def symbol(self, table: list[int]) -> int:
        """Return the next symbol of a code."""
        self.need(_LONGEST)
        entry = table[self.held & _MASK]
        if not entry:
            raise TokensError("A DEFLATE stream has a code that its block does not define.")
        self.held >>= entry & 15
        self.count -= entry & 15
        return entry >> 4

    @property
    def position(self) -> int:
        """Return how many bits were taken."""
        return 8 * self.at - self.count


def decode_tokens(data: bytes, most: int) -> bytes:
    """Return the tokens of a DEFLATE stream that ends exactly where the data do.

    Raises:
        TokensError: It cannot be taken apart so that it could be put together again, or would give more
            than `most` bytes.

    """
    bits, out = _Bits(data), bytearray()
    last = 0
    while not last:
        last, kind = bits.take(1), bits.take(2)
        out.append(last | kind << 1)
        if kind == _STORED:
            _decode_stored(bits, out)
        elif kind == _FIXED:
            _decode_block(bits, out, _FIXED_LITERALS, _FIXED_DISTANCES, most)
        elif kind == _DYNAMIC:
            _decode_block(bits, out, *_decode_lengths(bits, out), most)
        else:
            raise TokensError("A DEFLATE stream has a block of no known type.")
        if bits.position > 8 * len(data) or len(out) > most:
            raise TokensError("A DEFLATE stream ends in the middle of a block, or is over its bound.")
    if bits.take(-bits.position % 8) or bits.position != 8 * len(data):
        raise TokensError("A DEFLATE stream does not end where its bytes do.")
    return bytes(out)


def _decode_stored(bits: _Bits, out: bytearray) -> None:
    if bits.take(-bits.position % 8):
        raise TokensError("A DEFLATE stream has bits between its blocks.")
    length, check = bits.take(16), bits.take(16)
    if length ^ check != 0xFFFF:  # noqa: PLR2004  # one's complement
        raise TokensError("A stored DEFLATE block contradicts its length.")
    at = bits.position // 8
    out += length.to_bytes(2, "little") + bits.data[at : at + length]
    bits.at, bits.held, bits.count = at + length, 0, 0


def _decode_lengths(bits: _Bits, out: bytearray) -> tuple[list[int], list[int]]:
    literals, distances, codes = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    out += bytes((literals - 257, distances - 1, codes - 4))
    own = [bits.take(3) for _ in range(codes)]
    out += bytes(own)
    lengths = [0] * 19
    for symbol, length in zip(_ORDER, own, strict=False):
        lengths[symbol] = length
    table, found = _table(lengths), list[int]()
    while len(found) < literals + distances:
        symbol = bits.symbol(table)
        out.append(symbol)
        if symbol < 16:  # noqa: PLR2004  # RFC 1951, 3.2.7
            found.append(symbol)
            continue
        width, least = _REPEATS[symbol]
        count = bits.take(width)
        out.append(count)
        found += _repeated(symbol, count + least, found)
    if len(found) != literals + distances:
        raise TokensError("A DEFLATE block has more code lengths than it says.")
    return found[:literals], found[literals:]


def _repeated(symbol: int, count: int, before: list[int]) -> list[int]:
    if symbol != 16:  # noqa: PLR2004  # RFC 1951, 3.2.7
        return [0] * count
    if not before:
        raise TokensError("A DEFLATE block repeats a code length before the first one.")
    return [before[-1]] * count


def _decode_block(bits: _Bits, out: bytearray, literals: list[int], distances: list[int], most: int) -> None:
    """Append a block's tokens. One loop with local names: this is where the time goes."""
    table, far = _table(literals), _table(distances)
    data, at, held, count = bits.data, bits.at, bits.held, bits.count
    end = len(data) + 16
    while True:
        if count < 48:  # noqa: PLR2004  # the longest token: 15 + 5 + 15 + 13 bits
            held |= int.from_bytes(data[at : at + 8], "little") << count
            at += 8
            count += 64
            if at > end or len(out) > most:
                raise TokensError("A DEFLATE stream ends in the middle of a block, or is over its bound.")
        entry = table[held & _MASK]
        size = entry & 15
        held >>= size
        count -= size
        symbol = entry >> 4
        if symbol < _END_OF_BLOCK:
            if not size:
                raise TokensError("A DEFLATE stream has a code that its block does not define.")
            if symbol == _FF:
                out += _LITERAL_FF
            else:
                out.append(symbol)
            continue
        if symbol == _END_OF_BLOCK:
            break
        if symbol > 285:  # noqa: PLR2004  # RFC 1951, 3.2.5
            raise TokensError("A DEFLATE stream has a length that does not exist.")
        length, extra = _LENGTHS[symbol - 257]
        length += held & ((1 << extra) - 1)
        held >>= extra
        count -= extra
        entry = far[held & _MASK]
        size = entry & 15
        place = entry >> 4
        if not size or place > 29 or (length == 258 and symbol != 285):  # noqa: PLR2004  # RFC 1951, 3.2.5
            raise TokensError("A DEFLATE stream has a match that is written in no usual way.")
        held >>= size
        count -= size
        distance, extra = _DISTANCES[place]
        distance += held & ((1 << extra) - 1)
        held >>= extra
        count -= extra
        out += bytes((_FF, length - 3, distance & 0xFF, distance >> 8))
    out += _END
    bits.at, bits.held, bits.count = at, held, count


class _Writer:
    """Writes bits, lowest first."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.held = 0
        self.count = 0

    def put(self, value: int, count: int) -> None:
        """Append bits."""
        self.held |= value << self.count
        self.count += count
        if self.count > 256:  # noqa: PLR2004  # longer integers make each step slower
            self.spill()

    def spill(self) -> None:
        """Move whole bytes out."""
        whole = self.count // 8
        self.out += (self.held & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
        self.held >>= 8 * whole
        self.count -= 8 * whole

    def align(self) -> None:
        """Fill the last byte with zeros."""
        self.count += -self.count % 8
        self.spill()


def encode_tokens(tokens: bytes) -> bytes:
    """Return the DEFLATE stream that has these tokens.

    Raises:
        TokensError: They are no tokens of a whole stream.

    """
    writer, at, last = _Writer(), 0, 0
    try:
        while not last:
            first = tokens[at]
            at += 1
            last, kind = first & 1, first >> 1
            writer.put(first, 3)
            if kind == _STORED:
                at = _encode_stored(writer, tokens, at)
            elif kind == _FIXED:
                at = _encode_block(writer, tokens, at, _FIXED_LITERALS, _FIXED_DISTANCES)
            elif kind == _DYNAMIC:
                at, literals, distances = _encode_lengths(writer, tokens, at)
                at = _encode_block(writer, tokens, at, literals, distances)
            else:
                raise TokensError("Tokens begin a block of no known type.")
    except (IndexError, KeyError) as error:
        raise TokensError("Tokens end in the middle, or use what their block does not define.") from error
    if at != len(tokens):
        raise TokensError("Tokens go on after their last block.")
    writer.align()
    return bytes(writer.out)


def _encode_stored(writer: _Writer, tokens: bytes, at: int) -> int:
    length = tokens[at] | tokens[at + 1] << 8
    content = tokens[at + 2 : at + 2 + length]
    if len(content) < length:
        raise TokensError("A stored block of tokens ends before it says.")
    writer.align()
    writer.out += length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + content
    return at + 2 + length


def _encode_lengths(writer: _Writer, tokens: bytes, at: int) -> tuple[int, list[int], list[int]]:
    literals, distances, codes = tokens[at] + 257, tokens[at + 1] + 1, tokens[at + 2] + 4
    writer.put(tokens[at] & 31 | (tokens[at + 1] & 31) << 5 | (tokens[at + 2] & 15) << 10, 14)
    own = tokens[at + 3 : at + 3 + codes]
    lengths = [0] * 19
    for symbol, length in zip(_ORDER, own, strict=False):
        lengths[symbol] = length & 7
        writer.put(length & 7, 3)
    table, found = _codes(lengths), list[int]()
    at += 3 + codes
    while len(found) < literals + distances:
        symbol = tokens[at]
        writer.put(*table[symbol])
        at += 1
        if symbol < 16:  # noqa: PLR2004  # RFC 1951, 3.2.7
            found.append(symbol)
            continue
        width, least = _REPEATS[symbol]
        writer.put(tokens[at] & ((1 << width) - 1), width)
        found += _repeated(symbol, tokens[at] + least, found)
        at += 1
    return at, found[:literals], found[literals:]


def _length_symbols() -> list[tuple[int, int, int]]:
    """Return symbol, extra bits' value and number for every length from 3 on."""
    found: list[tuple[int, int, int]] = [(0, 0, 0)] * 256
    for symbol, (base, extra) in enumerate(_LENGTHS, 257):
        for value in range(1 << extra):
            if base + value - 3 < len(found):
                found[base + value - 3] = (symbol, value, extra)
    return found


_BY_LENGTH: Final = _length_symbols()


def _distance_symbol(distance: int) -> tuple[int, int, int]:
    if distance < 5:  # noqa: PLR2004  # the first four stand for themselves
        return distance - 1, 0, 0
    extra = (distance - 1).bit_length() - 2
    symbol = 2 * extra + 2 + ((distance - 1) >> extra & 1)
    return symbol, (distance - 1) & ((1 << extra) - 1), extra


def _encode_block(writer: _Writer, tokens: bytes, at: int, literals: list[int], distances: list[int]) -> int:
    """Write a block's tokens; return where they end."""
    near, far = _codes(literals), _codes(distances)
    held, count, out = writer.held, writer.count, writer.out
    while True:
        byte = tokens[at]
        if byte != _FF:
            code, size = near[byte]
            at += 1
        else:
            length, distance = tokens[at + 1], tokens[at + 2] | tokens[at + 3] << 8
            at += 4
            if distance:
                symbol, value, extra = _BY_LENGTH[length]
                code, size = near[symbol]
                code |= value << size
                size += extra
                place, value, extra = _distance_symbol(distance)
                more, width = far[place]
                code |= (more | value << width) << size
                size += width + extra
            else:
                code, size = near[_END_OF_BLOCK if length else _FF]
        held |= code << count
        count += size
        if count > 256:  # noqa: PLR2004  # longer integers make each step slower
            whole = count // 8
            out += (held & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
            held >>= 8 * whole
            count -= 8 * whole
        if byte == _FF and not distance and length:
            break
    writer.held, writer.count = held, count
    return at
