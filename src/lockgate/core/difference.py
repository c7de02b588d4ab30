"""What approving a crossing would change, in order of risk: the part of it that people have to look at.

The approvers' statement names the digest of this document. What changed nothing that anybody has to judge
collapses into a count and the digest of its list.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Artifact, ArtifactFile, Digest, Size
from lockgate.core.golden import Replay
from lockgate.core.policy import Held
from lockgate.core.provenance import State
from lockgate.core.statement import NOTHING
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict, rank
from lockgate.core.weights import WeightsFacts
from lockgate.core.wire import Document, digest_of

DIFFERENCE_FORMAT = "lockgate-difference/1"

SHOWN_CHANGES = 400
"""How many changes are told one by one, the gravest first; all of them stand behind `all_sha256`."""

_LENGTH = 240
_GROWTH = 2
_MEMBERS = 6

TUNED_FROM = "tuned-from"
"""Attribute of a model: the names of models that it says it was made of."""

DIFFERENCE = "difference_sha256"
"""Fact of a statement that publishes: the digest of the difference that its approvers were shown."""


class Risk(StrEnum):
    """What kind of change it is, the gravest first."""

    VERDICT = "verdict"
    INSTALL = "install"
    GOLDEN = "golden"
    WEIGHTS = "weights"
    SUBPROCESS = "subprocess"
    NETWORK = "network"
    NATIVE = "native"
    CODE = "code"
    BINARY = "binary"
    PROVENANCE = "provenance"
    MAINTAINERS = "maintainers"
    LICENCE = "licence"
    LABEL = "label"
    UNCOMPARED = "uncompared"
    NEW = "new"
    SIZE = "size"
    FACTS = "facts"


_RISKS = list(Risk)
GRAVE = frozenset({Risk.VERDICT, Risk.INSTALL, Risk.GOLDEN, Risk.WEIGHTS})
"""What is drawn as an alarm; facts alone are drawn plain, everything else as what to look at."""
_INSTALL_CODES = frozenset({
    "install-script", "wheel-pth", "wheel-startup", "npm-inline-script", "npm-shell-script",
    "npm-gyp-command", "command-shadowed",
})  # fmt: skip
"""Findings about what runs at installation or start-up, whatever their severity."""

_BINARIES = frozenset({"elf", "pe", "coff", "mach-o", "wasm", "ar"})
_USES = {"subprocess": Risk.SUBPROCESS, "network": Risk.NETWORK, "native": Risk.NATIVE, "code": Risk.CODE}
_DOES = {
    Risk.SUBPROCESS: "starts other programs",
    Risk.NETWORK: "uses the network",
    Risk.NATIVE: "calls machine code",
    Risk.CODE: "makes code while it runs",
}


class Change(Document, frozen=True):
    """One thing that would change: of what kind, of which artifact, against which version, and what."""

    risk: Risk
    purl: str
    before: str
    what: Annotated[str, msgspec.Meta(max_length=_LENGTH)]


class Difference(Document, frozen=True):
    """What publishing a crossing on a channel would change.

    Attributes:
        format: `DIFFERENCE_FORMAT`.
        crossing: The crossing.
        channel: Where it would be published.
        previous_sha256: The snapshot that the channel serves now; zeros for none.
        verdicts_sha256: The verdicts that it was drawn from.
        facts_sha256: The facts about weights and golden prompts that it was drawn from; zeros for none.
        entering: How many artifacts would enter.
        bytes: Their length.
        changes: The gravest changes, the gravest first.
        omitted: How many more there are.
        all_sha256: The digest of all changes, those that are omitted included.
        quiet: How many artifacts change nothing that has to be judged.
        quiet_sha256: The digest of their package URLs and files' digests.
        left: Package URLs of what stays in quarantine.

    """

    format: str
    crossing: int
    channel: str
    previous_sha256: Digest
    verdicts_sha256: Digest
    facts_sha256: Digest
    entering: int
    bytes: Size
    changes: Annotated[tuple[Change, ...], msgspec.Meta(max_length=SHOWN_CHANGES)]
    omitted: int
    all_sha256: Digest
    quiet: int
    quiet_sha256: Digest
    left: tuple[str, ...] = ()

    def of(self, purl: str) -> tuple[Change, ...]:
        """Return the changes of one artifact."""
        return tuple(change for change in self.changes if change.purl == purl)


@dataclass(frozen=True, slots=True)
class Version:
    """An artifact with the verdicts over its files; `verdicts` is None where they cannot be read."""

    artifact: Artifact
    verdicts: tuple[Verdict, ...] | None


@dataclass(frozen=True, slots=True)
class Known:
    """What was found about the crossing besides verdicts, by the digest of the file that it is about."""

    weights: Mapping[str, WeightsFacts]
    replays: Mapping[str, Replay]
    sha256: str = NOTHING


def draw(
    about: tuple[int, str],
    pairs: Iterable[tuple[Version, Version | None]],
    known: Known,
    held: Iterable[Held],
    bound: Mapping[str, str],
) -> Difference:
    """Return the difference.

    Args:
        about: The crossing and the channel.
        pairs: What would enter, each with the version that the channel serves now.
        known: Facts about weights and golden prompts.
        held: What stays in quarantine.
        bound: ``previous_sha256`` and ``verdicts_sha256``.

    """
    changes: list[Change] = []
    quiet: list[list[str]] = []
    entering, size = 0, 0
    for new, old in pairs:
        entering, size = entering + 1, size + new.artifact.size
        mine = list(changes_of(new, old, known))
        changes += mine
        if not mine:
            quiet.append([new.artifact.purl, *(file.sha256 for file in new.artifact.files)])
    changes.sort(key=lambda each: (_RISKS.index(each.risk), each.purl, each.what))
    return Difference(
        format=DIFFERENCE_FORMAT,
        crossing=about[0],
        channel=about[1],
        previous_sha256=bound["previous_sha256"],
        verdicts_sha256=bound["verdicts_sha256"],
        facts_sha256=known.sha256,
        entering=entering,
        bytes=size,
        changes=tuple(changes[:SHOWN_CHANGES]),
        omitted=max(0, len(changes) - SHOWN_CHANGES),
        all_sha256=digest_of(changes),
        quiet=len(quiet),
        quiet_sha256=digest_of(sorted(quiet)),
        left=tuple(sorted({each.purl for each in held})),
    )


def changes_of(new: Version, old: Version | None, known: Known) -> Iterator[Change]:
    """Yield what one artifact would change; nothing where nobody has to look."""
    purl, before = new.artifact.purl, old.artifact.purl if old else ""

    def change(risk: Risk, what: str) -> Change:
        return Change(risk=risk, purl=purl, before=before, what=_cut(what))

    yield from (change(risk, what) for risk, what in _facts(new.artifact, old, known))
    if old is not None and _files(old.artifact) == _files(new.artifact):
        return
    yield from (change(risk, what) for risk, what in _verdicts(new, old))
    if old is None:
        yield change(Risk.NEW, f"No version of {new.artifact.name} is served now.")
        return
    yield from (change(Risk.PROVENANCE, what) for what in _provenance(new, old))
    yield from (change(risk, what) for risk, what in _described(new.artifact, old.artifact))


def weights_pairs(new: Artifact, old: Artifact | None) -> Iterator[tuple[ArtifactFile, ArtifactFile]]:
    """Yield a new version's files of weights with those that they follow: by name, or the only ones."""
    if old is None or _files(old) == _files(new):
        return
    mine, before = _weights(new), _weights(old)
    for name, file in mine.items():
        other = before.get(name)
        if other is None and len(mine) == len(before) == 1:
            other = next(iter(before.values()))
        if other is not None and other.sha256 != file.sha256:
            yield file, other


def tuned_from(artifact: Artifact, others: Sequence[Artifact]) -> Artifact | None:
    """Return the model that a model says it was made of, where it is among others: the last of them."""
    names = artifact.attributes.get(TUNED_FROM, "").split(", ")
    mine = [each for each in others if each.kind is artifact.kind and each.purl != artifact.purl]
    for name in names:
        found = [each for each in mine if each.name == name]
        if name and found:
            return found[-1]
    return None


def _weights(artifact: Artifact) -> dict[str, ArtifactFile]:
    return {
        file.path.rpartition("/")[2]: file
        for file in artifact.files
        if file.path.lower().endswith((".safetensors", ".gguf"))
    }


_Said = Iterator[tuple[Risk, str]]


def _facts(artifact: Artifact, old: Version | None, known: Known) -> _Said:
    for new, before in weights_pairs(artifact, old.artifact if old else None):
        facts = known.weights.get(new.sha256)
        if facts is None or facts.base_sha256 != before.sha256:
            yield Risk.UNCOMPARED, f"The weights {new.path} were not compared with {before.path}, served now."
    for file in artifact.files:
        facts, replay = known.weights.get(file.sha256), known.replays.get(file.sha256)
        if facts is not None:
            for remark in facts.compared.remarks if facts.compared else ():
                where = f"{remark.where}: " if remark.where else ""
                yield Risk.WEIGHTS, f"{remark.code} {where}{remark.why}"
            than = f", compared with {facts.base_path}" if old is None else ""
            yield (Risk.FACTS if facts.compared else Risk.UNCOMPARED), f"Weights{than}: {facts.sentence}."
        if replay is not None and (replay.differing or replay.problem):
            yield Risk.GOLDEN, replay.sentence
    named = artifact.attributes.get(TUNED_FROM)
    if old is None and named and not any(file.sha256 in known.weights for file in artifact.files):
        yield Risk.UNCOMPARED, f"It was made from {named}, by its own words, and was not compared with it."


def _verdicts(new: Version, old: Version | None) -> _Said:
    """Yield what verdicts say that they did not say of the version before."""
    mine = new.verdicts or ()
    before = old.verdicts if old else ()
    if before is None:
        yield Risk.UNCOMPARED, "The verdicts over the version before cannot be read."
        before = ()
    was = _worst(before)
    now = _worst(mine)
    if old is not None and rank(now) > rank(was):
        yield Risk.VERDICT, f"The verdict went from {was} to {now}."
    elif old is None and now in {Outcome.FINDINGS, Outcome.INCOMPLETE}:
        yield Risk.VERDICT, f"The verdict is {now}."
    known = {_key(finding, old) for verdict in before for finding in verdict.findings}
    told = set()
    for finding in (finding for verdict in mine for finding in verdict.findings):
        key = _key(finding, new)
        install = finding.code in _INSTALL_CODES
        if key in known or key in told or (finding.severity is Severity.INFO and not install):
            continue
        told.add(key)
        where = f" in {finding.where}" if finding.where else ""
        risk = Risk.INSTALL if install else Risk.VERDICT
        yield risk, f"{finding.code} ({finding.severity}){where}: {finding.why}"
    yield from _uses(new, old)
    if found := sorted(_kinds(mine) - _kinds(before)):
        yield Risk.BINARY, f"Machine code ({', '.join(found)}) where there was none before."


def _uses(new: Version, old: Version | None) -> _Said:
    """Yield what members began to do; of a new package only that something in it does it."""
    mine = _used(new)
    if old is not None and old.verdicts and any(isinstance(v.uses, msgspec.UnsetType) for v in old.verdicts):
        yield Risk.UNCOMPARED, f"What {old.artifact.purl} reaches for was not looked at when it came."
        return
    before = _used(old)
    for kind, risk in _USES.items():
        began = sorted(mine.get(kind, set()) - before.get(kind, set()))
        if not began:
            continue
        if old is None:
            yield risk, f"Something in it {_DOES[risk]}: {', '.join(began[:_MEMBERS])}."
            continue
        first = "" if before.get(kind) else " for the first time"
        more = f" and {len(began) - _MEMBERS} more" if len(began) > _MEMBERS else ""
        yield risk, f"It {_DOES[risk]}{first}: {', '.join(began[:_MEMBERS])}{more}."


def _used(version: Version | None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for verdict in (version.verdicts or ()) if version else ():
        for use in verdict.uses or ():
            kind, _, where = use.partition(" ")
            found.setdefault(kind, set()).add(_plain(where, version))
    return found


def _described(new: Artifact, old: Artifact) -> _Said:
    people, known = (set(filter(None, a.attributes.get("maintainers", "").split(", "))) for a in (new, old))
    if came := sorted(people - known):
        yield Risk.MAINTAINERS, f"New maintainers: {', '.join(came)}."
    if went := sorted(known - people):
        yield Risk.MAINTAINERS, f"No longer maintainers: {', '.join(went)}."
    if new.licence != old.licence:
        yield Risk.LICENCE, f"The licence went from {old.licence} to {new.licence}."
    if new.label != old.label:
        yield Risk.LABEL, f"The label went from {old.label} to {new.label}."
    if new.size > _GROWTH * old.size or new.size * _GROWTH < old.size:
        yield Risk.SIZE, f"The size went from {old.size} to {new.size} bytes."


def _provenance(new: Version, old: Version) -> Iterator[str]:
    """Yield what signatures say otherwise than of the version before: another signer, or none any more."""
    mine, before = _signers(new), _signers(old)
    if before and not mine:
        yield f"No signature verifies; the version before was signed by {', '.join(sorted(before))}."
    elif before and (came := sorted(mine - before)):
        yield f"Signed by {', '.join(came)}; the version before by {', '.join(sorted(before))}."


def _signers(version: Version) -> set[str]:
    facts = (fact for verdict in version.verdicts or () for fact in verdict.facts)
    return {
        fact.repository or fact.identity.partition("@refs/")[0] or fact.keyid  # a tag is of one release
        for fact in facts
        if fact.state is State.VERIFIED
    }


def _key(finding: Finding, version: Version | None) -> tuple[str, str, str]:
    return finding.code, _plain(finding.where, version), _plain(finding.why, version)


def _plain(text: str, version: Version | None) -> str:
    """Return a place without what changes from version to version: the version's number and offsets."""
    number = version.artifact.version if version else ""
    if len(number) > 1 or not number.isalnum():
        text = text.replace(number, "*") if number else text
    head, at, offset = text.rpartition("@")
    return head if at and offset.isdigit() else text


def _files(artifact: Artifact) -> set[str]:
    return {file.sha256 for file in artifact.files}


def _worst(verdicts: Sequence[Verdict]) -> Outcome:
    return max((verdict.outcome for verdict in verdicts), key=rank, default=Outcome.CLEAN)


def _kinds(verdicts: Iterable[Verdict]) -> set[str]:
    return {kind for verdict in verdicts for kind in (*verdict.opaque, verdict.detected)} & _BINARIES


def _cut(text: str) -> str:
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
