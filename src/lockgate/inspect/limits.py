"""Every bound of inspection, with its default. An error or finding names the bound that was hit."""

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from lockgate.core.wire import Document
from lockgate.inspect.errors import OverLimitError

MIB = 1 << 20
Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 50)]


class Limits(Document, frozen=True):
    """Bounds that untrusted content cannot exceed.

    Sizes are bytes, times are seconds. The wall-clock limit of a file is `wall_seconds` plus its
    size over `bytes_per_second`.
    """

    file_bytes: Positive = 256 << 30
    member_bytes: Positive = 1 << 30
    unpacked_bytes: Positive = 8 << 30
    members: Positive = 50_000
    depth: Positive = 5
    ratio: Positive = 400
    ratio_floor: Positive = 16 * MIB
    name_bytes: Positive = 1024
    findings: Positive = 400
    text_bytes: Positive = 64 * MIB
    source_bytes: Positive = 8 * MIB
    json_depth: Positive = 128
    header_bytes: Positive = 100 * MIB
    tensors: Positive = 200_000
    entries: Positive = 1_000_000
    elements: Positive = 8_000_000
    pages: Positive = 5_000
    objects: Positive = 500_000
    stream_bytes: Positive = 64 * MIB
    rule_packs: Positive = 64
    rule_bytes: Positive = 4 * MIB
    rule_member_bytes: Positive = 256 * MIB
    rule_matches: Positive = 100
    rule_seconds: Positive = 60
    secrets: Positive = 40
    wall_seconds: Positive = 240
    bytes_per_second: Positive = 2 * MIB
    cpu_seconds: Positive = 600
    memory_bytes: Positive = 3 << 30
    output_bytes: Positive = 4 * MIB


def demand(value: int, bound: int, name: str) -> int:
    """Return the value when it is within its bound.

    Raises:
        OverLimitError: It is not.

    """
    if value > bound:
        what = f"{value} is over the limit {name} of {bound}."
        raise OverLimitError(what, limit=name)
    return value


@dataclass(slots=True)
class Budget:
    """What one file and everything inside it may still use up."""

    limits: Limits
    members: int = field(default=0)
    unpacked: int = field(default=0)
    rule_seconds: float = field(default=0.0)
    secrets: int = field(default=0)

    def member(self, size: int) -> None:
        """Count one member of `size` unpacked bytes.

        Raises:
            OverLimitError: Too many, too long, or too much together.

        """
        limits = self.limits
        if size > limits.member_bytes:
            demand(size, limits.member_bytes, "member_bytes")
        self.members += 1
        self.unpacked += size
        if self.members > limits.members or self.unpacked > limits.unpacked_bytes:
            demand(self.members, limits.members, "members")
            demand(self.unpacked, limits.unpacked_bytes, "unpacked_bytes")
