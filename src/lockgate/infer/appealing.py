"""Appeals against what guards decided, as the gateway takes them: from whoever asked, about own receipts.

The texts are what the appeal is about. Where policy keeps them for auditors, they are there; otherwise
whoever appeals supplies them again, and their HMAC has to be the one in the receipt. Nobody can have a
text called harmless that no guard ever met.
"""

import asyncio
import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Annotated, Any

import msgspec
from aiohttp import web

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Entropy
from lockgate.core.roots import Recipient
from lockgate.core.wire import Document, decode, encode
from lockgate.guard.appeals import APPEAL_FORMAT, TEXT_BYTES, Appeal, Appeals, Met, Origin, Passage
from lockgate.guard.errors import AppealTextError, NotAppealableError
from lockgate.guard.replay import ANSWER
from lockgate.guard.sealedtext import SealedText, seal_text
from lockgate.infer.engines.ports import Message
from lockgate.infer.errors import BadRequestError, UnknownReceiptError
from lockgate.infer.forms import FORMS
from lockgate.infer.guarding import texts_of
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.ports import Ledger, Principal, ReceiptStore
from lockgate.infer.receipts import Receipt, StoredReceipt, prompt_hmac, tools_of
from lockgate.infer.receiptstore import RECEIPT_LIMIT
from lockgate.infer.requests import ChatRequest

PATH = "/v1/lockgate/appeals"

_CHANNELS = frozenset({"user", "retrieved", "tool", ANSWER})
_ID_CHARACTERS = 32
_Body = Callable[[web.Request], Awaitable[bytes]]
_Caller = Callable[[web.Request], Awaitable[Principal]]


class Wanted(Document, frozen=True):
    """What an appeal brings: the receipt, why, and the texts where they are not kept.

    `request` is the request as it was sent, `text` its one user turn, `answer` the answer as it came.
    """

    receipt: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    request: dict[str, Any] | None = None
    text: str | None = None
    answer: str | None = None


class AppealDesk:
    """Takes appeals.

    Args:
        appeals: Where they are kept.
        receipts: What they are about.
        ledger: The audit log.
        auditors: Whom texts are sealed to; none: they are kept as they are.
        entropy: Random bytes.
        limits: Bounds on requests.

    """

    def __init__(
        self,
        appeals: Appeals,
        receipts: ReceiptStore,
        ledger: Ledger,
        *,
        auditors: Sequence[Recipient],
        entropy: Entropy,
        limits: GatewayLimits | None = None,
    ) -> None:
        """Keep the parts."""
        self._appeals = appeals
        self._receipts = receipts
        self._ledger = ledger
        self._auditors = tuple(auditors)
        self._entropy = entropy
        self._limits = limits or GatewayLimits()

    def file(self, wanted: Wanted, caller: Principal) -> Appeal:
        """Record an appeal, with an intent before and an outcome after. Blocks.

        Raises:
            UnknownReceiptError: There is no receipt by this id that is the caller's own.
            NotAppealableError: No guard did anything.
            AppealTextError: The texts are missing, or are not those of the receipt.
            AppealedAlreadyError, AppealLimitError: See `Appeals.add`.

        """
        facts = {"receipt": wanted.receipt[:_ID_CHARACTERS], "caller": caller.id}
        event = {"kind": "intent", "action": "guard-appeal", "facts": facts}
        leaf = self._ledger.append_all([event])
        try:
            made = self._appeals.add(self._appeal(wanted, caller))
        except LockgateError as error:
            self._outcome(leaf, "refused", {"code": error.code})
            raise
        self._outcome(leaf, "done", {"appeal": made.number, "origin": made.origin.value})
        return made

    def _outcome(self, leaf: int, status: str, facts: dict[str, str | int]) -> None:
        self._ledger.append_all([{"kind": "outcome", "intent": leaf, "status": status, "facts": facts}])

    def own(self, caller: Principal) -> list[Appeal]:
        """Return the caller's own appeals. Blocks."""
        return [each for each in self._appeals.all() if each.caller == caller.id]

    def _appeal(self, wanted: Wanted, caller: Principal) -> Appeal:
        receipt, key = self._own_receipt(wanted.receipt, caller)
        findings = tuple(
            Met(where=g.where, what=g.what[:300], action=g.action, count=g.count)
            for g in receipt.guards
            if g.where in _CHANNELS and not g.what.startswith("call:")
        )
        if not findings:
            what = f"The receipt {receipt.id} names no guard that did anything to this request or answer."
            raise NotAppealableError(what)
        sealed, passages, origin = self._texts(wanted, receipt, key)
        return Appeal(
            format=APPEAL_FORMAT,
            number=1,
            receipt=receipt.id,
            caller=caller.id,
            name=caller.name,
            model=receipt.model.name,
            status=receipt.status.value,
            requested=receipt.requested,
            findings=findings[:256],
            reason=wanted.reason,
            origin=origin,
            passages=passages,
            sealed=sealed,
            created=receipt.requested,
        )

    def _own_receipt(self, receipt_id: str, caller: Principal) -> tuple[Receipt, bytes]:
        """Return a receipt with the key of its digests; auditors too have only their own here."""
        plain = len(receipt_id) == _ID_CHARACTERS and receipt_id.isascii() and receipt_id.isalnum()
        found = self._receipts.get(receipt_id) if plain else None
        stored = decode(StoredReceipt, found[0], limit=RECEIPT_LIMIT, name="The receipt") if found else None
        if found is None or stored is None or stored.receipt.api_key != caller.id:
            what = f"There is no receipt {receipt_id[:40]!r} for this key."
            raise UnknownReceiptError(what)
        return stored.receipt, found[1]

    def _texts(
        self, wanted: Wanted, receipt: Receipt, key: bytes
    ) -> tuple[SealedText | None, tuple[Passage, ...], Origin]:
        if (kept := self._appeals.kept(receipt.id)) is not None:
            return kept, (), Origin.KEPT
        passages = self._supplied(wanted, receipt, key)
        data = encode(passages)
        if len(data) > TEXT_BYTES:
            what = f"The texts have {len(data)} bytes; an appeal brings at most {TEXT_BYTES}."
            raise AppealTextError(what, limit="TEXT_BYTES")
        if not self._auditors:
            return None, passages, Origin.SUPPLIED
        return seal_text(data, self._auditors, receipt.id, self._entropy), (), Origin.SUPPLIED

    def _supplied(self, wanted: Wanted, receipt: Receipt, key: bytes) -> tuple[Passage, ...]:
        """Return the texts that the appeal brings, once their digests are those of the receipt."""
        if not key:
            raise AppealTextError("The key of this receipt's digests was erased: no text can be compared.")
        chats = self._read(wanted)
        chat = next((c for c in chats if _same(prompt_hmac(key, c.messages, tools_of(c)), receipt)), None)
        if chat is None:
            what = "The texts are missing." if not chats else "These are not the texts of this receipt."
            raise AppealTextError(what)
        found = passages_of(chat.messages)
        if wanted.answer is not None:
            if hmac.digest(key, wanted.answer.encode(), "sha256").hex() != receipt.answer_hmac:
                raise AppealTextError("This is not the answer of this receipt.")
            found = (*found, Passage(channel=ANSWER, text=wanted.answer))
        return found

    def _read(self, wanted: Wanted) -> list[ChatRequest]:
        """Return what a request can mean: in which form it was sent, its digest tells."""
        if wanted.text is not None:
            body: dict[str, Any] = {"model": "-", "messages": [{"role": "user", "content": wanted.text}]}
        elif wanted.request is not None:
            body = wanted.request
        else:
            return []
        data, found = msgspec.json.encode(body), []
        for form in FORMS.values():
            try:
                found.append(form.parse(data, self._limits))
            except LockgateError:
                continue  # not of this form
        return found


def _same(digest: str, receipt: Receipt) -> bool:
    return hmac.compare_digest(digest, receipt.prompt_hmac)


def passages_of(messages: Sequence[Message], answer: str = "") -> tuple[Passage, ...]:
    """Return the texts of a request that guards look at, and the answer where there is one."""
    found = [Passage(channel=channel.value, text=text) for text, channel in texts_of(messages)]
    return (*found, Passage(channel=ANSWER, text=answer)) if answer else tuple(found)


class Keeper(ABC):
    """Keeps the texts of what guards stopped or met, so that an appeal need not bring them. Blocks."""

    @abstractmethod
    def keep(self, receipt: str, passages: Sequence[Passage]) -> None:
        """Keep them; texts longer than an appeal may have are not kept."""


class SealedKeeper(Keeper):
    """Keeps texts so that auditors alone can read them.

    Args:
        appeals: Where they are kept.
        auditors: Whom they are sealed to.
        entropy: Random bytes.

    """

    def __init__(self, appeals: Appeals, auditors: Sequence[Recipient], entropy: Entropy) -> None:
        """Keep the parts."""
        self._appeals = appeals
        self._auditors = tuple(auditors)
        self._entropy = entropy

    def keep(self, receipt: str, passages: Sequence[Passage]) -> None:
        """Seal the texts and keep them."""
        data = encode(tuple(passages))
        if len(data) <= TEXT_BYTES:
            self._appeals.keep(receipt, seal_text(data, self._auditors, receipt, self._entropy))


class AppealRoutes:
    """The gateway's routes for appeals.

    Args:
        desk: Takes them.
        caller: Tells who asks.
        body: Reads a body within its bounds.
        executor: A thread for the database and the log.

    """

    def __init__(self, desk: AppealDesk, caller: _Caller, body: _Body, executor: Executor) -> None:
        """Keep the parts."""
        self._desk = desk
        self._caller = caller
        self._body = body
        self._executor = executor

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post(PATH, self._file)
        app.router.add_get(PATH, self._own)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        caller = await self._caller(request)
        data = await self._body(request)
        try:
            wanted = msgspec.json.decode(data, type=Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = f"This is no appeal: {str(error)[:200]}."
            raise BadRequestError(what) from error
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._executor, self._desk.file, wanted, caller)
        return _json(shown(made), 201)

    async def _own(self, request: web.Request) -> web.StreamResponse:
        caller = await self._caller(request)
        found = await asyncio.get_running_loop().run_in_executor(self._executor, self._desk.own, caller)
        return _json({"appeals": [shown(each) for each in found]}, 200)


def shown(appeal: Appeal) -> dict[str, Any]:
    """Return an appeal as its owner sees it: without the texts, which they have."""
    return {
        "number": appeal.number,
        "receipt": appeal.receipt,
        "state": appeal.state.value,
        "reason": appeal.reason,
        "findings": msgspec.to_builtins(appeal.findings),
        "origin": appeal.origin.value,
        "created": appeal.created,
        "decided": appeal.decided,
        "decision": appeal.decision,
    }


def _json(body: object, status: int) -> web.Response:
    return web.Response(status=status, body=encode(body), content_type="application/json")
