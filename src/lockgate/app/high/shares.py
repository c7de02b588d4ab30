"""Shares of traffic between versions of a model: asked for, signed by two persons, rolled back, verified.

What is in force stands in a file for each name: every share that approvers signed, in its order, and which of
them counts. Whoever serves verifies the signatures. Whoever can write the file can choose among shares that
were signed for this name, which is what rolling back is; they can make none of their own.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from lockgate.app.files import read_named
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import judge, read_statement
from lockgate.core.errors import LockgateError, PolicyError
from lockgate.core.policy import Policy, Right
from lockgate.core.roots import Purpose
from lockgate.core.statement import Operation, Statement
from lockgate.core.wire import Document, decode, digest_of, encode, whole_second
from lockgate.infer import PromotionCheck, Share, ShareSource
from lockgate.infer.errors import ShareError
from lockgate.infer.keys import replace_file
from lockgate.infer.shares import ARMS, NAME_PATTERN, Arm, By, parse_arms
from lockgate.trust.keys import Signer

SHARES_FORMAT = "lockgate-model-shares/1"
HISTORY = 64
"""How many shares of a name are kept; older ones go."""

FILE_LIMIT = 4 << 20
"""Longest file of one name's shares, in bytes."""

REASON_LIMIT = 240
"""Longest reason of an override, in characters."""

SAID_LIMIT = 1000
"""How much of what speaks against a share stands in its statement, in characters."""

_FIRST = "none"
_PREFIX = "model-share-"  # in `trust/`, which backups hold
_NAME = re.compile(NAME_PATTERN)
_logger = structlog.get_logger("lockgate.app")


class ShareRefusedError(PolicyError):
    """A promotion is spoken against, or one person alone may not roll back here."""

    code = "LG-3fa0"
    advice = (
        "Look at what speaks against it; with `--override REASON` two persons sign it all the same. Rolling "
        "back with two persons is asked for like a new share."
    )


class _Book(Document, frozen=True):
    """Every share of one name that was signed, as envelopes in base64, and which one counts."""

    format: str
    name: str
    active: int
    signed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The share of a name that is in force, and where it comes from."""

    share: Share
    approvers: tuple[str, ...]
    number: int
    of: int


def _file(side: Side, name: str) -> Path:
    return side.home.trust / f"{_PREFIX}{name}.json"


def _read(file: Path) -> _Book | None:
    if not file.is_file():
        return None
    return decode(_Book, read_named(file, limit=FILE_LIMIT), limit=FILE_LIMIT, name="The file of shares")


def share_of(statement: Statement) -> Share:
    """Return the share that a statement is about.

    Raises:
        ShareError: It says none.

    """
    facts = statement.facts or {}
    try:
        return Share(name=facts["name"], arms=parse_arms(facts["arms"]), by=By(facts["by"]))
    except (KeyError, ValueError) as error:
        what = "The statement says no share."
        raise ShareError(what) from error


def _judged(side: Side, envelope: bytes) -> tuple[Share, frozenset[str]]:
    """Verify a signed share as of the moment that it was asked for.

    Raises:
        LockgateError: Too few approvers, of another lane, or about something else.

    """
    site = site_root(side, None)
    created = read_statement(envelope).created
    statement, approvers = judge(envelope, site, created, need=(site.policy or Policy()).approvers)
    if statement.operation is not Operation.SHARE or statement.lane != side.lane:
        what = f"The statement is {statement.subject}, not about a share of this lane."
        raise ShareError(what)
    return share_of(statement), approvers


def standing(side: Side, name: str) -> Standing | None:
    """Return the share of a name that is in force, verified anew.

    Raises:
        LockgateError: The file or a signature in it is not right.

    """
    book = _read(_file(side, name))
    if book is None or not book.signed:
        return None
    if book.name != name or not 0 <= book.active < len(book.signed):
        what = f"The file of shares of {name!r} is not its own."
        raise ShareError(what)
    share, approvers = _judged(side, base64.b64decode(book.signed[book.active]))
    if share.name != name:
        what = f"The share in force of {name!r} was signed for {share.name!r}."
        raise ShareError(what)
    return Standing(share, tuple(sorted(approvers)), book.active + 1, len(book.signed))


def _facts(side: Side, share: Share) -> dict[str, str]:
    before = standing(side, share.name)
    return {
        "name": share.name,
        "arms": " ".join(f"{arm.model}={arm.weight}" for arm in share.arms),
        "by": share.by.value,
        "before": digest_of(before.share) if before else _FIRST,
    }


def promotion(side: Side, name: str, model: str) -> Share:
    """Return the share by which one model answers alone; the others of the present one stay with nothing."""
    before = standing(side, name)
    others = [arm.model for arm in before.share.arms if arm.model != model] if before else []
    arms = (*(Arm(model=other, weight=0) for other in others[1 - ARMS :]), Arm(model=model, weight=1))
    return Share(name=name, arms=arms, by=before.share.by if before else By.TENANT)


def leading(share: Share) -> str:
    """Return the model that answers most of a name's callers; nothing where none answers more than half."""
    return next((arm.model for arm in share.arms if 2 * arm.weight > share.total), "")


def spoken_against(side: Side, share: Share, checks: Sequence[PromotionCheck]) -> str:
    """Return what checks say against a share by which another model comes to answer most callers.

    Whoever is asked for step by step is checked at the step that gives it more than half.
    """
    before = standing(side, share.name)
    old, new = leading(before.share) if before else "", leading(share)
    if new in {"", old}:
        return ""
    return " ".join(said for check in checks if (said := check.against(share.name, old, new)))


def ask_for_share(
    side: Side,
    share: Share,
    requester: Signer,
    checks: Sequence[PromotionCheck] = (),
    override: str = "",
) -> bytes:
    """Return the request to spread a name's traffic so, for the approvers to sign.

    Args:
        side: The high side.
        share: What is asked for.
        requester: An operator's key.
        checks: What compares versions first; a word against it from any of them ends this.
        override: Why it is asked for all the same; what is said against it stands beside this in what the
            approvers sign.

    Raises:
        ShareRefusedError: A check speaks against it, or the reason is none.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    said = spoken_against(side, share, checks)
    facts = _facts(side, share)
    if override:
        if not override.isprintable() or len(override) > REASON_LIMIT:
            what = f"A reason has at most {REASON_LIMIT} printable characters."
            raise ShareRefusedError(what)
        if not said:
            what = "Nothing speaks against it: there is nothing to override."
            raise ShareRefusedError(what)
        facts |= {"against": _digested(said), "override": override}
    elif said:
        what = f"The share of {share.name!r} is not asked for: {said}"
        raise ShareRefusedError(what)
    return ask(side, Operation.SHARE, facts, requester)


def _digested(said: str) -> str:
    """Return what is said, cut where it is long, with the digest of the whole."""
    return said if len(said) <= SAID_LIMIT else f"{said[:SAID_LIMIT]}… ({digest_of(said)})"


def _demand_unopposed(
    side: Side, share: Share, checks: Sequence[PromotionCheck], facts: Mapping[str, str]
) -> None:
    """Ask the checks again, since time has passed: nothing counts against it but what the approvers saw.

    Raises:
        ShareRefusedError: A check speaks against it, and they did not sign that.

    """
    said = spoken_against(side, share, checks)
    if said and facts.get("against") != _digested(said):
        what = f"The share of {share.name!r} is not put into force: {said}"
        raise ShareRefusedError(what)


def put_share(
    side: Side, signed: Sequence[Path], checks: Sequence[PromotionCheck] = ()
) -> tuple[Share, Decision]:
    """Put a share into force that enough approvers signed; gateways follow at once.

    Raises:
        ShareRefusedError: A check speaks against it, and the approvers signed no override of that.
        ShareError: The share before it is another than when it was asked for.
        ApprovalSpentError: Used before.
        LockgateError: Too few approvers, expired, or about something else.

    """
    decision = decided(side, Operation.SHARE, signed)
    share = share_of(decision.statement)
    log = audit_log(side)
    intent = log.intent("model-share", approvers=sorted(decision.approvers), **decision.facts)
    if _facts(side, share)["before"] != decision.facts.get("before"):
        log.outcome(intent, "refused", code=ShareError.code)
        what = f"The share of {share.name!r} changed after the request."
        raise ShareError(what)
    try:
        _demand_unopposed(side, share, checks, decision.facts)
    except ShareRefusedError as error:
        log.outcome(intent, "refused", code=error.code)
        raise
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
        book = _read(_file(side, share.name))
        kept = book.signed[: book.active + 1] if book else ()
        kept = (*kept, base64.b64encode(decision.envelope).decode())[-HISTORY:]
        _write(side, _Book(format=SHARES_FORMAT, name=share.name, active=len(kept) - 1, signed=kept))
    records.close()
    log.outcome(intent, "done")
    return share, decision


def _write(side: Side, book: _Book) -> None:
    side.home.trust.mkdir(parents=True, exist_ok=True)
    replace_file(_file(side, book.name), encode(book))


def roll_back(side: Side, name: str, operator: Signer) -> Share:
    """Put the share before the present one back into force, by one operator where the policy lets one do so.

    Raises:
        ShareRefusedError: The policy wants two persons, or there is none before.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    site = site_root(side, None)
    person = site.held(operator.keyid, Purpose.OPERATOR, whole_second(utc_now())).person
    rule = (site.policy or Policy()).emergency
    if not rule or Right.ROLLBACK not in rule.rights:
        what = "The policy lets no operator roll back alone: ask for the earlier share anew."
        raise ShareRefusedError(what)
    book = _read(_file(side, name))
    if book is None or book.active < 1:
        what = f"There is no share of {name!r} before the present one."
        raise ShareRefusedError(what)
    share, _ = _judged(side, base64.b64decode(book.signed[book.active - 1]))
    log = audit_log(side)
    intent = log.intent("model-share-rollback", person=person, name=name, to=digest_of(share))
    _write(side, _Book(format=SHARES_FORMAT, name=name, active=book.active - 1, signed=book.signed))
    log.outcome(intent, "done")
    return share


def shared_names(side: Side) -> tuple[str, ...]:
    """Return the names that have shares."""
    files = side.home.trust.glob(f"{_PREFIX}*.json")
    return tuple(sorted(file.name.removeprefix(_PREFIX).removesuffix(".json") for file in files))


class SignedShares(ShareSource):
    """The shares of a side, verified when a file changes; where it does not verify, the one before stays."""

    def __init__(self, side: Side) -> None:
        """Read nothing yet."""
        self._side = side
        self._seen: dict[str, tuple[tuple[int, int, int], Share | None]] = {}

    def find(self, name: str) -> Share | None:
        """Return the share of a name."""
        if not _NAME.fullmatch(name):  # a caller's own words, and no part of a path before this
            return None
        try:
            state = _file(self._side, name).stat()
        except OSError:
            self._seen.pop(name, None)
            return None
        mark = (state.st_ino, state.st_mtime_ns, state.st_size)
        before = self._seen.get(name)
        if before is None or before[0] != mark:
            self._seen[name] = before = (mark, self._verified(name, before[1] if before else None))
        return before[1]

    def _verified(self, name: str, before: Share | None) -> Share | None:
        """Return the share in a file that changed; where it does not verify, the one before goes on."""
        try:
            found = standing(self._side, name)
        except LockgateError as error:
            _logger.warning("a share does not count", name=name, code=error.code, error=str(error))
            return before
        return found.share if found else None

    def names(self) -> tuple[str, ...]:
        """Return the names that have one."""
        return tuple(name for name in shared_names(self._side) if self.find(name) is not None)
