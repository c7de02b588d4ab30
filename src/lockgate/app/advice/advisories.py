"""Joining advisory data to a side, or to a folder outside any crossing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from lockgate.admit.assess import contents_of
from lockgate.advisories import (
    Age,
    Claims,
    Explained,
    Freshness,
    Limits,
    Loading,
    Matched,
    Shelf,
    Shown,
    Source,
    Wish,
    ages,
    explain,
    load,
    match_all,
    purls_of,
    show,
)
from lockgate.app.advice.vex import approved
from lockgate.app.files import read_named
from lockgate.app.gate.gate import open_gate
from lockgate.app.high.channel import channel_reader
from lockgate.app.settings import Side, load_settings
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.artifact import Kind, Lock
from lockgate.core.errors import InputError, LockgateError, PolicyError
from lockgate.core.parts import rest_of
from lockgate.core.ports import Progress
from lockgate.store import FileBlobs

_DAY = 86_400
_ANSWERS_LIMIT = 1 << 30


class AnswersError(InputError):
    """A file of earlier answers cannot be used."""

    code = "LG-1f40"
    advice = "Give what `lockgate advisories match --json` printed, or leave --since out."


class NotAdmittedError(PolicyError):
    """A high side was to load advisory data that no crossing brought."""

    code = "LG-3f40"
    advice = "Bring it as [[advisories]] of a manifest; load it by `lockgate advisories load --admitted`."


@dataclass(frozen=True, slots=True)
class Place:
    """Where advisory data lies, how old it may be, and whose it is (outside a crossing: nobody's)."""

    shelf: Shelf
    age_seconds: int
    side: Side | None = None

    def claims(self) -> Claims | None:
        """Return the VEX claims that two persons of this high side approved, None outside of one."""
        if self.side is None or self.side.settings.lane.side != "high":
            return None
        return Claims(approved(self.side).claims)

    def freshness(self) -> Freshness:
        """Return the limit of age at the present moment."""
        return Freshness(utc_now(), self.age_seconds)


class Report(msgspec.Struct, frozen=True):
    """The answers to one question and the data that they rest on."""

    answers: tuple[Matched, ...]
    sources: tuple[Source, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What is known against a crossing; where nothing could be asked, `code` and `why` say so."""

    report: Report = Report(())
    code: str = ""
    why: str = ""


def place(home: Path | None, data: Path | None, age_days: int | None) -> Place:
    """Return a folder outside any crossing, or the one of a side.

    Raises:
        SettingsError: No folder is named, and there is no side.

    """
    if data is not None:
        from lockgate.app.sections import AdvisoriesSection  # noqa: PLC0415  # the default stands there

        return Place(Shelf(data), (age_days or AdvisoriesSection().age_days) * _DAY)
    side = load_settings(home)
    return Place(Shelf(side.home.advisories), (age_days or side.settings.advisories.age_days) * _DAY, side)


def load_paths(where: Place, paths: Sequence[Path], wish: Wish, progress: Progress) -> list[Source]:
    """Load data sets one after the other; the first that is refused ends it, earlier ones hold.

    Raises:
        NotAdmittedError: On a high side: what is loaded there comes out of an admitted snapshot.

    """
    if where.side is not None and where.side.settings.lane.side == "high":
        raise NotAdmittedError("A high side loads advisory data only from its admitted snapshot.")
    return [load(where.shelf, path, wish, Loading(utc_now(), progress)) for path in paths]


def load_admitted(where: Place, progress: Progress) -> list[Source]:
    """Load the data sets of the served snapshot that do not hold yet, and return them.

    Of several versions the one of the newest crossing counts. Its bytes are hashed while they are
    copied out of the store, and only the copy is read.

    Raises:
        NothingPublishedError: The channel has no snapshot.
        NotAdmittedError: Not a high side.
        BadAdvisoryError, OlderDataError: One of them cannot be loaded; what held before goes on.

    """
    if where.side is None:
        raise NotAdmittedError("Outside a crossing there is no admitted snapshot.")
    side = where.side.require("high")
    snapshot = channel_reader(side, "advisories").current().snapshot
    oldest_first = sorted(rest_of(snapshot).admitted, key=lambda a: a.crossing)
    marked = [a for a in oldest_first if "advisories" in a.artifact.attributes]
    newest = {a.artifact.attributes["advisories"]: a for a in marked}
    held = {source.origin for source in where.shelf.sources()}
    log, blobs, done = audit_log(side), blobs_of(side), []
    for name, admitted in newest.items():
        for file in admitted.artifact.files:
            if file.sha256 in held:
                continue
            intent = log.intent("load-advisories", name=name, sha256=file.sha256)
            with TemporaryDirectory(prefix="lockgate-advisories-") as folder:
                copy = FileBlobs(Path(folder))
                with blobs.open(file.sha256) as stream:
                    copy.put_stream(stream, expected=file.sha256, limit=file.size)
                try:
                    using = Loading(utc_now(), progress)
                    source = load(where.shelf, copy.path(file.sha256), Wish(name=name), using)
                except LockgateError as error:
                    log.outcome(intent, "refused", code=error.code)
                    raise
            log.outcome(intent, "done", data_set=source.sha256, records=source.records)
            done.append(source)
    return done


def wanted(purls: Sequence[str], bills: Iterable[Path]) -> list[str]:
    """Return the package URLs of a question: named ones, then those of bills of materials."""
    limits = Limits()
    found = list(purls)
    for bill in bills:
        found += purls_of(read_named(bill, limit=limits.bill_bytes), bill.name, limits)
    return list(dict.fromkeys(found))


def of_crossing(where: Place, sequence: int) -> list[str]:
    """Return the package URLs that a waiting crossing brings, documents left out; of images what they hold.

    The lock is hashed again; the approvers who ask this see what is known against what they admit.

    Raises:
        NotAdmittedError: Outside a crossing.
        NoSuchCrossingError: The gate knows none with this number.

    """
    if where.side is None:
        raise NotAdmittedError("Outside a crossing there is nothing that waits.")
    gate = open_gate(where.side.require("high"))
    crossing = gate.crossing(sequence)
    lock, verdicts = gate.lock(crossing), gate.counting(crossing) if crossing.verdicts_sha256 else ()
    return _software(lock, contents_of(lock.artifacts, verdicts))


def _software(lock: Lock, contents: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the package URLs that advisories are asked by, each once."""
    purls = [
        a.purl
        for a in lock.artifacts
        if a.kind not in {Kind.DOCUMENT, Kind.RULES}
        and not {"advisories", "trust-roots"} & a.attributes.keys()
    ]
    return list(dict.fromkeys(part for purl in purls for part in contents.get(purl) or (purl,)))


def known_against(where: Place, lock: Lock, contents: Mapping[str, Sequence[str]] | None = None) -> Known:
    """Return what the loaded data says of each artifact in a lock, or why it says nothing.

    Artifacts with `contents` (images) are asked by these. Missing or altered data is no reason to show
    nothing of a crossing: it is named in its place.
    """
    try:
        return Known(report=ask(where, _software(lock, contents or {}), {}))
    except LockgateError as error:
        return Known(code=error.code, why=error.what)


def earlier(file: Path | None) -> Mapping[str, Matched]:
    """Return the answers that an earlier question gave, by package URL.

    Raises:
        AnswersError: The file holds none.

    """
    if file is None:
        return {}
    try:
        report = msgspec.json.decode(read_named(file, limit=_ANSWERS_LIMIT), type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"{file} holds no answers: {error}."
        raise AnswersError(what) from error
    return {answer.purl: answer for answer in report.answers}


def ask(where: Place, purls: Sequence[str], before: Mapping[str, Matched]) -> Report:
    """Return the answers for some packages.

    Raises:
        NoAdvisoryDataError: Nothing is loaded.
        DataSetAlteredError: A data set is not the one that was loaded.

    """
    data = where.shelf.open()
    try:
        return Report(
            tuple(match_all(data, purls, where.freshness(), before, claims=where.claims())), data.sources
        )
    finally:
        data.close()


def shown(where: Place, identifier: str) -> list[Shown]:
    """Return every record of an advisory.

    Raises:
        NoSuchAdvisoryError: None is loaded.

    """
    data = where.shelf.open()
    try:
        return show(data, identifier)
    finally:
        data.close()


def explained(where: Place, purl: str) -> Explained:
    """Return an answer with the steps that led to it."""
    data = where.shelf.open()
    try:
        return explain(data, purl, where.freshness(), where.claims())
    finally:
        data.close()


def loaded(where: Place) -> list[Age]:
    """Return what is loaded and how old it is."""
    return ages(where.shelf.sources(), where.freshness())
