"""Requests that wait for signatures, in the folder that approvers take them from."""

import structlog

from lockgate.app.files import read_named
from lockgate.app.gate.approve import EVIDENCE_SUFFIX
from lockgate.app.record.audit import named_size, write_evidence
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.approve import read_statement
from lockgate.core.errors import LockgateError

_log = structlog.get_logger("lockgate.pending")


def renew_evidence(side: Side) -> list[str]:
    """Let what the log shows beside each request that waits tell the log as it stands; return their names.

    Approvers sign requests in any order, and their devices refuse a log that is shorter than what they saw
    last. So a request that was written earlier shows as much as the newest one. What has expired stays as it
    is. What is no request (anybody may have put it there), or names a log that is no more, is told and passed
    over.
    """
    renewed = []
    for evidence in sorted(side.home.pending.glob(f"*{EVIDENCE_SUFFIX}")):
        request = evidence.with_name(evidence.name.removesuffix(EVIDENCE_SUFFIX) + ".json")
        try:
            envelope = read_named(request)
            if read_statement(envelope).expires > utc_now():
                write_evidence(side, evidence, [named_size(envelope)])
                renewed.append(request.name)
        except LockgateError as error:
            _log.warning("evidence_not_renewed", request=request.name, why=str(error))
    return renewed
