"""The mirror's server: one ASGI application for every protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from lockgate.core.errors import LockgateError
from lockgate.core.parts import parts_of
from lockgate.core.ports import Clock
from lockgate.mirror.access import CALLER, Access, PagesBeside, Worlds
from lockgate.mirror.blobs import LARGE, VerifiedBlobs
from lockgate.mirror.continuity import CLIENT
from lockgate.mirror.entries import Entry, Table
from lockgate.mirror.errors import UnsignedRepositoryError
from lockgate.mirror.front import front_page
from lockgate.mirror.metrics import Metrics
from lockgate.mirror.misses import Misses
from lockgate.mirror.named import Named
from lockgate.mirror.ports import Asked, BlobFiles
from lockgate.mirror.protocols.apt import AptRoutes
from lockgate.mirror.protocols.conda import CondaRoutes
from lockgate.mirror.protocols.git import GitRoutes
from lockgate.mirror.protocols.hub import HubRoutes
from lockgate.mirror.protocols.npm import NpmRoutes
from lockgate.mirror.protocols.oci import OciRoutes
from lockgate.mirror.protocols.pypi import PypiRoutes
from lockgate.mirror.protocols.rpm import RpmRoutes
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.ready import Ready
from lockgate.mirror.responses import BlobResponse
from lockgate.mirror.shell import Shell
from lockgate.mirror.switch import Switch
from lockgate.mirror.taking.hub import hub_doors
from lockgate.mirror.taking.hub_commit import HubDoor
from lockgate.mirror.taking.push import Internal, OpenNamespaces
from lockgate.mirror.taking.python import Door, doors
from lockgate.mirror.uses import Uses
from lockgate.mirror.view import SignedView

MISSES_SECONDS = 5.0
"""How often missed names are written down, in seconds, when there are new ones."""

USES_ROUNDS = 6
"""Every how many of those times uses are written down as well: their file is longer."""

_log = structlog.get_logger("lockgate.mirror")


def build_app(
    view: SignedView,
    files: BlobFiles,
    clock: Clock,
    *,
    hash_ahead: bool = True,
    internal: Internal | None = None,
    asked: Asked | None = None,
    access: Access | None = None,
    door: Door | None = None,
    models: HubDoor | None = None,
) -> Starlette:
    """Return the application that serves a view.

    Args:
        view: What is served.
        files: Where the blobs lie.
        clock: The present moment, for the snapshot's age.
        hash_ahead: Whether large blobs are hashed at the start, so that nobody waits for it.
        internal: What was pushed, and the namespaces where clients may push.
        asked: What the mirrors take from outside of the snapshot: advisories, their own address.
        access: Who may read what; none: everybody everything.
        door: Where Python projects are uploaded to; none: nowhere.
        models: Where models are uploaded to; none: nowhere.

    """
    metrics = Metrics(view, clock)
    asked = asked or Asked()

    def refused(digest: str) -> None:
        metrics.refused_blobs.inc()
        _log.error("blob refused", code="LG-2901", digest=digest)

    made = PagesBeside(files) if access else None
    worlds = Worlds(access, made.folder) if access and made else None
    uses = Uses(asked.uses, lambda: clock().date())
    blobs = VerifiedBlobs(made or files, refused, lambda digest: uses.add(digest, _who()))
    site = Site(
        view=view, blobs=blobs, metrics=metrics, misses=Misses(asked.misses), worlds=worlds, uses=uses
    )
    own = _OwnRoutes(site, asked.address)
    opened = internal.namespaces(refused) if internal else None
    git = GitRoutes(site, asked.address)
    routes = [
        *own.routes(),
        *PypiRoutes(site).routes(),
        *NpmRoutes(site, asked).routes(),
        *OciRoutes(site, opened, access).routes(),
        *AptRoutes(site).routes(),
        *RpmRoutes(site).routes(),
        *CondaRoutes(site).routes(),
        *git.routes(),
        *doors(site, door),
        *hub_doors(site, models, asked.address),
        *HubRoutes(site, asked.address).routes(),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            *([Middleware(Named, names=asked.names, address=asked.address)] if asked.names else []),
            Middleware(
                Shell,
                metrics=metrics,
                access=access,
                address=asked.address,
                ready=Ready(view),
                models=models is not None,
            ),
        ],
        lifespan=_lifespan(site, opened, git, made, hash_ahead=hash_ahead),
    )
    app.router.middleware_stack = Switch(routes, app.router.middleware_stack)
    app.router.redirect_slashes = False  # the catch-all route decides; redirects are the protocols' own
    app.state.site = site
    return app


def _who() -> str:
    """Return who takes something: the name of a key, or the address of a client without one."""
    caller = CALLER.get()
    return caller.name if caller and caller.name else (CLIENT.get() or "").partition(" ")[0]


class _OwnRoutes:
    """The front page, health, metrics and the plain file listing."""

    def __init__(self, site: Site, address: str) -> None:
        self._site = site
        self._address = address

    def routes(self) -> list[Route]:
        return [
            Route("/", self.front),
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/files", self.slash),
            Route("/files/{rest:path}", self.file),
        ]

    async def front(self, request: Request) -> Response:
        """Tell a person with a browser what is served, and where."""
        del request
        if self._site.view.stale():
            await asyncio.to_thread(self._site.view.refresh)
        return HTMLResponse(front_page(self._site.view.status.statement, self._address))

    async def health(self, request: Request) -> Response:
        """Say what is served, and the code of what was refused."""
        del request
        if self._site.view.stale():
            await asyncio.to_thread(self._site.view.refresh)
        status = self._site.view.status
        served, refused = status.statement, status.refused
        body = {
            "status": "empty" if served is None else "degraded" if refused else "serving",
            "channel": served.channel if served else None,
            "version": served.channel_version if served else None,
            "snapshot": served.snapshot_sha256 if served else None,
            "refused": refused.code if refused else None,
            "second_signature": status.debt(self._site.metrics.clock()).name.lower(),
        }
        return JSONResponse(body, HTTPStatus.OK if served else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Answer in Prometheus' text format."""
        del request
        text = generate_latest(self._site.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def slash(self, request: Request) -> Response:
        """Redirect to the listing."""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/files/", HTTPStatus.MOVED_PERMANENTLY)

    async def file(self, request: Request) -> Response:
        """Answer with a document, a plain file, a listing or its checksums."""
        path = "/".join(segments(request)[1:])
        table = await self._site.table()
        await self._site.survey(table)
        entry = table.files.get(path)
        if entry is None:
            return PlainTextResponse("No file of this name has been admitted.\n", HTTPStatus.NOT_FOUND)
        return BlobResponse(self._site.blobs, entry)


def _lifespan(
    site: Site, opened: OpenNamespaces | None, git: GitRoutes, made: PagesBeside | None, *, hash_ahead: bool
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        ahead = asyncio.ensure_future(_hash_large(site)) if hash_ahead else None
        keeping = asyncio.ensure_future(_keep_misses(site))
        try:
            yield
        finally:
            if ahead:
                ahead.cancel()
            keeping.cancel()
            await _save_misses(site)
            await _save_uses(site)
            site.blobs.close()
            git.close()
            if opened:
                opened.close()
            if made:
                made.close()

    return lifespan


async def _keep_misses(site: Site) -> None:
    """Write down from time to time what was asked for in vain, and more rarely what was taken."""
    rounds = 0
    while True:
        await asyncio.sleep(MISSES_SECONDS)
        rounds += 1
        await _save_misses(site)
        if rounds % USES_ROUNDS == 0:
            await _save_uses(site)


async def _save_misses(site: Site) -> None:
    try:
        await asyncio.to_thread(site.misses.save)
    except OSError as error:
        _log.warning("missed names not kept", error=error.strerror)


async def _save_uses(site: Site) -> None:
    try:
        await asyncio.to_thread(site.uses.save)
    except OSError as error:
        _log.warning("uses not kept", error=error.strerror)


async def _newest(site: Site) -> Table:
    await asyncio.to_thread(site.view.refresh)
    return site.view.table


async def _large(site: Site, table: Table) -> list[tuple[str, int]]:
    """Return digests and lengths of long files; not of Python projects in parts, which would all be read."""
    surveyed = await site.survey(table)
    if surveyed is not None:
        signed = table.repository.releases if table.repository else {}
        for path in sorted(surveyed.releases.difference(signed)):
            _log.error("repository not served", code=UnsignedRepositoryError.code, path=path)
        return list(surveyed.large.items())
    entries = [*_large_packages(table), *table.files.values()]
    entries += [e for p in table.npm.values() for e in p.archives.values()]
    entries += [e for m in table.models.values() for r in m.revisions.values() for e in r.files.values()]
    entries += [*table.apt.files.values(), *table.rpm.files.values(), *table.conda.values()]
    entries += [entry for each in table.git.values() for entry in each.large.values()]
    entries += [entry for image in table.images.by_name.values() for entry in image.blobs.values()]
    return [(entry.sha256, entry.size) for entry in entries if entry.size > LARGE]


def _large_packages(table: Table) -> Iterator[Entry]:
    if parts_of(table.snapshot) is None:
        yield from table.packages.values()


async def _hash_large(site: Site) -> None:
    """Hash the large blobs of the snapshot, one after another; trouble is logged, not raised."""
    try:
        table = site.view.table if not site.view.stale() else await _newest(site)
        large = await _large(site, table)
    except LockgateError as error:
        _log.warning("nothing to serve yet", code=error.code, error=error.what)
        return
    for digest, size in large:
        try:
            (await site.blobs.open(digest, size)).close()
        except LockgateError as error:
            _log.error("blob not served", code=error.code, error=error.what, digest=digest)
