"""Messages (RFC 5322, MIME): each part is decoded and inspected as the file that it is."""

import email
from typing import TYPE_CHECKING

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.carried_texts import named, written
from lockgate.inspect.inspectors.html import markup
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.mail_headers import demand_flat, policy
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

_ENDINGS = {
    "text/calendar": "ics", "text/markdown": "md", "text/csv": "csv", "text/rtf": "rtf",
    "image/svg+xml": "svg",
    "text/vcard": "vcf", "text/javascript": "js", "application/javascript": "js", "text/xml": "xml",
}  # fmt: skip
_ROUTES = frozenset({"received", "dkim-signature", "authentication-results", "content-type", "references"})


class MailInspector(Inspector):
    """Takes a message apart; nothing in it is fetched or shown."""

    name = "mail"
    version = 9
    detects = frozenset({"mail"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the message when each part was wholly understood."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        raw = bytes(data)
        demand_flat(raw)
        scan(tally, raw.decode("utf-8", "replace"))
        self._read(email.message_from_bytes(raw, policy=policy()), tally, context)

    def _read(self, message: "Message | EmailMessage", tally: Tally, context: Context) -> None:
        whole = True
        for count, item in enumerate(message.walk()):
            demand(count, context.limits.members, "members")
            if not item.is_multipart():
                whole &= _part(tally, item, context, count)
            if item.defects:
                kinds = ", ".join(sorted({type(defect).__name__ for defect in item.defects})[:3])
                tally.note("mail-defect", Severity.LOW, f"A part is not well formed: {kinds}.")
        orders(tally, _aside(message), where="Where readers do not look: ", hidden=True, keen=True)
        if whole:
            tally.claim_all()


def _aside(message: "Message | EmailMessage") -> str:
    """Return what a message says outside of its parts: in its head, and before and behind them."""
    said = [str(value) for name, value in message.items() if name.lower() not in _ROUTES]
    return "\n".join((*said, message.preamble or "", message.epilogue or ""))


def _part(tally: Tally, item: "Message | EmailMessage", context: Context, count: int) -> bool:
    """Inspect one part; return whether it was wholly understood."""
    content = item.get_payload(decode=True)
    body = content if isinstance(content, bytes) else b""
    name = item.get_filename() or ""
    named(tally, name)
    kind = item.get_content_type()
    if not name and kind in {"text/plain", "text/html"}:
        charset = item.get_content_charset() or "utf-8"
        try:
            text = body.decode(charset, "replace")
        except (LookupError, ValueError) as error:
            what = f"A part names the character set {charset[:40]!r}, by which it cannot be read."
            raise BrokenContentError(what) from error
        scan(tally, text)
        if kind == "text/html":
            markup(tally, text, document=context.kind == Kind.DOCUMENT, strict=True)
        orders(tally, text, keen=True)
        return written(tally, text, context)
    context.budget.member(len(body))
    return tally.absorb(
        context.inspect(
            memoryview(body), context.member(name or f"part-{count}.{_ENDINGS.get(kind, '')}".rstrip("."))
        )
    )
