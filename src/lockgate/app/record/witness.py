"""The witness: a program of its own, with its own key, that cosigns checkpoints of a lane's logs.

It needs nothing of a home: a key, the pinned site root, and a folder that remembers what it saw.
By HTTP it speaks C2SP tlog-witness (add-checkpoint); the log's side asks it through `submit`.
"""

import asyncio
import http.client
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from lockgate.app.gate.holds import LOG, put_hold
from lockgate.app.keys import KeyPlace
from lockgate.app.record.audit import bring_back, witness_request
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, signer_from, utc_now
from lockgate.audit import Checkpoint, Seen, Witness, WitnessRequest, parse_request
from lockgate.audit.errors import (
    FirstCheckpointError,
    ForkedLogError,
    NoteError,
    OutdatedProofError,
    TruncatedLogError,
)
from lockgate.audit.witness import REQUEST_LIMIT
from lockgate.core.errors import HostError, InputError, LockgateError, TrustError
from lockgate.core.roots import Purpose
from lockgate.trust.roots import load_newest_site_root, site_root_lane

ANSWER_LIMIT = 1 << 16
"""Longest answer of a witness that is read, in bytes."""

SECONDS = 20.0
"""How long a witness may take to answer."""

_OK, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROVEN = 200, 403, 404, 409, 422
_log = structlog.get_logger("lockgate.witness")


class WitnessUnreachableError(HostError):
    """A witness does not answer, or not as a witness does."""

    code = "LG-5f11"
    advice = "Check the address and that `lockgate witness serve` runs there; or carry a file."


class WitnessRefusedError(TrustError):
    """A witness refused to cosign a checkpoint."""

    code = "LG-2f10"
    advice = (
        "A witness refuses what does not continue the checkpoint that it saw last. Run "
        "`lockgate audit verify` and compare with its operator before anything else is admitted."
    )


class WitnessAddressError(InputError):
    """The address of a witness cannot be used."""

    code = "LG-1f10"
    advice = "Give an address such as http://127.0.0.1:8790."


def open_witness(key: KeyPlace, site_roots: Sequence[bytes], pin: str, state: Path) -> Witness:
    """Return the witness that a key and a state folder make.

    Args:
        key: A folder with ``witness.pem`` and ``witness.pass``, or a key in a token.
        site_roots: The pinned site root and those that followed it, oldest first.
        pin: The first one's digest, from the witness's own notes.
        state: Remembers what this witness saw last.

    Raises:
        PinMismatchError: Another site root.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not a witness's key.

    """
    site = load_newest_site_root(site_roots, pin, site_root_lane(site_roots[0]), utc_now())
    return Witness(site, signer_from(key, Purpose.WITNESS, site), Seen(state), utc_now)


def cosign_text(witness: Witness, text: str, *, first: bool) -> tuple[WitnessRequest, str]:
    """Return the request that a text carries, and its checkpoint with the witness's line."""
    request = parse_request(text)
    return request, request.note + witness.cosign(request, first=first)


def _status(error: LockgateError, witness: Witness, request: WitnessRequest) -> int:
    """Return the status that C2SP tlog-witness names for a refusal."""
    if isinstance(error, OutdatedProofError | ForkedLogError | TruncatedLogError):
        return _CONFLICT
    if request.origin not in witness.origins:
        return _NOT_FOUND
    if isinstance(error, FirstCheckpointError) or not isinstance(error, TrustError):
        return _FORBIDDEN
    return _UNPROVEN if "seen" in error.where else _FORBIDDEN


def make_app(witness: Witness, *, first: bool) -> web.Application:
    """Return the HTTP application of a witness (C2SP tlog-witness)."""

    async def add_checkpoint(asked: web.Request) -> web.Response:
        body = await asked.read()
        try:
            request = parse_request(body.decode())
        except (LockgateError, UnicodeDecodeError):
            return web.Response(status=400, text="malformed\n")
        try:
            line = await asyncio.to_thread(witness.cosign, request, first=first)
        except NoteError:
            return web.Response(status=400, text="malformed\n")
        except HostError as error:
            _log.error("memory failed", code=error.code)
            return web.Response(status=500, text=f"{error.code}\n")
        except LockgateError as error:
            status = _status(error, witness, request)
            _log.warning("refused", code=error.code, origin=request.origin[:80], old=request.old)
            if status == _CONFLICT:
                seen = error.where.get("seen", "")
                size = str(seen) if isinstance(seen, int) else str(request.old)
                return web.Response(status=status, text=f"{size}\n", content_type="text/x.tlog.size")
            return web.Response(status=status, text=f"{error.code}\n")
        return web.Response(text=line)

    app = web.Application(client_max_size=REQUEST_LIMIT)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    return app


def serve_witness(witness: Witness, host: str, port: int, *, first: bool) -> None:
    """Answer until a signal ends it."""
    web.run_app(make_app(witness, first=first), host=host, port=port, print=None, access_log=None)


def _ask(address: str, text: str) -> tuple[int, str]:
    """Send one request to exactly the address that was named; no proxy, no redirection."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
        what = f"{address[:120]!r} is not the address of a witness."
        raise WitnessAddressError(what)
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=SECONDS)
    try:
        path = parts.path.rstrip("/") + "/add-checkpoint"
        connection.request("POST", path, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
        answer = connection.getresponse()
        data = answer.read(ANSWER_LIMIT)
        return answer.status, data.decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        what = f"The witness at {parts.hostname}:{parts.port or 80} does not answer: {error}."
        raise WitnessUnreachableError(what) from error
    finally:
        connection.close()


def submit(side: Side, address: str) -> tuple[Checkpoint, list[str]]:
    """Have a witness cosign the log's checkpoint by HTTP and keep it; return it and who signed.

    Raises:
        WitnessUnreachableError: No answer, or not one of a witness.
        WitnessRefusedError: It refused.
        TruncatedLogError: It saw more leaves than the log has.
        CosignatureError: Its line is no valid cosignature.

    """
    request = witness_request(side)
    status, said = _ask(address, request.text)
    if status == _CONFLICT and said.strip().isdigit() and len(said) < len(str(1 << 63)):
        seen, size = int(said), audit_log(side).size()
        if seen > size:
            what = f"The witness says that it saw {seen} leaves of this log, which has {size}."
            records = records_of(side)
            with records.transaction() as tx:  # its word alone: there is no note to compare later
                put_hold(tx, LOG, f"the log is not what a witness saw: {what}", utc_now())
            records.close()
            raise TruncatedLogError(what, seen=seen, found=size)
        if seen != request.old:
            request = witness_request(side, seen)
            status, said = _ask(address, request.text)
    if status in {_CONFLICT, _UNPROVEN, _FORBIDDEN, _NOT_FOUND}:
        what = f"The witness refused the checkpoint (status {status}: {said.strip()[:80]})."
        raise WitnessRefusedError(what)
    if status != _OK:
        what = f"The witness answered with status {status}."
        raise WitnessUnreachableError(what)
    return bring_back(side, request.note + said)
