"""What leaves the high side by two persons' signatures: receipts and keep lists.

An operator asks with a signed request, approvers sign the body apart on their own machines, and what
they signed is put together where the gate lets it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lockgate.app.keys import KeyPlace
from lockgate.app.trust import signer_from, utc_now
from lockgate.approve.errors import NotRequesterError
from lockgate.core.roots import Purpose, Root, ThresholdError
from lockgate.core.statement import OwnRequestError
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.receipts import sign_body
from lockgate.trust.dsse import open_envelope, verify
from lockgate.trust.errors import WrongLaneError

APPROVAL_LIMIT = 1 << 16
"""Longest approval that is read, in bytes."""


class LeavingRequest(Protocol):
    """What an operator asks approvers to let out."""

    @property
    def lane(self) -> str:
        """The lane that it is of."""

    @property
    def requester(self) -> str:
        """Who asks."""

    @property
    def body(self) -> str:
        """The bytes that would leave, in hexadecimal."""


class LeavingApproval(Document, frozen=True):
    """An approver's signature (hex) over the body (hex) that may leave."""

    format: str
    body: str
    keyid: str
    signature: str


R = TypeVar("R", bound=LeavingRequest)


@dataclass(frozen=True, slots=True)
class Leaving:
    """One kind of body that leaves.

    Attributes:
        name: What people call it: ``receipt``.
        kind: The payload type of its signatures.
        request_type: The payload type of requests.
        request_limit: Longest request that is read, in bytes.
        approval_format: The format that approvals name.

    """

    name: str
    kind: str
    request_type: str
    request_limit: int
    approval_format: str

    def open(self, envelope: bytes, form: type[R], site: Root) -> R:
        """Return a request after checking that the named operator of this lane signed it.

        Raises:
            NotRequesterError: Another person signed.
            WrongLaneError: Of another lane.
            LockgateError: Not such a request, or not an operator's signature.

        """
        opened = open_envelope(envelope, limit=self.request_limit)
        people = verify(opened, site, Purpose.OPERATOR, utc_now(), self.request_type)
        request = decode(form, opened.payload, limit=self.request_limit, name=f"{self.name} request")
        if people != {request.requester}:
            what = f"{request.requester[:80]} did not sign this request."
            raise NotRequesterError(what)
        if request.lane != site.lane:
            what = f"The request is for lane {request.lane[:80]!r}, the site root for {site.lane!r}."
            raise WrongLaneError(what)
        return request

    def approve(self, body: bytes, requester: str, key: KeyPlace, site: Root) -> tuple[str, bytes]:
        """Sign a body with an approver's key; return who signed, and the approval.

        Raises:
            OwnRequestError: The signer asked for it.
            SubliminalSignatureError: The key's signatures could carry something out.
            UnknownKeyError, KeyPurposeError, KeyExpiredError: The key may not approve.

        """
        signer = signer_from(key, Purpose.APPROVER, site)
        person = site.held(signer.keyid, Purpose.APPROVER, utc_now()).person
        self.demand_other(requester, {person})
        approval = LeavingApproval(
            format=self.approval_format,
            body=body.hex(),
            keyid=signer.keyid,
            signature=sign_body(body, signer, self.kind).hex(),
        )
        return person, encode(approval)

    def demand_other(self, requester: str, people: frozenset[str] | set[str]) -> None:
        """Demand that who asked is not among those that approve.

        Raises:
            OwnRequestError: The requester is among them.

        """
        if requester in people:
            what = f"{requester} asked for this {self.name} and cannot approve it."
            raise OwnRequestError(what)

    def signatures(self, body: bytes, approvals: Sequence[bytes]) -> dict[str, bytes]:
        """Return the signatures of approvals of one body by key id; whether they hold is not judged here.

        Raises:
            ThresholdError: An approval is of another body.
            MalformedDocumentError: Not an approval.

        """
        found = {}
        for data in approvals:
            approval = decode(LeavingApproval, data, limit=APPROVAL_LIMIT, name=f"{self.name} approval")
            if from_hex(approval.body) != body:
                what = f"An approval is over another {self.name} than the one that was asked for."
                raise ThresholdError(what)
            found[approval.keyid] = from_hex(approval.signature)
        return found


def from_hex(text: str) -> bytes:
    """Return the bytes of hexadecimal text; none where it is something else, which no signature is over."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
