"""Joining the red team: the suite against a gateway, others' tools where they are installed, kept results."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate.app.files import write_named
from lockgate.app.high.appeals import site_cases
from lockgate.app.high.ask import GatewayAwayError, GatewayRefusedError
from lockgate.app.high.redteam_tools import TOOLS, Reached
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.errors import InputError
from lockgate.core.ports import Progress
from lockgate.core.wire import decode, encode, whole_second
from lockgate.guard.redteam import (
    Case,
    Compared,
    RedTeamReport,
    Result,
    compared,
    load_suite,
    result_of,
    site_case,
    site_tally,
    tallied,
)
from lockgate.guard.redteam.report import REPORT_FORMAT
from lockgate.guard.replay import ANSWER

ANSWER_LIMIT = 1 << 20
"""Longest answer that is read, in bytes."""

ANSWER_SECONDS = 300.0
ANSWER_TOKENS = 120
REPORT_LIMIT = 1 << 20
KEPT = 256
"""Most reports of one model that are looked through."""


class NoSuchSuiteError(InputError):
    """A suite was named that is not there."""

    code = "LG-1f82"
    advice = "Suites are own, garak and agentdojo; the last two have to be installed beside Lockgate."


@dataclass(frozen=True, slots=True)
class Target:
    """A model behind a gateway: where, with which key, under which name, and which version that is."""

    url: str
    key: str
    model: str
    purl: str = ""
    sha256: str = ""


def identified(target: Target) -> Target:
    """Return a target with the version of the model that the gateway serves under its name.

    Raises:
        GatewayRefusedError: The key is refused, or there is no such model.
        GatewayAwayError: Nobody answers.

    """
    status, found = asked(target, "models", None)
    if status != 200:  # noqa: PLR2004  # RFC 9110
        raise GatewayRefusedError(str(found.get("error", {}).get("message", f"Status {status}.")))
    for entry in found.get("data", ()):
        if entry.get("id") == target.model:
            known = entry["lockgate"]
            return Target(target.url, target.key, target.model, known["purl"], known["sha256"])
    what = f"The gateway offers no model {target.model[:80]!r}."
    raise GatewayRefusedError(what)


def asked(target: Target, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Ask the gateway and return status and answer.

    Raises:
        GatewayAwayError: Nobody answers, or no JSON.

    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{target.url}/{path}", data=data, headers=headers)  # noqa: S310  # the operator's own
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310  # the same
            return response.status, json.loads(response.read(ANSWER_LIMIT))
    except urllib.error.HTTPError as error:
        with error:
            try:
                return error.code, json.loads(error.read(ANSWER_LIMIT))
            except ValueError:
                return error.code, {}
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        what = f"The gateway at {target.url} does not answer: {getattr(error, 'reason', error)}."
        raise GatewayAwayError(what) from error


def attacked(target: Target, cases: Sequence[Case], progress: Progress) -> list[tuple[Case, Result]]:
    """Make the attacks of the built-in suite, one after the other."""
    progress.start("attacks", len(cases))
    found = []
    for case in cases:
        body = {"model": target.model, "temperature": 0, "max_tokens": ANSWER_TOKENS, **case.body}
        found.append((case, result_of(case, *asked(target, "chat/completions", body))))
        progress.advance(1)
    return found


def red_team(
    side: Side,
    target: Target,
    *,
    suites: Sequence[str],
    most: float,
    progress: Progress,
    told: Callable[[str], None],
) -> tuple[RedTeamReport, Compared, Path]:
    """Attack a model, keep what was found, and compare it with the version before.

    Args:
        side: The high side; its home keeps the reports.
        target: The model.
        suites: Names of suites; none: the built-in one, and others' where they are installed.
        most: The largest share of attacks that may work.
        progress: Told of each attack.
        told: Told what others' tools begin.

    Raises:
        NoSuchSuiteError: A suite is not there.
        GatewayRefusedError, GatewayAwayError: The gateway does not do it.
        ToolFailedError: Another's tool did not run through.

    """
    chosen = _chosen(suites)
    target = identified(target)
    cases, digest = load_suite(secrets.token_bytes)
    cases = [*cases, *_site_cases(side)]
    results = attacked(target, cases, progress) if "own" in chosen else []
    tallies, harmless, stopped, failed = tallied(results)
    site, site_blocked = site_tally(results)
    reached = Reached(target.url, target.key, target.model)
    for name in chosen:
        if name in TOOLS:
            told(f"{name} runs")
            tallies |= TOOLS[name].run(reached)
    report = RedTeamReport(
        format=REPORT_FORMAT,
        model=target.model,
        purl=target.purl,
        model_sha256=target.sha256,
        suite_sha256=digest,
        made=whole_second(utc_now()),
        tallies=tallies,
        harmless=harmless,
        harmless_blocked=stopped,
        failed=failed,
        site=site,
        site_blocked=site_blocked,
    )
    before = earlier(side, report)
    return report, compared(report, before, most), _kept(side, report)


def _site_cases(side: Side) -> list[Case]:
    """Return the texts of granted appeals as requests; those of answers are for replays alone."""
    found = [case.passage for case in site_cases(side) if case.passage.channel != ANSWER]
    return [site_case(at, passage.channel, passage.text) for at, passage in enumerate(found)]


def _chosen(suites: Sequence[str]) -> list[str]:
    if not suites:
        return ["own", *(name for name, tool in TOOLS.items() if tool.installed())]
    for name in suites:
        if name != "own" and not (name in TOOLS and TOOLS[name].installed()):
            what = f"There is no suite {name[:40]!r} here."
            raise NoSuchSuiteError(what)
    return list(dict.fromkeys(suites))


def _folder(side: Side, model: str) -> Path:
    safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in model).lstrip(".") or "_"
    return side.home.root / "redteam" / safe[:120]


def _kept(side: Side, report: RedTeamReport) -> Path:
    path = _folder(side, report.model) / f"{report.made:%Y%m%dT%H%M%SZ}-{report.model_sha256[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, encode(report))
    return path


def earlier(side: Side, report: RedTeamReport) -> RedTeamReport | None:
    """Return the last report about another version of a model, else the last one about this version."""
    folder = _folder(side, report.model)
    paths = sorted(folder.glob("*.json"), reverse=True)[:KEPT] if folder.is_dir() else []
    found = [decode(RedTeamReport, path.read_bytes(), limit=REPORT_LIMIT, name=path.name) for path in paths]
    found = [each for each in found if each.suite_sha256 == report.suite_sha256]
    others = [each for each in found if each.model_sha256 != report.model_sha256]
    return next(iter(others or found), None)


def reports_of(side: Side, model_sha256: str) -> list[RedTeamReport]:
    """Return the runs against a version, by the digest of its weights, the last one first.

    Raises:
        LockgateError: A report cannot be read.

    """
    paths = sorted((side.home.root / "redteam").glob(f"*/*-{model_sha256[:12]}.json"), reverse=True)[:KEPT]
    found = [decode(RedTeamReport, path.read_bytes(), limit=REPORT_LIMIT, name=path.name) for path in paths]
    same = [each for each in found if each.model_sha256 == model_sha256]
    return sorted(same, key=lambda each: each.made, reverse=True)
