"""Taking a submission in: names that crossed are refused; what is left waits at the gate like a crossing."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lockgate.admit.model import CROSSINGS, Crossing
from lockgate.app.gate.gate import open_gate
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.submit.bases import found_bases
from lockgate.app.submit.images import make_image
from lockgate.app.submit.making import Offer, make_artifact
from lockgate.app.trust import audit_log, utc_now
from lockgate.collect.ports import Limits
from lockgate.core.artifact import LOCK_FORMAT, Artifact, Lock
from lockgate.core.errors import InputError, LimitError, PolicyError
from lockgate.core.submission import (
    DERIVED,
    DERIVED_LIMIT,
    FIRST,
    INTERNAL,
    LAST,
    ORIGIN,
    SUBMISSION_FORMAT,
    SUBMITTER,
    Submission,
    is_submission,
    name_key,
)
from lockgate.core.wire import decode, encode, whole_second
from lockgate.store import FileBlobs


class NameTakenError(PolicyError):
    """Something of that name crossed: clients could not tell the two apart."""

    code = "LG-3fb8"
    advice = "Give it a name of your own, as with a prefix of your team."


class DerivationError(InputError):
    """What a submission is said to be made of is not known here."""

    code = "LG-1fb9"
    advice = "Name what was admitted by its package URL; `lockgate gate show` lists them."


class SubmissionsFullError(LimitError):
    """There are no numbers left for submissions."""

    code = "LG-4fb8"
    advice = "Reject none again; ask for a version with a larger range."


@dataclass(frozen=True, slots=True)
class Taken:
    """A submission that waits at the gate."""

    number: int
    artifact: Artifact
    crossing: Crossing


def submit(side: Side, offer: Offer, submitter: str, way: str, limits: Limits | None = None) -> Taken:
    """Bring what somebody made into quarantine, as a submission that the gate inspects next.

    Args:
        side: The high side.
        offer: What is submitted, and what is said of it.
        submitter: Who submits it: a person, or the name of an API key.
        way: How it came: ``command``, ``twine``, ``folder``, ``oci``, ``hf``.
        limits: Bounds on reading it.

    Raises:
        NameTakenError: Something of that name crossed.
        DerivationError: It is made of something unknown.
        UnknownSubmissionError: Nobody can tell what it is.
        LockgateError: It cannot be read, or admission is held.

    """
    facts = {"submitter": submitter, "way": way, "what": offer.path.name[:200]}
    with audit_log(side).recorded("submit", **facts) as done:
        taken = _taken(side, offer, submitter, way, limits or Limits())
        made_of = taken.artifact.attributes.get(DERIVED, "").split()
        done.update(number=taken.number, purl=taken.artifact.purl, derived=made_of)
    return taken


def _taken(side: Side, offer: Offer, submitter: str, way: str, limits: Limits) -> Taken:
    gate = open_gate(side)
    quarantine = FileBlobs(side.home.quarantine)
    made = make_image(side, offer, limits) if offer.image else make_artifact(offer, quarantine, limits)
    known = [(c.sequence, a) for c in gate.crossings() for a in gate.lock(c).artifacts]
    _demand_own_name(made, known)
    found = found_bases(made, [artifact for _, artifact in known], quarantine)
    derived = tuple(dict.fromkeys((*offer.derived, *found)))
    _demand_known(derived, [artifact for _, artifact in known])
    own = {ORIGIN: INTERNAL, SUBMITTER: submitter, DERIVED: " ".join(derived)}
    attributes = {**made.attributes, **{key: value for key, value in own.items() if value}}
    artifact = msgspec.structs.replace(made, attributes=attributes)
    now = whole_second(utc_now())
    number = _next(side)
    lock = Lock(
        format=LOCK_FORMAT,
        lane=side.lane,
        created=now,
        manifest_sha256="0" * 64,
        artifacts=(artifact,),
    )
    submission = Submission(
        format=SUBMISSION_FORMAT,
        lane=side.lane,
        number=number,
        submitter=submitter,
        way=way,
        created=now,
        derived=derived,
        lock_sha256=quarantine.put_bytes(encode(lock)),
    )
    digest = quarantine.put_bytes(encode(submission))
    crossing = gate.quarantined(number, f"submission-{number}", digest, submission.lock_sha256)
    return Taken(number, artifact, crossing)


def _next(side: Side) -> int:
    records = records_of(side)
    with records.transaction() as tx:
        taken = [decode(Crossing, value).sequence for _, value in tx.scan(CROSSINGS, str(FIRST)[0])]
    records.close()
    number = max((n for n in taken if is_submission(n)), default=FIRST - 1) + 1
    if number > LAST:
        what = f"There were {LAST - FIRST + 1} submissions."
        raise SubmissionsFullError(what, limit="LAST")
    return number


def _demand_own_name(made: Artifact, known: Sequence[tuple[int, Artifact]]) -> None:
    key = name_key(made)
    for number, artifact in known:
        if name_key(artifact) == key and not is_submission(number):
            what = f"{artifact.purl} crossed as number {number}: nothing made inside may have its name."
            raise NameTakenError(what, name=made.name)
        if artifact.purl == made.purl and is_submission(number):
            what = f"{made.purl} was submitted before, as number {number}."
            raise NameTakenError(what, name=made.name, advice="Give it a new version.")


def _demand_known(derived: Sequence[str], known: Sequence[Artifact]) -> None:
    if len(derived) > DERIVED_LIMIT:
        what = f"A submission is made of at most {DERIVED_LIMIT} things."
        raise DerivationError(what, limit="DERIVED_LIMIT")
    purls = {artifact.purl for artifact in known}
    strange = next((purl for purl in derived if purl not in purls), None)
    if strange is not None:
        what = f"Nothing called {strange[:200]!r} crossed or was submitted."
        raise DerivationError(what)


def submissions(side: Side) -> list[tuple[Crossing, Submission, Artifact]]:
    """Return every submission with what is said of it, oldest first."""
    gate, quarantine = open_gate(side), FileBlobs(side.home.quarantine)
    return [
        (c, decode(Submission, quarantine.read(c.crate_sha256), name="submission"), gate.lock(c).artifacts[0])
        for c in gate.crossings()
        if is_submission(c.sequence)
    ]
