"""The attestation of an admission: an in-toto statement over every file that two persons admitted."""

from collections.abc import Iterable

from lockgate.admit.model import Admission, ChannelPointer
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import Statement
from lockgate.core.wire import digest_of
from lockgate.trust.attest import ADMISSION, attest
from lockgate.trust.keys import Signer


def attest_admission(
    statement: Statement,
    entered: Iterable[Admitted],
    pointer: ChannelPointer,
    approvers: Iterable[str],
    gate: Signer,
) -> bytes:
    """Return the gate's attestation of what a statement admitted, for tools that read in-toto.

    The approvers' signatures over the statement are what counts on this side; the attestation names
    the statement by digest and every admitted file of the crossing as a subject. `entered` has all of them,
    and may have more.
    """
    subjects = {
        file.path: file.sha256
        for admitted in entered
        if admitted.crossing == statement.crossing
        for file in admitted.artifact.files
    }
    predicate = Admission(
        lane=statement.lane,
        crossing=statement.crossing,
        crate_sha256=statement.crate_sha256,
        snapshot_sha256=statement.snapshot_sha256,
        statement_sha256=digest_of(statement),
        channel=statement.channel,
        channel_version=statement.channel_version,
        policy_sha256=statement.policy_sha256,
        verdicts_sha256=statement.verdicts_sha256,
        requester=statement.requester,
        approvers=tuple(sorted(approvers)),
        admitted=pointer.published,
    )
    return attest(subjects, ADMISSION, predicate, gate)
