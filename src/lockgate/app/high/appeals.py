"""Appeals against the guards on the high side: reviewed with an auditor's key, decided, replayed."""

import os
import secrets
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pydantic

from lockgate import __version__
from lockgate.app.files import read_named, write_named
from lockgate.app.high.channel import CHANNEL, channel_file, channel_reader
from lockgate.app.high.guards import guard_policy, scorer_of
from lockgate.app.keys import opening_key
from lockgate.app.sections import GuardSection
from lockgate.app.settings import SettingsError, Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.roots import Recipient
from lockgate.core.wire import decode, encode
from lockgate.guard import shipped
from lockgate.guard.appeals import TEXT_BYTES, Appeal, Appeals, AppealState, Passage, SiteCase
from lockgate.guard.classifier import Classifier, load_weights
from lockgate.guard.ports import Scorer
from lockgate.guard.redteam import load_suite
from lockgate.guard.replay import (
    SNAPSHOT_FORMAT,
    Bench,
    Comparison,
    Replayed,
    Ruling,
    Rulings,
    attacks_of,
    compared,
    named,
    repeatable,
    ruled,
)
from lockgate.guard.sealedtext import AUDITORS_LIMIT, open_text
from lockgate.trust.errors import KeyFileError
from lockgate.trust.keys import (
    RECIPIENT_SUITE,
    new_recipient_key,
    recipient_id,
    save_recipient_key,
)

PUBLIC_NAME = "auditor.pub"
"""The file of an auditor's public key, beside the private one."""

WEIGHTS_BYTES = 64 << 20
"""Largest file of proposed weights that is read, in bytes."""

RULINGS_BYTES = 16 << 20
"""Largest file of kept decisions that is read, in bytes."""

_PUBLIC_BYTES = 4096
_PASSPHRASE_BYTES = 24


class SealedAppealError(InputError):
    """The texts of an appeal are sealed to auditors, and nobody's key was given."""

    code = "LG-1fc8"
    advice = "Name the folder of an auditor's key: --auditor-key."


class ProposalError(InputError):
    """Proposed guards cannot be read."""

    code = "LG-1fc9"
    advice = "Write a [guard] section as in lockgate.toml: `lockgate config explain` describes its keys."


def appeals_of(side: Side) -> Appeals:
    """Return what keeps the appeals of a side."""
    return Appeals(records_of(side), utc_now)


def auditors_of(side: Side) -> tuple[Recipient, ...]:
    """Return whom texts are sealed to.

    Raises:
        SettingsError: More than one text is sealed to.
        KeyFileError: A file holds no public key.

    """
    names = side.settings.guard.auditors.split()
    if len(names) > AUDITORS_LIMIT:
        what = f"{len(names)} auditors are named; at most {AUDITORS_LIMIT} may be."
        raise SettingsError(what, key="guard.auditors")
    return tuple(_auditor(side.home.root / name) for name in names)


def _auditor(file: Path) -> Recipient:
    text = read_named(file, limit=_PUBLIC_BYTES).decode("ascii", "replace")
    try:
        recipient_id(text)
    except ValueError as error:
        what = f"{file} holds no public key."
        raise KeyFileError(what, advice="Make one: `lockgate guard auditor-key FOLDER`.") from error
    return Recipient(name=file.stem, suite=RECIPIENT_SUITE, public=text, expires=utc_now())


def make_auditor_key(folder: Path) -> Path:
    """Make an auditor's key on the auditor's own machine; return the file of its public half.

    Raises:
        KeyFileError: There is a key already, or the folder cannot be written.

    """
    passphrase = secrets.token_urlsafe(_PASSPHRASE_BYTES)
    key = new_recipient_key(folder.name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_recipient_key(key, folder / "recipient.pem", passphrase.encode())
        file = os.open(folder / "recipient.pass", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(passphrase)
    except OSError as error:
        what = f"The key cannot be written to {folder}: {error.strerror}."
        raise KeyFileError(what) from error
    write_named(folder / PUBLIC_NAME, key.public_pem.encode())
    return folder / PUBLIC_NAME


def texts_of(appeal: Appeal, auditor: Path | None) -> tuple[Passage, ...]:
    """Return the texts of an appeal.

    Raises:
        SealedAppealError: They are sealed, and no key is given.
        NotAnAuditorError: They are not sealed to this key.
        TooLargeError, MalformedDocumentError, NotCanonicalError: The gateway did not write them.

    """
    if appeal.sealed is None:
        return appeal.passages
    if auditor is None:
        what = f"The texts of appeal {appeal.number} are sealed to auditors."
        raise SealedAppealError(what)
    data = open_text(appeal.sealed, opening_key(auditor, "auditor"), appeal.receipt)
    return decode_passages(data)


def decode_passages(data: bytes) -> tuple[Passage, ...]:
    """Return texts from bytes that were sealed: by anybody, since an auditor's public key is all it takes.

    Raises:
        TooLargeError, MalformedDocumentError, NotCanonicalError: The gateway did not write them.

    """
    kind = cast("type[Any]", tuple[Passage, ...])
    passages: tuple[Passage, ...] = decode(kind, data, limit=TEXT_BYTES, name="the texts of an appeal")
    return passages


def read_texts(side: Side, number: int, auditor: Path | None) -> tuple[Appeal, tuple[Passage, ...]]:
    """Return an appeal with its texts; that a sealed text was opened stands in the log.

    Raises:
        UnknownAppealError: There is none of this number.
        SealedAppealError, NotAnAuditorError: The texts cannot be opened.

    """
    appeal = appeals_of(side).get(number)
    if appeal.sealed is None:
        return appeal, appeal.passages
    log = audit_log(side)
    intent = log.intent("guard-appeal-read", appeal=number, receipt=appeal.receipt)
    try:
        passages = texts_of(appeal, auditor)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code)
        raise
    log.outcome(intent, "done")
    return appeal, passages


def ruled_now(side: Side, number: int, passages: Sequence[Passage]) -> list[Ruling]:
    """Return what the guards of now decide about each text of an appeal; see `replay`."""
    items = [Replayed("appeal", str(number), passage) for passage in passages]
    _, rulings = replay(side, items)
    return [rulings.rulings[named(item)] for item in items]


def decide(
    side: Side, number: int, *, grant: bool, reason: str, reviewer: str, auditor: Path | None = None
) -> Appeal:
    """Grant or refuse an appeal, recorded before and after; a granted one becomes cases of the own set.

    Guards do as they did: to change them takes two persons.

    Args:
        side: The high side.
        number: The appeal.
        grant: It was harmless, or it was not.
        reason: Why; whoever appealed reads it.
        reviewer: Who decides.
        auditor: Folder of an auditor's key, where texts are sealed.

    Raises:
        UnknownAppealError, AppealDecidedError, OwnAppealError: See `Appeals.decide`.
        SealedAppealError, NotAnAuditorError: The texts that are to become cases cannot be opened.

    """
    appeals = appeals_of(side)
    passages = texts_of(appeals.get(number), auditor) if grant else ()
    state = AppealState.GRANTED if grant else AppealState.REFUSED
    log = audit_log(side)
    intent = log.intent(
        "guard-appeal-decide", appeal=number, decision=state.value, reviewer=reviewer, reason=reason
    )
    try:
        decided = appeals.decide(number, state, reason, reviewer, passages)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code)
        raise
    log.outcome(intent, "done", cases=len(passages))
    return decided


def site_cases(side: Side) -> Sequence[SiteCase]:
    """Return the site's own set."""
    return appeals_of(side).cases()


def proposed_section(file: Path | None, side: Side) -> GuardSection:
    """Return the guards that a file proposes: its ``[guard]`` section, over what holds now.

    Raises:
        NamedFileError: It cannot be read.
        ProposalError: It is no TOML, or no such section.

    """
    if file is None:
        return side.settings.guard
    try:
        read = tomllib.loads(read_named(file).decode())
        return GuardSection(**{**side.settings.guard.model_dump(), **read["guard"]})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{file} proposes no guards: {error}."
        raise ProposalError(what) from error
    except pydantic.ValidationError as error:
        what = f"{file} proposes guards that there are not: {error.errors()[0]['msg']}."
        raise ProposalError(what) from error


def _scorer(side: Side, section: GuardSection, weights: Path | None) -> Scorer:
    if weights is not None:
        return Classifier(load_weights(read_named(weights, limit=WEIGHTS_BYTES)))
    if not section.classifier or not channel_file(side, CHANNEL).is_file():
        return shipped()
    return scorer_of(side, channel_reader(side, "replay").current(), section)


def replayed(side: Side, auditor: Path | None, numbers: Sequence[int] = ()) -> tuple[list[Replayed], int]:
    """Return the texts of a replay, and how many appeals stay sealed for want of a key.

    Args:
        side: The high side.
        auditor: Folder of an auditor's key.
        numbers: Appeals; none: all that wait.

    """
    appeals = appeals_of(side)
    chosen = [appeals.get(number) for number in numbers] or [
        each for each in appeals.all() if each.state is AppealState.OPEN
    ]
    sealed = [each for each in chosen if each.sealed is not None and auditor is None]
    items = [
        Replayed("appeal", str(each.number), passage)
        for each in chosen
        if each not in sealed
        for passage in texts_of(each, auditor)
    ]
    items += [Replayed("case", str(case.appeal), case.passage) for case in appeals.cases()]
    cases, _ = load_suite(repeatable())
    return items + attacks_of(cases), len(sealed)


def replay(
    side: Side,
    items: Sequence[Replayed],
    *,
    proposed: Path | None = None,
    weights: Path | None = None,
    against: Path | None = None,
) -> tuple[Comparison, Rulings]:
    """Replay texts against the guards of now and proposed ones; recorded before and after.

    Args:
        side: The high side.
        items: The texts.
        proposed: A file with the proposed ``[guard]`` section; none: as it is now.
        weights: Proposed weights of the classifier that ships.
        against: Decisions that another release kept: then those are what was before.

    Returns:
        What changes, and the decisions of the proposed guards, to be kept.

    Raises:
        ProposalError, GuardWeightsError, NoClassifierError: The proposed guards.
        MalformedDocumentError: The kept decisions cannot be read.

    """
    now, then = side.settings.guard, proposed_section(proposed, side)
    kept = read_rulings(against) if against is not None else None
    log = audit_log(side)
    intent = log.intent("guard-replay", texts=len(items), proposed=str(proposed or ""))
    after_scorer = _scorer(side, then, weights)
    after = ruled(Bench(guard_policy(side, then), after_scorer), items)
    before = kept.rulings if kept else ruled(Bench(guard_policy(side, now), _scorer(side, now, None)), items)
    found = compared(items, before, after)
    log.outcome(intent, "done", changed=len(found.changed), let_through=len(found.let_through))
    guards = f"lockgate {__version__}, {after_scorer.version}"
    return found, Rulings(format=SNAPSHOT_FORMAT, guards=guards, rulings=after)


def read_rulings(file: Path) -> Rulings:
    """Return decisions that were kept.

    Raises:
        NamedFileError, MalformedDocumentError: They cannot be read.

    """
    return decode(Rulings, read_named(file, limit=RULINGS_BYTES), limit=RULINGS_BYTES, name=file.name)


def keep_rulings(file: Path, rulings: Rulings) -> None:
    """Write decisions, to be compared with those of another release.

    Raises:
        NamedFileError: They cannot be written.

    """
    write_named(file, encode(rulings))
