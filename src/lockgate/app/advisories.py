"""Joining advisory data to a side, or to a folder outside any crossing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lockgate.advisories import (
    Age,
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
from lockgate.app.files import read_named
from lockgate.app.settings import load_settings
from lockgate.app.trust import utc_now
from lockgate.core.errors import InputError
from lockgate.core.ports import Progress

_DAY = 86_400
_ANSWERS_LIMIT = 1 << 30


class AnswersError(InputError):
    """A file of earlier answers cannot be used."""

    code = "LG-1f40"
    advice = "Give what `lockgate advisories match --json` printed, or leave --since out."


@dataclass(frozen=True, slots=True)
class Place:
    """Where advisory data lies and how old it may be."""

    shelf: Shelf
    age_seconds: int

    def freshness(self) -> Freshness:
        """Return the limit of age at the present moment."""
        return Freshness(utc_now(), self.age_seconds)


class Report(msgspec.Struct, frozen=True):
    """The answers to one question and the data that they rest on."""

    answers: tuple[Matched, ...]
    sources: tuple[Source, ...] = ()


def place(home: Path | None, data: Path | None, age_days: int | None) -> Place:
    """Return a folder outside any crossing, or the one of a side.

    Raises:
        SettingsError: No folder is named, and there is no side.

    """
    if data is not None:
        from lockgate.app.settings import AdvisoriesSection  # noqa: PLC0415  # the default stands there

        return Place(Shelf(data), (age_days or AdvisoriesSection().age_days) * _DAY)
    side = load_settings(home)
    return Place(Shelf(side.home.advisories), (age_days or side.settings.advisories.age_days) * _DAY)


def load_paths(where: Place, paths: Sequence[Path], wish: Wish, progress: Progress) -> list[Source]:
    """Load data sets one after the other; the first that is refused ends it, earlier ones hold."""
    return [load(where.shelf, path, wish, Loading(utc_now(), progress)) for path in paths]


def wanted(purls: Sequence[str], bills: Iterable[Path]) -> list[str]:
    """Return the package URLs of a question: named ones, then those of bills of materials."""
    limits = Limits()
    found = list(purls)
    for bill in bills:
        found += purls_of(read_named(bill, limit=limits.bill_bytes), bill.name, limits)
    return list(dict.fromkeys(found))


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
        return Report(tuple(match_all(data, purls, where.freshness(), before)), data.sources)
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
        return explain(data, purl, where.freshness())
    finally:
        data.close()


def loaded(where: Place) -> list[Age]:
    """Return what is loaded and how old it is."""
    return ages(where.shelf.sources(), where.freshness())
