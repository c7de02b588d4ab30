"""Shares of traffic: one name that callers ask for, and the models that answer for it, old and new together.

Which model answers is decided by a hash, so that it is the same each time: for a tenant, or for a request.
The last arm is the newest: as its weight grows, whoever it answered before stays with it.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Annotated, Protocol

import msgspec

from lockgate.core.wire import Document
from lockgate.infer.errors import ShareError

ARMS = 8
"""Most models that answer for one name."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z"

ServedName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
"""A name that callers ask for. The character that stands before a knowledge base's name is not in it."""


class By(StrEnum):
    """What a share is decided by."""

    TENANT = "tenant"
    REQUEST = "request"


class Arm(Document, frozen=True):
    """One model and its weight among the others."""

    model: ServedName
    weight: Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class Share(Document, frozen=True):
    """How requests for one name are spread."""

    name: ServedName
    arms: tuple[Arm, ...]
    by: By = By.TENANT

    def __post_init__(self) -> None:
        """Refuse a share that spreads nothing.

        Raises:
            ShareError: It has no arm with a weight, too many arms, or one model twice.

        """
        models = {arm.model for arm in self.arms}
        if not 1 <= len(self.arms) <= ARMS or len(models) < len(self.arms):
            what = f"A share has 1 to {ARMS} models, each once."
            raise ShareError(what)
        if not sum(arm.weight for arm in self.arms):
            what = f"No model of the share of {self.name!r} has a weight."
            raise ShareError(what)

    @property
    def total(self) -> int:
        """Return the weights together."""
        return sum(arm.weight for arm in self.arms)

    def chosen(self, tenant: str, request: Callable[[], bytes], able: Collection[str]) -> Arm | None:
        """Return the arm that answers; only those that are able are counted, and none where none is.

        Args:
            tenant: Who asks.
            request: Gives what stands for the request, where the share is decided by that.
            able: The models that are there now and that the tenant may ask.

        """
        arms = [arm for arm in self.arms if arm.model in able and arm.weight]
        if not arms:
            return next((arm for arm in self.arms if arm.model in able), None)
        token = tenant.encode() if self.by is By.TENANT else request()
        digest = hashlib.sha256(self.name.encode() + b"\0" + token).digest()
        point = int.from_bytes(digest[:8], "big") * sum(arm.weight for arm in arms)
        reached = 0
        for arm in reversed(arms):
            reached += arm.weight << 64
            if point < reached:
                return arm
        return arms[0]

    def said(self, arm: Arm) -> str:
        """Return an arm in words, as receipts have it."""
        return f"{self.name}: {arm.weight} of {self.total} by {self.by.value}"


def parse_arms(text: str) -> tuple[Arm, ...]:
    """Return arms that are written as ``old=90 new=10``.

    Raises:
        ShareError: They are not of this form.

    """
    arms = []
    for word in text.split():
        model, _, weight = word.rpartition("=")
        try:
            arms.append(msgspec.convert({"model": model, "weight": int(weight)}, Arm))
        except (ValueError, msgspec.ValidationError) as error:
            what = f"{word[:80]!r} is not of the form MODEL=WEIGHT with a weight from 0 to 10000."
            raise ShareError(what) from error
    return tuple(arms)


class ShareSource(ABC):
    """The shares in force."""

    @abstractmethod
    def find(self, name: str) -> Share | None:
        """Return the share of a name; quick, called for each request."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names that have one."""


class MemoryShares(ShareSource):
    """Shares in memory."""

    def __init__(self, *shares: Share) -> None:
        """Begin with some shares."""
        self._shares = {share.name: share for share in shares}

    def find(self, name: str) -> Share | None:
        """Return the share of a name."""
        return self._shares.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names that have one."""
        return tuple(sorted(self._shares))

    def put(self, share: Share) -> None:
        """Set a name's share."""
        self._shares[share.name] = share


class PromotionCheck(Protocol):
    """Compares two versions before one takes the other's place (golden prompts, a red team's findings)."""

    def against(self, name: str, old: str, new: str) -> str:
        """Return what speaks against it; nothing where nothing does."""
