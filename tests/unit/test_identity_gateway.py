"""Callers whom other sources know: what they may do, what is recorded, and how they lose it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infer_doubles import NOW, Site, site
from lockgate.app.high.authority import AuthorityFolder
from lockgate.app.high.tls import Tls
from lockgate.core.errors import MalformedDocumentError
from lockgate.infer.errors import BadCredentialsError, GrantError, IdentitySourceError
from lockgate.infer.identity import (
    BearerTokens,
    Chain,
    ClientCertificates,
    Credentials,
    FileGrants,
    Holder,
    Issuer,
    IssuerConfig,
    MemoryGrants,
    Role,
    Source,
    TokenRules,
    grant,
)
from lockgate.trust.authority import Bounds, Names, Use, new_key
from oidc_double import AUDIENCE, IssuerDouble

BODY = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def guarded(double: IssuerDouble, grants: MemoryGrants) -> AsyncIterator[Site]:
    async with double.running():
        rules = TokenRules(double.url, AUDIENCE)
        tokens = BearerTokens(Issuer(IssuerConfig(double.url)), rules, lambda: NOW)
        async with site(callers=Chain((tokens,), grants)) as running:
            yield running


async def ask(
    running: Site, token: str, path: str = "/v1/chat/completions"
) -> tuple[int, dict[str, Any], str]:
    headers = {"Authorization": f"Bearer {token}"}
    method = "POST" if path.endswith("completions") else "GET"
    body = BODY if method == "POST" else None
    async with running.session.request(method, path, json=body, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers.get("X-Lockgate-Receipt", "")


def analysts(*labels: str, roles: tuple[Role, ...] = (Role.USER,)) -> MemoryGrants:
    grants = MemoryGrants()
    grants.add(grant(Source.OIDC, Holder.GROUP, "analysts", labels or ("internal",), roles))
    return grants


def test_a_token_asks_and_receipt_and_log_name_who_vouched() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with guarded(double, analysts()) as running:
            status, _, receipt = await ask(running, double.token())
            assert status == 200
            _, found, _ = await ask(running, double.token(), f"/v1/lockgate/receipts/{receipt}")
            assert found["receipt"]["api_key"] == "oidc:u-17"
            assert found["receipt"]["asker"] == {"name": "jane", "source": "oidc"}
            intent = next(data["facts"] for kind, data in running.ledger.events if kind == "intent")
            assert (intent["api_key"], intent["identity_source"]) == ("oidc:u-17", "oidc")
            async with running.ask() as answer:  # and keys go on opening
                assert answer.status == 200
                own = answer.headers["X-Lockgate-Receipt"]
            stored = running.receipts.get(own)
            assert stored is not None
            assert b"asker" not in stored[0]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"exp": 1}, 401, "invalid_credentials"),
        ({"aud": "other"}, 401, "invalid_credentials"),
        ({"groups": ["others"]}, 403, "nothing_granted"),
        ({"groups": None}, 403, "nothing_granted"),
    ],
    ids=str,
)
def test_who_proves_nothing_or_may_nothing_is_refused(
    changed: dict[str, Any], status: int, code: str
) -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with guarded(double, analysts()) as running:
            got, body, _ = await ask(running, double.token(**changed))
            assert (got, body["error"]["code"]) == (status, code)
            assert running.server.bodies == []

    asyncio.run(run())


def test_labels_come_from_the_site_and_from_nowhere_else() -> None:
    async def run() -> None:
        double = IssuerDouble()
        async with guarded(double, analysts("public")) as running:
            status, body, _ = await ask(running, double.token(labels=["internal"], roles=["auditor"]))
            assert (status, body["error"]["code"]) == (404, "model_not_found")
            _, listed, _ = await ask(running, double.token(), "/v1/models")
            assert listed["data"] == []

    asyncio.run(run())


def test_who_is_shut_out_is_refused_at_once() -> None:
    async def run() -> None:
        double, grants = IssuerDouble(), analysts()
        async with guarded(double, grants) as running:
            token = double.token()
            assert (await ask(running, token))[0] == 200
            grants.shut("oidc:u-17", out=True)
            assert (await ask(running, token))[0] == 403
            grants.shut("oidc:u-17", out=False)
            grants.remove(Source.OIDC, Holder.GROUP, "analysts")
            assert (await ask(running, token))[0] == 403

    asyncio.run(run())


def test_auditors_read_what_stands_behind_others_answers_without_the_key_of_its_digests() -> None:
    async def run() -> None:
        double = IssuerDouble()
        grants = analysts()
        grants.add(grant(Source.OIDC, Holder.CALLER, "the-auditor", (), (Role.AUDITOR,)))
        async with guarded(double, grants) as running:
            token = double.token()
            _, _, receipt = await ask(running, token)
            path = f"/v1/lockgate/receipts/{receipt}"
            mine = (await ask(running, token, path))[1]
            assert len(mine["digest_key"]) == 64
            assert (await ask(running, double.token(sub="u-18"), path))[0] == 404
            status, read, _ = await ask(running, double.token(sub="the-auditor", groups=[]), path)
            assert status == 200
            assert read["receipt"] == mine["receipt"]
            assert read["digest_key"] == ""

    asyncio.run(run())


def test_grants_are_read_again_when_others_change_them(tmp_path: Path) -> None:
    path = tmp_path / "trust" / "grants.json"
    mine, theirs = FileGrants(path), FileGrants(path)
    theirs.add(grant(Source.OIDC, Holder.GROUP, "b", ("x", "x", "a")))
    theirs.add(grant(Source.LDAP, Holder.GROUP, "b", ()))
    assert [each.labels for each in mine.all().grants] == [(), ("a", "x")]
    assert path.stat().st_mode & 0o777 == 0o600
    theirs.add(grant(Source.OIDC, Holder.GROUP, "b", ("c",)))
    assert [each.labels for each in mine.all().grants] == [(), ("c",)]
    for wrong in ("jane", "oidc:", "key:x"):
        with pytest.raises(GrantError):
            mine.shut(wrong, out=True)
    with pytest.raises(GrantError):
        mine.shut("oidc:jane", out=False)
    with pytest.raises(GrantError):
        mine.remove(Source.CERTIFICATE, Holder.GROUP, "b")
    for name in ("", "a\nb", "x" * 513):
        with pytest.raises(GrantError):
            grant(Source.OIDC, Holder.GROUP, name, ())
    with pytest.raises(GrantError):
        grant(Source.OIDC, Holder.GROUP, "b", (), ())
    path.write_text("{}")
    with pytest.raises(MalformedDocumentError):
        mine.all()
    path.unlink()
    assert mine.all().grants == ()


class Plant:
    """An authority with a server, and the clients that it vouches for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made = datetime.now(UTC).replace(microsecond=0)  # TLS looks at the machine's own clock
        self.now = self.made
        self.folder = AuthorityFolder(root / "ca")
        self.folder.make("Plant CA", Bounds.of(["plant.internal"]), self.made)
        self._issue("gateway", Use.SERVER, Names.of(["localhost", "127.0.0.1"]))
        self.crl = root / "revoked.pem"
        self.publish()

    def _issue(self, name: str, use: Use, names: Names) -> str:
        made = self.folder.issue(name, names, use, self.root / name, days=30, now=self.made)
        return f"{made.serial_number:x}"

    def client(
        self, name: str, use: Use = Use.CLIENT, names: Names | None = None
    ) -> tuple[str, ssl.SSLContext]:
        serial = self._issue(name, use, names or Names())
        context = self.anonymous()
        context.load_cert_chain(self.root / name / "cert.pem", self.root / name / "key.pem")
        return serial, context

    def anonymous(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder.certificate_file))

    def publish(self) -> None:
        fresh = self.root / "fresh.pem"
        fresh.write_bytes(self.folder.renew_list(self.made).read_bytes())
        fresh.replace(self.crl)

    @asynccontextmanager
    async def running(self, grants: MemoryGrants) -> AsyncIterator[Site]:
        authority = self.folder.certificate_file
        certs = ClientCertificates(authority.read_bytes(), lambda: self.now, self.crl)
        files = self.root / "gateway"
        tls = Tls(files / "cert.pem", files / "key.pem", authority, authority).server(optional=True)
        async with site(callers=Chain((certs,), grants), tls=tls) as running:
            yield running


async def status_of(session: aiohttp.ClientSession, running: Site, **headers: str) -> tuple[int, str]:
    async with session.post(f"{running.url}/v1/chat/completions", json=BODY, headers=headers) as answer:
        body = await answer.json()
        return answer.status, body.get("error", {}).get("code", "")


def granted_to(*names: str) -> MemoryGrants:
    grants = MemoryGrants()
    for name in names:
        grants.add(grant(Source.CERTIFICATE, Holder.CALLER, name, ("internal",)))
    return grants


def using(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


def test_a_certificate_proves_its_holder_until_it_is_revoked_on_an_open_connection(tmp_path: Path) -> None:
    async def run() -> None:
        plant = Plant(tmp_path)
        serial, jane = plant.client("jane")
        async with plant.running(granted_to("jane")) as running, using(jane) as session:
            assert (await status_of(session, running))[0] == 200
            intent = next(data["facts"] for kind, data in running.ledger.events if kind == "intent")
            assert (intent["api_key"], intent["identity_source"]) == ("cert:jane", "cert")
            plant.folder.revoke([serial], plant.made)
            assert (await status_of(session, running))[0] == 200, "its list does not lie there yet"
            plant.publish()
            assert await status_of(session, running) == (401, "invalid_credentials")
            headers = {"Authorization": f"Bearer {running.secret}"}
            assert (await status_of(session, running, **headers))[0] == 200, "a key speaks for itself"

    asyncio.run(run())


def test_hosts_and_people_of_one_name_are_two(tmp_path: Path) -> None:
    async def run() -> None:
        plant = Plant(tmp_path)
        _, person = plant.client("press.plant.internal")
        (tmp_path / "press.plant.internal").rename(tmp_path / "person")
        _, host = plant.client("press.plant.internal", Use.SERVER, Names.of(["press.plant.internal"]))
        async with plant.running(granted_to("host:press.plant.internal")) as running:
            async with using(host) as session:
                assert (await status_of(session, running))[0] == 200
            async with using(person) as session:
                assert (await status_of(session, running))[0] == 403

    asyncio.run(run())


def test_without_a_certificate_nobody_is_known_and_a_foreign_one_does_not_connect(tmp_path: Path) -> None:
    async def run() -> None:
        plant, other = Plant(tmp_path / "a"), Plant(tmp_path / "b")
        _, stranger = other.client("jane")
        stranger.load_verify_locations(plant.folder.certificate_file)
        async with plant.running(granted_to("jane")) as running:
            async with using(plant.anonymous()) as session:
                assert await status_of(session, running) == (401, "invalid_api_key")
            async with using(stranger) as session:
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await status_of(session, running)

    asyncio.run(run())


def test_an_ended_certificate_or_list_lets_nobody_in(tmp_path: Path) -> None:
    async def run() -> None:
        plant = Plant(tmp_path)
        _, jane = plant.client("jane")
        async with plant.running(granted_to("jane")) as running, using(jane) as session:
            assert (await status_of(session, running))[0] == 200
            plant.now = plant.made + timedelta(days=31)
            assert await status_of(session, running) == (401, "invalid_credentials")
            plant.now = plant.made
            plant.crl.unlink()
            assert await status_of(session, running) == (503, "unavailable")
            foreign = Plant(tmp_path / "foreign")
            plant.crl.write_bytes(foreign.crl.read_bytes())
            assert await status_of(session, running) == (503, "unavailable")
            plant.crl.write_text("no list")
            assert await status_of(session, running) == (503, "unavailable")
            plant.publish()
            assert (await status_of(session, running))[0] == 200

    asyncio.run(run())


def test_a_list_that_has_ended_is_not_believed(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.client("jane")
    der = x509.load_pem_x509_certificate((tmp_path / "jane/cert.pem").read_bytes()).public_bytes(Encoding.DER)
    plant.crl.write_bytes(plant.folder.renew_list(plant.made - timedelta(days=80)).read_bytes())
    certs = ClientCertificates(plant.folder.certificate_file.read_bytes(), lambda: plant.now, plant.crl)
    found = asyncio.run(certs.find(Credentials(certificate=der)))
    assert found is not None
    assert found.id == "cert:jane"
    plant.now = plant.made + timedelta(days=11)
    with pytest.raises(IdentitySourceError, match="has ended"):
        asyncio.run(certs.find(Credentials(certificate=der)))


def made_by(names: list[x509.GeneralName], common: str | None = "jane") -> tuple[bytes, bytes]:
    """Return an authority (PEM) and a client certificate of it (DER) with such names."""
    key, now = new_key(), datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])

    def build(whose: x509.Name) -> x509.CertificateBuilder:
        start = x509.CertificateBuilder(issuer, whose, key.public_key(), x509.random_serial_number())
        return start.not_valid_before(now).not_valid_after(now + timedelta(days=1))

    authority = build(issuer).sign(key, hashes.SHA256())
    use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = build(subject).add_extension(use, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(key, hashes.SHA256())
    return authority.public_bytes(Encoding.PEM), made.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("names", "common", "subject"),
    [
        ([], "jane", "jane"),
        ([x509.RFC822Name("jane@plant.internal")], "jane", "email:jane@plant.internal"),
        ([x509.UniformResourceIdentifier("spiffe://plant/press")], None, "uri:spiffe://plant/press"),
        ([x509.DNSName("press.plant.internal")], "press", "host:press"),
        ([x509.RFC822Name("a@plant.internal"), x509.RFC822Name("b@plant.internal")], "jane", None),
        ([], None, None),
        ([], "email:jane@plant.internal", None),
        ([], "jane\x00", None),
    ],
    ids=str,
)
def test_whom_a_certificate_stands_for(
    names: list[x509.GeneralName], common: str | None, subject: str | None
) -> None:
    authority, der = made_by(names, common)
    certs = ClientCertificates(authority, lambda: datetime.now(UTC))
    if subject is None:
        with pytest.raises(BadCredentialsError):
            asyncio.run(certs.find(Credentials(certificate=der)))
        return
    found = asyncio.run(certs.find(Credentials(certificate=der)))
    assert found is not None
    assert found.subject == subject
    assert asyncio.run(certs.find(Credentials("Bearer x", der))) is None
