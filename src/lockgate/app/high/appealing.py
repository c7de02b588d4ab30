"""Appeals that people make in the console, by the same desk as those that come through the gateway."""

import secrets

from lockgate.app.high.appeals import appeals_of, auditors_of
from lockgate.app.high.receipts import receipts_of
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log
from lockgate.core.wire import checked
from lockgate.guard.appeals import Appeal
from lockgate.infer.appealing import AppealDesk, Wanted
from lockgate.infer.identity import Identity


def file_appeal(side: Side, receipt: str, reason: str, text: str, owner: Identity) -> Appeal:
    """Record an appeal; see `AppealDesk.file`.

    Args:
        side: The high side.
        receipt: The receipt's id.
        reason: Why it was harmless.
        text: The one user turn; empty where texts are kept.
        owner: Who signed in.

    Raises:
        AppealTextError, NotAppealableError, UnknownReceiptError: See `AppealDesk.file`.
        MalformedDocumentError: The reason is empty or too long.

    """
    wanted = checked(Wanted, {"receipt": receipt, "reason": reason, "text": text or None})
    desk = AppealDesk(
        appeals_of(side),
        receipts_of(side),
        audit_log(side),
        auditors=auditors_of(side),
        entropy=secrets.token_bytes,
    )
    return desk.file(wanted, owner)
