"""The console's pages of one's own: what is asked for, and appeals against the guards."""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lockgate.console.door import own_form
from lockgate.console.person import Viewer, viewer
from lockgate.console.ports import ConsoleData
from lockgate.core.errors import LockgateError
from lockgate.guard.appeals import AppealState
from lockgate.guard.replay import Ruling

ROWS = 200
"""Most requests or appeals on one page, the newest first."""


class Asking:
    """Endpoints for requests and appeals.

    Args:
        data: What is shown, and where forms go.
        page: Renders a template.

    """

    def __init__(self, data: ConsoleData, page: Callable[..., Response]) -> None:
        """Serve from this data."""
        self._data = data
        self._page = page

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/requests", self.requests, name="requests"),
            Route("/requests", self.ask, methods=["POST"]),
            Route("/appeals", self.appeals, name="appeals"),
            Route("/appeals", self.appeal, methods=["POST"]),
            Route("/appeals/{number:int}", self.one, name="appeal"),
            Route("/appeals/{number:int}/replay", self.replay, methods=["POST"]),
            Route("/appeals/{number:int}/decide", self.decide, methods=["POST"]),
        ]

    async def requests(self, request: Request) -> Response:
        """Answer with what is asked for and how far it came."""
        del request
        return await self._requests()

    async def _requests(self, status: int = HTTPStatus.OK, problem: str = "") -> Response:
        rows = await run_in_threadpool(self._data.wishes)
        return self._page("requests.html", status, rows=rows[::-1][:ROWS], total=len(rows), problem=problem)

    async def ask(self, request: Request) -> Response:
        """Take a request; its owner is whoever signed in."""
        given, who = await own_form(request), _signed_in()
        purl, reason = given.get("purl", "").strip(), given.get("reason", "").strip()
        try:
            await run_in_threadpool(self._data.wish, purl, reason, who.identity)
        except LockgateError as error:
            return await self._requests(HTTPStatus.CONFLICT, f"{error.what} {error.what_to_do}")
        return RedirectResponse("/requests", HTTPStatus.SEE_OTHER)

    async def appeals(self, request: Request) -> Response:
        """Answer with the appeals: one's own, or all for operators and auditors."""
        return await self._appeals(receipt=request.query_params.get("receipt", "")[:64])

    async def _appeals(self, status: int = HTTPStatus.OK, problem: str = "", receipt: str = "") -> Response:
        who = viewer.get()
        found = await run_in_threadpool(self._data.appeals)
        rows = [each for each in found if who is None or who.sees_all or each.caller == who.identity.id]
        shown = rows[::-1][:ROWS]
        return self._page(
            "appeals.html", status, rows=shown, total=len(rows), problem=problem, receipt=receipt
        )

    async def appeal(self, request: Request) -> Response:
        """Take an appeal about a receipt of whoever signed in."""
        given, who = await own_form(request), _signed_in()
        receipt, reason = given.get("receipt", "").strip(), given.get("reason", "").strip()
        text = given.get("text", "").replace("\r\n", "\n")
        try:
            made = await run_in_threadpool(self._data.appeal, receipt, reason, text, who.identity)
        except LockgateError as error:
            problem = f"{error.what} {error.what_to_do}"
            return await self._appeals(HTTPStatus.CONFLICT, problem, receipt[:64])
        return RedirectResponse(f"/appeals/{made.number}", HTTPStatus.SEE_OTHER)

    async def one(self, request: Request) -> Response:
        """Answer with one appeal; others' are for operators and auditors, and look like none to the rest."""
        return await self._one(int(request.path_params["number"]))

    async def _one(
        self,
        number: int,
        status: int = HTTPStatus.OK,
        *,
        problem: str = "",
        rulings: Sequence[Ruling] = (),
        reason: str = "",
    ) -> Response:
        who = viewer.get()
        found = await run_in_threadpool(self._data.appeals)
        shown = next((each for each in found if each.number == number), None)
        if shown is None or not (who is None or who.sees_all or shown.caller == who.identity.id):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        texts = shown.passages if who is not None else ()  # an open console shows nobody's texts
        open_, decides = shown.state is AppealState.OPEN, who is not None and who.decides
        own = who is not None and shown.caller == who.identity.id
        return self._page(
            "appeal.html",
            status,
            a=shown,
            texts=texts,
            rulings=rulings,
            replays=decides and bool(texts),
            decides=decides and open_ and bool(texts) and not own,
            problem=problem,
            reason=reason,
        )

    async def replay(self, request: Request) -> Response:
        """Answer with one appeal and what the guards of now decide about its texts, for operators."""
        await own_form(request)
        _operator()
        number = int(request.path_params["number"])
        try:
            rulings = await run_in_threadpool(self._data.replay_appeal, number)
        except LockgateError as error:
            problem = f"{error.what} {error.what_to_do}"
            return await self._one(number, HTTPStatus.CONFLICT, problem=problem)
        return await self._one(number, rulings=rulings)

    async def decide(self, request: Request) -> Response:
        """Take an operator's decision about an appeal of somebody else."""
        given, who = await own_form(request), _operator()
        number, reason = int(request.path_params["number"]), given.get("reason", "").strip()
        if (decision := given.get("decision", "")) not in {"grant", "refuse"} or not reason:
            problem = "A decision grants or refuses, and says why."
            return await self._one(number, HTTPStatus.BAD_REQUEST, problem=problem, reason=reason)
        settle = partial(
            self._data.decide_appeal,
            number,
            grant=decision == "grant",
            reason=reason,
            reviewer=who.identity,
        )
        try:
            await run_in_threadpool(settle)
        except LockgateError as error:
            problem = f"{error.what} {error.what_to_do}"
            return await self._one(number, HTTPStatus.CONFLICT, problem=problem, reason=reason)
        return RedirectResponse(f"/appeals/{number}", HTTPStatus.SEE_OTHER)


def _operator() -> Viewer:
    who = _signed_in()
    if not who.decides:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only operators decide this. Whoever is one may sign in.")
    return who


def _signed_in() -> Viewer:
    who = viewer.get()
    if who is None:
        raise HTTPException(HTTPStatus.FORBIDDEN)
    return who
