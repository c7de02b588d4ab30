"""A gate over in-memory stores, with people who hold keys; what gate tests start from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from lockgate.admit import FileInspector, Gate, GateParts, Page, PageMaker
from lockgate.approve import approve, combine
from lockgate.audit import AuditLog
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.parts import PARTED_FROM
from lockgate.core.policy import OpaqueRule, Policy
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.verdict import Outcome, Verdict
from lockgate.core.wire import encode
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.keys import Signer, new_signer

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class OnePage(PageMaker):
    def form(self):
        return "one page"

    def pages(self, admitted, read):
        listing = "\n".join(f"{f.sha256} {f.path}" for a in admitted for f in a.artifact.files)
        yield Page("files/SHA256SUMS", "text/plain", listing.encode())

    def index(self, projects):
        return ()


class Projects(OnePage):
    """A page for each Python project, one that lists them, and one of all other files."""

    def pages(self, admitted, read):
        packages = [a for a in admitted if a.artifact.kind is Kind.PYTHON]
        yield from super().pages([a for a in admitted if a not in packages], read)
        for name in sorted({a.artifact.name for a in packages}):
            body = "\n".join(a.artifact.purl for a in packages if a.artifact.name == name)
            yield Page(f"simple/{name}/index.json", "text/plain", body.encode())
        yield from self.index(sorted({a.artifact.name for a in packages}))

    def index(self, projects):
        yield Page("simple/index.json", "text/plain", " ".join(projects).encode())


class Scripted(FileInspector):
    """Says what a test wants it to say of each path; clean otherwise."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes

    def inspect(self, items):
        return [
            Verdict(
                path=i.file.path,
                sha256=i.file.sha256,
                size=i.file.size,
                detected="elf" if self.outcomes.get(i.artifact.name) == Outcome.OPAQUE else "text",
                outcome=self.outcomes.get(i.artifact.name, Outcome.CLEAN),
                covered=i.file.size,
                findings=(),
                inspectors=("scripted 1",),
            )
            for i in items
        ]


class Listing(Scripted):
    """Says that each file is the manifest of an image that holds some packages."""

    def __init__(self, *packages: str) -> None:
        super().__init__()
        self.packages = packages

    def inspect(self, items):
        return [msgspec.structs.replace(v, packages=self.packages) for v in super().inspect(items)]


@dataclass
class World:
    now: datetime = START
    people: dict[str, dict[Purpose, Signer]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("ap-1", "ap-2", "ap-3", "operator"):
            self.people[name] = {Purpose.APPROVER: new_signer(Purpose.APPROVER, name)}
        self.people["operator"][Purpose.OPERATOR] = new_signer(Purpose.OPERATOR, "operator")
        self.inspector = new_signer(Purpose.INSPECTOR, "gate-inspector")
        held = [s for keys in self.people.values() for s in keys.values()]
        expires = START + timedelta(days=365)
        self.site = Root(
            format=ROOT_FORMAT,
            kind=RootKind.SITE,
            lane="test",
            version=1,
            assurance="demo",
            expires=expires,
            keys={s.keyid: s.held(expires) for s in (*held, self.inspector)},
            thresholds={},
            policy=Policy(opaque=(OpaqueRule(detected="elf"),)),
        )
        self.records, self.blobs, self.quarantine = MemoryRecords(), MemoryBlobs(), MemoryBlobs()
        self.log = AuditLog(MemoryRecords(), "lockgate/test/high", lambda: self.now)
        self.marks: dict[int, str] = {}
        self.nonces = iter(range(1, 1000))
        self.demand_open = lambda: None
        self.rules = None
        self.weights = None
        self.parted_from = PARTED_FROM
        self.maker = OnePage()

    @property
    def gate(self) -> Gate:
        return Gate(self.parts)

    @property
    def parts(self) -> GateParts:
        return GateParts(
            records=self.records,
            blobs=self.blobs,
            quarantine=self.quarantine,
            audit=self.log,
            site=self.site,
            inspector=self.inspector,
            pages=self.maker,
            clock=lambda: self.now,
            entropy=lambda n: next(self.nonces).to_bytes(n, "big"),
            write_channel=self.files.__setitem__,
            mark_ledger=lambda tx, n, state: self.marks.__setitem__(n, state),
            demand_open=self.demand_open,
            rules=self.rules,
            weights=self.weights,
            parted_from=self.parted_from,
        )

    def arrive_packages(self, sequence: int, *names: str) -> None:
        self.arrive(sequence, *names, kind=Kind.PYTHON, ecosystem="pypi")

    def arrive(
        self,
        sequence: int,
        *names: str,
        label: str = "internal",
        kind: Kind = Kind.DOCUMENT,
        ecosystem: str = "generic",
        more: dict[str, str] | None = None,
    ) -> None:
        artifacts = []
        for name in names:
            data = name.encode()
            digest = self.quarantine.put_bytes(data)
            file = ArtifactFile(path=f"documents/{name}", role=Role.DOCUMENT, size=len(data), sha256=digest)
            artifacts.append(
                Artifact(
                    purl=f"pkg:{ecosystem}/{name}@1",
                    kind=kind,
                    name=name.split("-")[0],
                    version="1",
                    files=(file,),
                    label=label,
                    attributes=more or {},
                )
            )
        lock = Lock(
            format=LOCK_FORMAT,
            lane="test",
            created=START,
            manifest_sha256="0" * 64,
            artifacts=tuple(artifacts),
        )
        digest = self.quarantine.put_bytes(encode(lock))
        crate = sha256(b"crate%d" % sequence).hexdigest()
        self.gate.quarantined(sequence, f"crate-{sequence:06d}-abcdef", crate, digest)

    def key(self, person: str, purpose: Purpose = Purpose.APPROVER) -> Signer:
        return self.people[person][purpose]

    @property
    def operator(self) -> Signer:
        return self.key("operator", Purpose.OPERATOR)

    def signed(self, request: bytes, *people: str) -> bytes:
        return combine([approve(request, self.key(p), self.site, self.now) for p in people])

    def publish(self, sequence: int, *names: str) -> bytes:
        self.arrive(sequence, *names)
        self.gate.inspect(sequence, Scripted())
        envelope = self.signed(self.gate.request(sequence, "stable", self.operator), "ap-1", "ap-2")
        self.gate.execute(envelope)
        return envelope

    def with_policy(self, **changes: object) -> None:
        policy = msgspec.structs.replace(self.site.policy, **changes)
        self.site = msgspec.structs.replace(self.site, policy=policy)
