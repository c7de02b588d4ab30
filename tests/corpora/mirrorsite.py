"""A mirror over real files with a channel that nobody signed: what mirror tests start from."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import msgspec

from corpora.lanekey import LaneKey
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.conda import conda_path, conda_purl
from lockgate.core.deb import deb_purl, pool_folder
from lockgate.core.git import large_path, refs_text
from lockgate.core.npm import npm_purl
from lockgate.core.parts import open_snapshot, snapshot_digest
from lockgate.core.rpm import rpm_path, rpm_purl
from lockgate.core.snapshot import SNAPSHOT_FORMAT, Admitted, Snapshot
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import decode, encode
from lockgate.mirror import (
    ChannelVerifier,
    NothingPublishedError,
    SignedView,
    VerifiedChannel,
    generate_pages,
)
from lockgate.mirror.ports import RegistryKey
from lockgate.store.blobs import FileBlobs

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class UnsignedChannel(ChannelVerifier):
    """Believes whatever statement lies in a file. A test double: it checks no signature."""

    def __init__(self, file, blobs, signed=None):
        self.file, self.blobs, self.signed = Path(file), blobs, signed or (lambda *_: None)

    def token(self):
        try:
            facts = self.file.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    def current(self):
        if not self.file.is_file():
            what = "No channel file."
            raise NothingPublishedError(what)
        statement = decode(Statement, self.file.read_bytes())
        snapshot = open_snapshot(statement.snapshot_sha256, self.blobs)
        return VerifiedChannel(statement, snapshot, repository=self.signed(statement, snapshot))


def statement_for(snapshot, version, **changes):
    """Return a statement that publishes a snapshot."""
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane="test",
        operation=Operation.PUBLISH,
        crossing=version,
        crate_sha256=NOTHING,
        snapshot_sha256=snapshot_digest(snapshot),
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=NOTHING,
        custody_sha256=NOTHING,
        channel="stable",
        channel_version=version,
        previous_sha256=NOTHING,
        requester="operator",
        log_checkpoint="",
        nonce="0" * 32,
        created=START,
        expires=START + timedelta(days=7),
    )
    return msgspec.structs.replace(statement, **changes)


def admitted(artifact, crossing=1):
    """Return an artifact as a snapshot lists it."""
    return Admitted(
        artifact=artifact,
        crossing=crossing,
        crate_sha256=NOTHING,
        verdicts_sha256=NOTHING,
        outcome="clean",
    )


def _placed(suites, repository, component, architecture):
    places = " ".join(f"{repository}:{suite}:{component}" for suite in suites)
    return {"places": places, "architecture": architecture}


@dataclass
class MirrorSite:
    """A home folder with blobs and a channel, filled by the test."""

    root: Path
    entries: list[Admitted] = field(default_factory=list)
    version: int = 0

    def __post_init__(self):
        self.blobs = FileBlobs(self.root / "blobs")
        self.channel = self.root / "channel.json"

    def npm_keys(self):
        """Return the keys of npm registries that a test put beside the channel, by their ids."""
        return [
            RegistryKey(file.stem, file.read_bytes()) for file in sorted(self.root.glob("npm-keys/*.der"))
        ]

    def file(self, path, data, role=Role.OTHER, **facts):
        self.blobs.put_bytes(data)
        return ArtifactFile(path=path, role=role, size=len(data), sha256=sha256(data).hexdigest(), **facts)

    def add(self, artifact, crossing=1):
        self.entries.append(admitted(artifact, crossing))
        return artifact

    def add_wheels(self, name, version, *wheels, crossing=1, metadata=True, **attributes):
        files = []
        for wheel in wheels:
            path = f"python/{name}/{wheel.filename}"
            files.append(self.file(path, wheel.data, Role.DISTRIBUTION, uploaded=START))
            if metadata:
                files.append(self.file(f"{path}.metadata", wheel.metadata, Role.CORE_METADATA))
        return self.add(
            Artifact(
                purl=f"pkg:pypi/{name}@{version}",
                kind=Kind.PYTHON,
                name=name,
                version=version,
                files=tuple(files),
                attributes={key.replace("_", "-"): value for key, value in attributes.items()},
            ),
            crossing,
        )

    def add_model(self, model, contents, *, commit=COMMIT, weights=("model.gguf",), crossing=1, **attributes):
        files = [
            self.file(f"models/{model}/{path}", data, Role.WEIGHTS if path in weights else Role.CONFIGURATION)
            for path, data in contents.items()
        ]
        return self.add(
            Artifact(
                purl=f"pkg:huggingface/{model}@{commit}",
                kind=Kind.MODEL,
                name=model,
                version=commit,
                files=tuple(files),
                attributes=attributes,
            ),
            crossing,
        )

    def add_npm(self, package, *, crossing=1):
        path = f"npm/{package.name}/{package.filename}"
        return self.add(
            Artifact(
                purl=npm_purl(package.name, package.version),
                kind=Kind.NPM,
                name=package.name,
                version=package.version,
                files=(
                    self.file(path, package.data, Role.DISTRIBUTION),
                    self.file(f"{path}.json", encode(package.known), Role.CORE_METADATA),
                ),
            ),
            crossing,
        )

    def add_deb(self, deb, *places, repository="debian", component="main", crossing=1):
        """Add a binary package; `places` are suites, of the component."""
        path = deb.path(repository, component)
        return self.add(
            Artifact(
                purl=deb_purl("debian", deb.name, deb.version, deb.architecture),
                kind=Kind.APT,
                name=f"{repository}/{deb.name}",
                version=deb.version,
                files=(
                    self.file(path, deb.data, Role.DISTRIBUTION),
                    self.file(f"{path}.json", encode(deb.known), Role.CORE_METADATA),
                ),
                attributes=_placed(places, repository, component, deb.architecture),
            ),
            crossing,
        )

    def add_source(self, source, *places, repository="debian", component="main", crossing=1):
        folder = pool_folder(repository, component, source.name)
        files = [self.file(f"{folder}/{n}", data, Role.DISTRIBUTION) for n, data in source.files.items()]
        known = self.file(f"{folder}/{source.name}.json", encode(source.known), Role.CORE_METADATA)
        return self.add(
            Artifact(
                purl=deb_purl("debian", source.name, source.version, "source"),
                kind=Kind.APT,
                name=f"{repository}/{source.name}",
                version=source.version,
                files=(*files, known),
                attributes=_placed(places, repository, component, "source"),
            ),
            crossing,
        )

    def add_suite(self, about, *, crossing=1):
        path = f"apt/{about.repository}/dists/{about.suite}/suite.json"
        name = f"{about.repository}/dists/{about.suite}"
        artifact = Artifact(
            purl=f"pkg:generic/{name}",
            kind=Kind.APT,
            name=name,
            version=about.released or "1",
            files=(self.file(path, encode(about), Role.MANIFEST),),
        )
        self.entries = [a for a in self.entries if a.artifact.purl != artifact.purl]
        return self.add(artifact, crossing)

    def add_rpm(self, package, data, *places, repository="rocky", crossing=1):
        """Add a package as its index describes it; `places` are channel and architecture."""
        path = rpm_path(repository, package)
        listed = " ".join(f"{repository}:{place}" for place in places)
        return self.add(
            Artifact(
                purl=rpm_purl(repository, package),
                kind=Kind.RPM,
                name=f"{repository}/{package.name}",
                version=package.evr,
                files=(
                    self.file(path, data, Role.DISTRIBUTION),
                    self.file(f"{path}.json", encode(package), Role.CORE_METADATA),
                ),
                attributes={"places": listed, "architecture": package.architecture},
            ),
            crossing,
        )

    def add_rpm_repository(self, about, keys, *, crossing=1):
        """Add what is known of a repository, and its distribution's keys."""
        artifact = Artifact(
            purl=f"pkg:generic/{about.folder}",
            kind=Kind.RPM,
            name=f"{about.repository}/repodata/{about.channel}/{about.architecture}",
            version="1",
            files=(
                self.file(f"{about.folder}/repository.json", encode(about), Role.MANIFEST),
                self.file(f"{about.folder}/keys.asc", keys.encode(), Role.OTHER),
            ),
        )
        self.entries = [a for a in self.entries if a.artifact.purl != artifact.purl]
        return self.add(artifact, crossing)

    def add_conda(self, package, data, *, channel="science", crossing=1):
        """Add a package as its channel's index describes it."""
        path = conda_path(channel, package)
        return self.add(
            Artifact(
                purl=conda_purl(channel, package),
                kind=Kind.CONDA,
                name=f"{channel}/{package.name}",
                version=package.release,
                files=(
                    self.file(path, data, Role.DISTRIBUTION),
                    self.file(f"{path}.json", encode(package), Role.CORE_METADATA),
                ),
                attributes={"channel": channel, "architecture": package.subdir},
            ),
            crossing,
        )

    def add_git(self, name, bundle, refs, *, crossing=1, large=()):
        commit = next(iter(refs.values()))
        paths = [large_path(name, sha256(data).hexdigest(), "x.bin") for data in large]
        artifact = Artifact(
            purl=f"pkg:generic/git/{name}@{commit}",
            kind=Kind.GIT,
            name=name,
            version=commit,
            files=(
                self.file(f"git/{name}/{commit}.bundle", bundle, Role.DISTRIBUTION),
                *(self.file(p, data, Role.BLOB) for p, data in zip(paths, large, strict=True)),
            ),
            attributes={"refs": refs_text(refs)},
        )
        self.entries = [a for a in self.entries if a.artifact.name != name]
        return self.add(artifact, crossing)

    def add_document(self, path, data, *, crossing=1):
        file = self.file(path, data, Role.DOCUMENT)
        purl = f"pkg:generic/{path.replace('/', '.')}@{file.sha256[:12]}"
        artifact = Artifact(purl=purl, kind=Kind.DOCUMENT, name=path, version=file.sha256[:12], files=(file,))
        return self.add(artifact, crossing)

    def snapshot(self):
        pages = generate_pages(self.entries, self.blobs.read)
        for page in pages:
            self.blobs.put_bytes(page.body)
        return Snapshot(
            format=SNAPSHOT_FORMAT,
            lane="test",
            created=START,
            admitted=tuple(self.entries),
            generated=tuple(page.generated() for page in pages),
        )

    def publish(self, **changes):
        """Publish what was added as the next version; return the statement."""
        self.version += 1
        snapshot = self.snapshot()
        self.blobs.put_bytes(encode(snapshot))
        statement = statement_for(snapshot, self.version, **changes)
        self.write_channel(encode(statement))
        return statement

    def write_channel(self, data):
        partial = self.channel.with_suffix(".new")
        partial.write_bytes(data)
        partial.replace(self.channel)

    def view(self, elapsed=time.monotonic):
        signed = LaneKey.at(self.root / "repository.key").signed(self.blobs)
        return SignedView(UnsignedChannel(self.channel, self.blobs, signed), elapsed)

    def app(self, **options):
        from lockgate.mirror import build_app

        clock = options.pop("clock", lambda: START + timedelta(hours=1))
        return build_app(self.view(), self.blobs, clock, hash_ahead=False, **options)


def app_from_environment():
    """Return the application for the home in LOCKGATE_HOME: what a server process loads."""
    from lockgate.app.advice.registry import RecordedAdvisor
    from lockgate.mirror import Asked, build_app

    site = MirrorSite(Path(os.environ["LOCKGATE_HOME"]))
    asked = Asked(
        advisor=RecordedAdvisor(side_with_advisories(site.root / "advisories")), npm_keys=site.npm_keys
    )
    return build_app(site.view(), site.blobs, lambda: datetime.now(UTC), asked=asked)


def app_without_haste():
    """Return the application for the home in LOCKGATE_HOME, for which no time passes: no client is slow."""
    from lockgate.mirror import build_app

    site = MirrorSite(Path(os.environ["LOCKGATE_HOME"]))
    return build_app(site.view(lambda: 0.0), site.blobs, lambda: datetime.now(UTC))


def app_with_names():
    """Return the application for the home in LOCKGATE_HOME, whose file ``names`` has those of protocols."""
    from lockgate.mirror import Asked, MirrorNames, build_app

    site = MirrorSite(Path(os.environ["LOCKGATE_HOME"]))
    asked = Asked(names=MirrorNames.of((site.root / "names").read_text()))
    return build_app(site.view(), site.blobs, lambda: datetime.now(UTC), asked=asked)


def app_with_keys():
    """Return the application for the home in LOCKGATE_HOME, read by API keys; ``internal`` by everybody."""
    from lockgate.app.high.reading import KeyCallers
    from lockgate.app.settings import Home
    from lockgate.mirror import Access, build_app

    site = MirrorSite(Path(os.environ["LOCKGATE_HOME"]))
    callers = KeyCallers(SimpleNamespace(home=Home(site.root)))
    access = Access(callers, frozenset({"internal"}), (), site.blobs.read)
    return build_app(site.view(), site.blobs, lambda: datetime.now(UTC), access=access)


def app_with_certificates():
    """Return the application for the home in LOCKGATE_HOME, read by keys and by granted certificates."""
    from lockgate.app.high.reading import GrantedCertificates, KeyCallers
    from lockgate.app.settings import Home
    from lockgate.infer.identity import ClientCertificates, FileGrants
    from lockgate.mirror import Access, build_app

    site = MirrorSite(Path(os.environ["LOCKGATE_HOME"]))
    folder = Path(os.environ["LOCKGATE_TEST_TLS"])
    known = ClientCertificates((folder / "clients.pem").read_bytes(), lambda: datetime.now(UTC))
    certified = GrantedCertificates(known, FileGrants(site.root / "trust/grants.json"))
    callers = KeyCallers(SimpleNamespace(home=Home(site.root)))
    access = Access(callers, frozenset({"internal"}), (), site.blobs.read, certified)
    return build_app(site.view(), site.blobs, lambda: datetime.now(UTC), access=access)


def side_with_advisories(folder, age_days=40_000):
    """Return what `RecordedAdvisor` asks of a side: where its data lies and how old it may be."""
    advisories = SimpleNamespace(age_days=age_days)
    return SimpleNamespace(
        home=SimpleNamespace(advisories=folder), settings=SimpleNamespace(advisories=advisories)
    )


@dataclass
class Answer:
    """One HTTP answer, as an application sent it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False


def ask(app, path, method="GET", *, query="", body=b"", leave_after=None, certificate=None, **headers):
    """Send one request to an application, without a server, and return the answer.

    Args:
        app: The ASGI application.
        path: Raw path, percent-encoded.
        method: The method.
        query: Raw query string.
        body: The request's body.
        leave_after: Leave as a client would after so many body bytes.
        certificate: What the connection showed, as `lockgate.mirror.door` tells it.
        headers: Request headers; underscores stand for dashes.
    """
    about = {"query": query, "body": body, "leave_after": leave_after, "certificate": certificate}
    return asyncio.run(asking(app, path, method, **about, **headers))


async def asking(
    app,
    path,
    method="GET",
    *,
    query="",
    body=b"",
    leave_after=None,
    on_chunk=None,
    client=("client", 1),
    certificate=None,
    **headers,
):
    """Send one request inside a running loop; see `ask`."""
    from urllib.parse import unquote

    answer, left = Answer(), asyncio.Event()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "server": ("mirror", 80),
        "client": client,
        "state": {},
        **({"lockgate.certificate": certificate} if certificate else {}),
    }
    requested = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive():
        for message in requested:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode().lower(): v.decode("latin-1") for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            answer.complete = not message.get("more_body", False)
            if on_chunk:
                on_chunk(answer)
            if leave_after is not None and len(answer.body) >= leave_after:
                left.set()
        await asyncio.sleep(0)  # let the application see a client that left

    await app(scope, receive, send)
    return answer
