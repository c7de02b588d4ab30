"""Questions of ``npm audit`` and what they are answered with.

Sources: npm's `@npmcli/metavuln-calculator` and `npm-audit-report` (bulk), yarn's and pnpm's older
``audits`` (a whole tree, answered with one report). The answers rest on what `app` joins; where
nobody can tell, there is no answer, and never a clean one.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from starlette.requests import Request

from lockgate.mirror.errors import QuestionError, QuestionLimitError
from lockgate.mirror.ports import Advice, Advisor, KnownAdvisory

BODY_LIMIT = 8 * 1024 * 1024
"""Longest question, in bytes as sent; unpacked it may have `UNPACKED` times as many."""

UNPACKED = 8
PAIRS_LIMIT = 100_000
"""How many versions one question may ask about."""

DEPTH = 200
"""How deep a tree of an older question may be."""

_GZIP = 16 + zlib.MAX_WBITS
_LEVELS = ("info", "low", "moderate", "high", "critical")
_SEVERITIES = {"medium": "moderate"}

Answer = tuple[dict[str, Any], tuple[str, ...]]


async def bulk(request: Request, advisor: Advisor) -> Answer:
    """Answer a bulk question: ``{name: [version, …]}`` in, ``{name: [advisory, …]}`` out.

    Raises:
        QuestionError, QuestionLimitError: The question.
        LockgateError: Nobody can tell.

    """
    try:
        packages = msgspec.json.decode(await _body(request), type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"The question is malformed: {error}."
        raise QuestionError(what) from error
    advice = await _advice(advisor, packages)
    return {name: [_advisory(one) for one in known] for name, known in advice.found.items()}, advice.notices


async def audit(request: Request, advisor: Advisor) -> Answer:
    """Answer an older question, which holds the tree of a project, with one report.

    Raises:
        QuestionError, QuestionLimitError: The question.
        LockgateError: Nobody can tell.

    """
    try:
        tree = msgspec.json.decode(await _body(request), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"The question is malformed: {error}."
        raise QuestionError(what) from error
    paths: dict[tuple[str, str], list[str]] = {}
    _walk(tree, (), paths)
    packages: dict[str, list[str]] = {}
    for name, version in paths:
        packages.setdefault(name, []).append(version)
    advice = await _advice(advisor, packages)
    advisories = {
        str(_number(name, one)): {
            **_advisory(one),
            "id": _number(name, one),
            "module_name": name,
            "patched_versions": f">={one.fixed}" if one.fixed else "<0.0.0",
            "overview": one.title,
            "recommendation": f"Upgrade to {one.fixed}" if one.fixed else "None",
            "findings": [{"version": v, "paths": paths[name, v]} for v in one.versions],
            "cves": [one.id] if one.id.startswith("CVE-") else [],
            "github_advisory_id": one.id,
        }
        for name, known in advice.found.items()
        for one in known
    }
    levels = Counter(one["severity"] for one in advisories.values())
    metadata = {
        "vulnerabilities": {level: levels[level] for level in _LEVELS},
        "totalDependencies": len(paths),
    }
    return {"actions": [], "advisories": advisories, "muted": [], "metadata": metadata}, advice.notices


async def _advice(advisor: Advisor, packages: Mapping[str, Sequence[str]]) -> Advice:
    if sum(len(versions) for versions in packages.values()) > PAIRS_LIMIT:
        what = f"The question asks about more than {PAIRS_LIMIT} versions."
        raise QuestionLimitError(what, limit="PAIRS_LIMIT")
    return await asyncio.to_thread(advisor.npm, packages)


async def _body(request: Request) -> bytes:
    """Return a question's bytes, unpacked where they are packed."""
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > BODY_LIMIT:
            what = f"The question is longer than {BODY_LIMIT} bytes."
            raise QuestionLimitError(what, limit="BODY_LIMIT")
    if request.headers.get("content-encoding", "identity").lower() != "gzip":
        return bytes(raw)
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(bytes(raw), BODY_LIMIT * UNPACKED)
    except zlib.error as error:
        what = f"The question cannot be unpacked: {error}."
        raise QuestionError(what) from error
    if unpacker.unconsumed_tail:
        what = f"The question unpacks to more than {BODY_LIMIT * UNPACKED} bytes."
        raise QuestionLimitError(what, limit="BODY_LIMIT")
    return plain


def _walk(node: Mapping[str, Any], path: tuple[str, ...], paths: dict[tuple[str, str], list[str]]) -> None:
    """Collect every package of a tree with the ways to it."""
    if len(path) > DEPTH or len(paths) > PAIRS_LIMIT:
        what = f"The question's tree is deeper than {DEPTH} or larger than {PAIRS_LIMIT}."
        raise QuestionLimitError(what, limit="DEPTH")
    children = node.get("dependencies")
    for name, child in children.items() if isinstance(children, dict) else ():
        if isinstance(child, dict) and isinstance(child.get("version"), str):
            here = (*path, name)
            paths.setdefault((name, child["version"]), []).append(">".join(here))
            _walk(child, here, paths)


def _advisory(one: KnownAdvisory) -> dict[str, Any]:
    severity = _SEVERITIES.get(one.severity, one.severity)
    return {
        "id": _number("", one),
        "url": f"lockgate:advisories/{one.id}",
        "title": one.title or one.id,
        "severity": severity if severity in _LEVELS else "high",
        "vulnerable_versions": one.ranges,
        "cwe": [],
        "cvss": {"score": max(one.score_tenths, 0) / 10, "vectorString": None},
    }


def _number(name: str, one: KnownAdvisory) -> int:
    """Return the number that clients tell advisories apart by: always the same for one."""
    return int.from_bytes(sha256(f"{name} {one.id}".encode()).digest()[:6], "big")
