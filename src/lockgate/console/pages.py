"""The console's pages: an address in, a page out. Nothing here changes anything."""

from collections.abc import Iterable
from http import HTTPStatus

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate import __version__
from lockgate.advisories.errors import NoAdvisoryDataError
from lockgate.app.high.artifacts import ArtifactFacts
from lockgate.approve.errors import NothingPublishedError
from lockgate.console.approving import Approving
from lockgate.console.asking import Asking
from lockgate.console.catalogue import Searching
from lockgate.console.door import Door, Doors, SigningIn
from lockgate.console.person import viewer
from lockgate.console.ports import ConsoleData, CrossingDetail
from lockgate.console.settings import ClientSettings
from lockgate.console.shell import Shell
from lockgate.console.templating import asset, environment
from lockgate.console.tracing import Tracing
from lockgate.core.custody import BREAKS
from lockgate.core.difference import GRAVE
from lockgate.core.errors import LockgateError
from lockgate.core.provenance import Fact
from lockgate.core.sequence import FINAL
from lockgate.core.verdict import Outcome
from lockgate.core.wire import digest_of

ROWS = 200
"""How many verdicts stand on one page."""

_HTML = "text/html; charset=utf-8"
_STYLES = ("base.css", "console.css")
_REFUSED = {
    HTTPStatus.BAD_REQUEST: "This address or form asks for something that the console cannot understand.",
    HTTPStatus.FORBIDDEN: "This form did not come from a page of yours. Load the page anew; send it there.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address that the console can show.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address is read, or takes a form; not this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "What was sent is longer than anything that this page takes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "What was sent is no form of the kind that this page takes.",
}
"""What a refusal by each status says to whoever looks at it."""
_log = structlog.get_logger("lockgate.console")


class Endings(Collector):
    """How long the roots and every key in them still live, asked for at each scrape."""

    def __init__(self, data: ConsoleData) -> None:
        """Ask this data."""
        self._data = data

    def describe(self) -> Iterable[Metric]:
        """Return what there will be, without asking anybody."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the seconds left of each; none when the trust folder does not verify."""
        family = self._family()
        broken = 0.0
        try:
            for each in self._data.endings():
                family.add_metric([each.root, each.what, each.person, each.identifier], each.seconds_left)
        except LockgateError as error:
            _log.error("roots do not verify", code=error.code)
            broken = 1.0
        yield family
        yield GaugeMetricFamily("lockgate_trust_broken", "1 while the roots do not verify.", value=broken)

    @staticmethod
    def _family() -> GaugeMetricFamily:
        text = "Seconds until a root, a key or a recipient ends; negative afterwards."
        return GaugeMetricFamily(
            "lockgate_trust_seconds_left", text, labels=["root", "what", "person", "key"]
        )


_ALERTS = (
    ("lockgate_second_signature", "0: none is owed; 1: one is due; 2: one is overdue; -1: nobody can tell."),
    ("lockgate_second_signature_seconds", "Time left for the second signature; below 0: overdue."),
    ("lockgate_crossings_held", "Crossings that wait and that an operator holds."),
    ("lockgate_verdicts_changed", "Artifacts of which newer verdicts say something else."),
    ("lockgate_verdicts_beyond", "Artifacts that are served though newer verdicts hold them."),
    ("lockgate_verdicts_old", "Artifacts that the newest run had not looked at again when it told last."),
    ("lockgate_witness_up", "1 when a witness cosigned as it was asked last."),
    ("lockgate_witness_age_seconds", "How long ago a witness cosigned last."),
)


class AlertMetrics(Collector):
    """What has to be looked at, asked for at each scrape."""

    def __init__(self, data: ConsoleData) -> None:
        """Ask this data."""
        self._data = data

    def describe(self) -> Iterable[Metric]:
        """Return what there will be, without asking anybody."""
        return self.families()

    def collect(self) -> Iterable[Metric]:
        """Return the debt of second signatures, what is held, and how the witnesses are."""
        found, families = self._data.alerts(), self._families()
        families["lockgate_second_signature"].add_metric([], found.debt)
        if found.debt_seconds is not None:
            families["lockgate_second_signature_seconds"].add_metric([], found.debt_seconds)
        families["lockgate_crossings_held"].add_metric([], found.held)
        if found.verdicts is not None:
            changed, beyond, old = found.verdicts
            families["lockgate_verdicts_changed"].add_metric([], changed)
            families["lockgate_verdicts_beyond"].add_metric([], beyond)
            families["lockgate_verdicts_old"].add_metric([], old)
        for address, cosigned, age in found.witnesses:
            families["lockgate_witness_up"].add_metric([address], float(cosigned))
            if age is not None:
                families["lockgate_witness_age_seconds"].add_metric([address], age)
        return families.values()

    @classmethod
    def families(cls) -> list[Metric]:
        """Return all of them, without a value."""
        return list(cls._families().values())

    @staticmethod
    def _families() -> dict[str, GaugeMetricFamily]:
        return {
            name: GaugeMetricFamily(name, text, labels=["witness"] if "witness" in name else [])
            for name, text in _ALERTS
        }


class Pages:
    """The console's endpoints over one source of data."""

    def __init__(self, data: ConsoleData, *, doors: bool = False) -> None:
        """Show this data; with `doors`, to those who signed in."""
        self._data = data
        self._doors = doors
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "lockgate_console_requests", "Requests answered.", ["page", "status"], registry=self.registry
        )
        self.registry.register(Endings(data))
        self.registry.register(AlertMetrics(data))
        self._style = "\n".join(asset(name) for name in _STYLES)
        self._icon = asset("icon.svg")

    def page(self, template: str, status: int = HTTPStatus.OK, /, **context: object) -> Response:
        """Return a page from its template."""
        text = (
            environment()
            .get_template(template)
            .render(
                lane=self._data.lane,
                assurance=self._data.assurance,
                version=__version__,
                doors=self._doors,
                who=viewer.get(),
                **context,
            )
        )
        return Response(text, status, media_type=_HTML)

    async def overview(self, request: Request) -> Response:
        """Answer the first page."""
        del request
        content = await run_in_threadpool(self._data.overview)
        return self.page("overview.html", o=content)

    async def crossing(self, request: Request) -> Response:
        """Answer one crossing's page; ``?outcome=`` filters its verdicts, ``?page=`` turns over."""
        detail = await run_in_threadpool(self._data.crossing, int(request.path_params["sequence"]))
        if detail is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        chosen = _chosen(request.query_params.get("outcome", ""))
        rows = [v for v in detail.verdicts if chosen is None or v.outcome is chosen]
        pages = max(1, -(-len(rows) // ROWS))
        page = _number(request.query_params.get("page", "1"), pages)
        return self.page(
            "crossing.html",
            d=detail,
            ended=detail.row.state in FINAL,
            counts=_counts(detail),
            chosen=chosen,
            rows=rows[(page - 1) * ROWS : page * ROWS],
            matching=len(rows),
            page=page,
            pages=pages,
        )

    async def models(self, request: Request) -> Response:
        """Answer what is known of the models that are served, and what their licences forbid."""
        del request
        rows = await run_in_threadpool(self._data.models)
        return self.page("models.html", rows=rows[:ROWS], total=len(rows))

    async def difference(self, request: Request) -> Response:
        """Answer what approving a crossing would change, the gravest first."""
        sequence = int(request.path_params["sequence"])
        if await run_in_threadpool(self._data.crossing, sequence) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        drawn = await run_in_threadpool(self._data.difference, sequence)
        return self.page("difference.html", n=sequence, d=drawn, sha256=digest_of(drawn), grave=GRAVE)

    async def artifact(self, request: Request) -> Response:
        """Answer one artifact of a crossing (``?purl=``) with all that is known of it."""
        sequence, purl = int(request.path_params["sequence"]), request.query_params.get("purl", "")
        found = await run_in_threadpool(self._data.artifact, sequence, purl)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return self.page(
            "artifact.html",
            a=found,
            grave=GRAVE,
            breaks=BREAKS,
            provenance=_provenance(found),
            ended=found.state in FINAL,
        )

    async def exposure(self, request: Request) -> Response:
        """Answer how exposed what is served is, the worst first; or what lacks before that is known."""
        del request
        try:
            found = await run_in_threadpool(self._data.exposure)
        except (NoAdvisoryDataError, NothingPublishedError) as error:
            return self.page("unexposed.html", code=error.code, advice=error.what_to_do)
        rows = sorted(found.exposed, key=lambda each: (-len(each.open), each.purl))
        return self.page("exposure.html", r=found, rows=rows[:ROWS], total=len(rows))

    async def custody(self, request: Request) -> Response:
        """Answer how a crossing's package came: its hand-overs as a timeline, and what they show."""
        sequence = int(request.path_params["sequence"])
        detail = await run_in_threadpool(self._data.crossing, sequence)
        if detail is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        report = await run_in_threadpool(self._data.custody, sequence)
        return self.page("custody.html", d=detail, report=report, breaks=BREAKS)

    async def style(self, request: Request) -> Response:
        """Answer the style sheet."""
        del request
        return Response(self._style, media_type="text/css")

    async def icon(self, request: Request) -> Response:
        """Answer the icon."""
        del request
        return Response(self._icon, media_type="image/svg+xml")

    async def health(self, request: Request) -> Response:
        """Answer that the console runs, and how urgent a second signature is."""
        del request
        debt = (await run_in_threadpool(self._data.alerts)).debt
        said = {0: "none", 1: "due", 2: "overdue"}.get(debt, "unknown")
        return JSONResponse({"status": "ok", "version": __version__, "second_signature": said})

    async def metrics(self, request: Request) -> Response:
        """Answer the metrics."""
        del request
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def refused(self, request: Request, error: Exception) -> Response:
        """Answer an address that is not there, a request that makes no sense, or one that may not be made."""
        del request
        status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
        headers = error.headers if isinstance(error, HTTPException) else None
        told = _REFUSED.get(status, "The console does not answer this request.")
        if isinstance(error, HTTPException) and error.detail != status.phrase:
            told = error.detail
        page = self.page("trouble.html", status, title=status.phrase, code="", what="", advice="", told=told)
        page.headers.update(headers or {})
        return page

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer one of our errors: what happened and what to do about it."""
        if not isinstance(error, LockgateError):
            _log.error("unexpected failure", path=request.url.path[:200], exc_info=error)
            return self.page(
                "trouble.html",
                HTTPStatus.INTERNAL_SERVER_ERROR,
                title="The console failed",
                code="LG-0000",
                what="Something unexpected happened.",
                advice="The console's log says what.",
            )
        _log.warning("page not shown", code=error.code, error=error.what)
        return self.page(
            "trouble.html",
            HTTPStatus.SERVICE_UNAVAILABLE,
            title="This cannot be shown",
            code=error.code,
            what=error.what,
            advice=error.what_to_do,
        )


def build_app(data: ConsoleData, hosts: Iterable[str] = (), doors: Doors | None = None) -> Shell:
    """Return the console's ASGI application.

    Args:
        data: What it shows.
        hosts: Names and addresses that requests may ask for, beside loopback's.
        doors: How people come in; none: the console is open to whoever reaches it.

    """
    pages = Pages(data, doors=doors is not None)
    routes = [
        Route("/", pages.overview, name="overview"),
        Route("/crossings/{sequence:int}", pages.crossing, name="crossing"),
        Route("/crossings/{sequence:int}/custody", pages.custody, name="custody"),
        Route("/crossings/{sequence:int}/difference", pages.difference, name="difference"),
        Route("/crossings/{sequence:int}/artifact", pages.artifact, name="artifact"),
        Route("/exposure", pages.exposure, name="exposure"),
        Route("/models", pages.models, name="models"),
        *Searching(data, pages.page).routes(),
        *Tracing(data, pages.page).routes(),
        *Approving(data, pages.page).routes(),
        *Asking(data, pages.page).routes(),
        *(SigningIn(doors, pages.page).routes() if doors else ()),
        *ClientSettings(data, pages.page).routes(),
        Route("/static/console.css", pages.style, name="style"),
        Route("/static/icon.svg", pages.icon, name="icon"),
        Route("/healthz", pages.health, name="health"),
        Route("/metrics", pages.metrics, name="metrics"),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: pages.refused,
            LockgateError: pages.failed,
            Exception: pages.failed,
        },
    )
    inner = Door(app, doors, pages.page) if doors else app
    return Shell(inner, pages.requests, hosts, forms=doors is not None)


def _provenance(found: ArtifactFacts) -> list[tuple[str, tuple[Fact, ...]]]:
    """Return what signatures say, by file."""
    return [(verdict.path, verdict.facts) for verdict in found.verdicts if verdict.facts]


def _chosen(text: str) -> Outcome | None:
    if not text:
        return None
    if text not in list(Outcome):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return Outcome(text)


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len("1000000") and 1 <= int(text) <= most):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return int(text)


def _counts(detail: CrossingDetail) -> dict[Outcome, int]:
    found = dict.fromkeys(Outcome, 0)
    for verdict in detail.verdicts:
        found[verdict.outcome] += 1
    return found
