"""A container registry as a target (OCI distribution specification 1.1): blobs, then manifests, then tags."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlencode, urljoin

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.digests import CHUNK
from lockgate.core.oci import MANIFEST_LIMIT, MANIFEST_TYPES, parse_manifest
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.ports import Item, Target
from lockgate.targets.web import Answer, Web, demand

_ACCEPT = {"Accept": ", ".join((*MANIFEST_TYPES, "*/*"))}
"""Without it registries convert a manifest to an older form, or say that there is none."""
_BEARER = re.compile(r'(\w+)="([^"]*)"')


class OciTarget(Target):
    """A registry; repositories keep their name below a prefix (``mirror/registry.example/team/app``)."""

    kinds = frozenset({Kind.OCI, Kind.OLLAMA})

    def __init__(self, web: Web, prefix: str = "") -> None:
        """Speak to a registry."""
        self._web = web
        self._prefix = prefix.strip("/")
        self._tokens: dict[str, dict[str, str]] = {}

    def _repository(self, item: Item) -> str:
        return "/".join(part for part in (self._prefix, item.artifact.name) if part)

    def put(self, item: Item) -> None:
        """Push what is missing: blobs, manifests from the leaves up, and the tags."""
        repository, artifact = self._repository(item), item.artifact
        for file in artifact.files:
            if file.role is not Role.MANIFEST and not self._has(repository, "blobs", file):
                self._upload(repository, item, file)
        root = artifact.version.removeprefix("sha256:")
        manifests = [file for file in artifact.files if file.role is Role.MANIFEST]
        bodies = {file.sha256: item.read(file, MANIFEST_LIMIT) for file in manifests}
        for sha256 in _leaves_first(bodies):
            tags = artifact.attributes.get("tags", "").split() if sha256 == root else []
            for reference in (f"sha256:{sha256}", *tags):
                kind = parse_manifest(bodies[sha256]).kind
                path = f"/v2/{repository}/manifests/{reference}"
                answer = self._ask("PUT", path, repository, bodies[sha256], kind)
                demand(answer, (HTTPStatus.CREATED,), self._web.host, f"the manifest {reference}")

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the registry has of an image, read back; a tag that names another image is told too."""
        repository, artifact = self._repository(item), item.artifact
        if repository not in self._tokens:
            self._ask("GET", f"/v2/{repository}/manifests/{artifact.version}", repository)  # learns the token
        for file in artifact.files:
            what = "manifests" if file.role is Role.MANIFEST else "blobs"
            address = self._web.at(f"/v2/{repository}/{what}/sha256:{file.sha256}")
            yield file.path, self._web.digest(address, {**_ACCEPT, **self._headers(repository)})
        for tag in artifact.attributes.get("tags", "").split():
            found = self._ask("GET", f"/v2/{repository}/manifests/{tag}", repository)
            said = found.headers.get("docker-content-digest", "") if found.status == HTTPStatus.OK else ""
            if said != artifact.version:
                yield f"{artifact.name}:{tag}", ""

    def _has(self, repository: str, what: str, file: ArtifactFile) -> bool:
        answer = self._ask("HEAD", f"/v2/{repository}/{what}/sha256:{file.sha256}", repository)
        return answer.status == HTTPStatus.OK

    def _upload(self, repository: str, item: Item, file: ArtifactFile) -> None:
        begun = self._ask("POST", f"/v2/{repository}/blobs/uploads/", repository, b"")
        demand(begun, (HTTPStatus.ACCEPTED,), self._web.host, f"an upload to {repository}")
        where = urljoin(self._web.at("/"), begun.headers.get("location", ""))
        joined = f"{where}{'&' if '?' in where else '?'}{urlencode({'digest': f'sha256:{file.sha256}'})}"
        headers = {
            **self._headers(repository),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.size),
        }
        with item.open(file.sha256) as stream:
            answer = self._web.ask("PUT", joined, headers, iter(lambda: stream.read(CHUNK), b""))
        demand(answer, (HTTPStatus.CREATED,), self._web.host, f"the blob {file.sha256[:12]}")

    def _ask(
        self, method: str, path: str, repository: str, body: bytes | None = None, kind: str = ""
    ) -> Answer:
        """Ask the registry; where it wants a token, get one and ask again."""
        headers = {"Content-Type": kind} if kind else {}
        for _ in range(2):
            mine = {**_ACCEPT, **headers, **self._headers(repository)}
            answer = self._web.ask(method, self._web.at(path), mine, body)
            if answer.status != HTTPStatus.UNAUTHORIZED or not self._login(repository, answer):
                return answer
        return answer

    def _headers(self, repository: str) -> dict[str, str]:
        return self._tokens.get(repository, {})

    def _login(self, repository: str, answer: Answer) -> bool:
        """Take what a registry asks for; False where it was given that already."""
        if repository in self._tokens:
            return False
        asked = answer.headers.get("www-authenticate", "")
        if not asked.lower().startswith("bearer"):
            self._tokens[repository] = self._web.basic()
            return bool(self._tokens[repository])
        facts = dict(_BEARER.findall(asked))
        scope = {"service": facts.get("service", ""), "scope": f"repository:{repository}:pull,push"}
        answer = self._web.ask("GET", f"{facts.get('realm', '')}?{urlencode(scope)}", self._web.basic())
        demand(answer, (HTTPStatus.OK,), self._web.host, "a token")
        import json  # noqa: PLC0415  # where a registry gives tokens alone

        try:
            given = json.loads(answer.body)
            token = given.get("token") or given["access_token"]
        except (ValueError, KeyError, AttributeError) as error:
            what = f"{self._web.host} gave a token that cannot be read."
            raise TargetAnswerError(what) from error
        self._tokens[repository] = {"Authorization": f"Bearer {token}"}
        return True


def _leaves_first(bodies: dict[str, bytes]) -> list[str]:
    """Return manifests in an order in which each comes after those that it names."""
    ordered: list[str] = []
    waiting = set(bodies)
    needs = {}
    for sha256, body in bodies.items():
        parsed = parse_manifest(body)
        named = {d.sha256 for d in parsed.manifests or ()} | (
            {parsed.subject.sha256} if parsed.subject else set()
        )
        needs[sha256] = named & waiting
    while waiting:
        ready = sorted(s for s in waiting if not needs[s] & waiting) or sorted(waiting)[:1]
        ordered += ready
        waiting -= set(ready)
    return ordered
