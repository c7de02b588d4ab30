"""A real directory: OpenLDAP's slapd on loopback, with people, groups and TLS of an authority of its own."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from corpora.ports import free_ports
from lockgate.app.high.authority import AuthorityFolder
from lockgate.infer.identity import DirectoryConfig, Disabled
from lockgate.trust.authority import Bounds, Names, Use

SLAPD = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin")
BASE = "dc=plant,dc=internal"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{BASE}", "the administrator's own"
LOOKUP, LOOKUP_PASSWORD = f"cn=lookup,{BASE}", "what the gateway knows"
JANE = "correct horse battery"
STARTS_SECONDS = 180

_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/tls/ca.pem
TLSCertificateFile {folder}/tls/cert.pem
TLSCertificateKeyFile {folder}/tls/key.pem
security simple_bind=112 update_tls=112
disallow bind_anon
require bind
database mdb
maxsize 16777216
suffix "{base}"
directory {folder}/data
rootdn "{admin}"
rootpw "{password}"
overlay ppolicy
ppolicy_default "cn=policy,{base}"
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{lookup}" read by * none
"""

_DATA = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Plant

dn: {LOOKUP}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: lookup
userPassword: {LOOKUP_PASSWORD}

dn: cn=policy,{BASE}
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE

dn: ou=people,{BASE}
objectClass: organizationalUnit

dn: uid=jane,ou=people,{BASE}
objectClass: inetOrgPerson
uid: jane
cn: Jane Doe
sn: Doe
userPassword: {JANE}

dn: cn=Smith\\, John (contractor) *,ou=people,{BASE}
objectClass: inetOrgPerson
uid: john
cn: Smith, John (contractor) *
sn: Smith
userPassword: another one

dn: cn=twin a,ou=people,{BASE}
objectClass: inetOrgPerson
uid: twin
cn: twin a
sn: Twin
userPassword: same

dn: cn=twin b,ou=people,{BASE}
objectClass: inetOrgPerson
uid: twin
cn: twin b
sn: Twin
userPassword: same

dn: cn=two names,ou=people,{BASE}
objectClass: inetOrgPerson
uid: mallory
uid: root
cn: two names
sn: Names
userPassword: mallory

dn: ou=groups,{BASE}
objectClass: organizationalUnit

dn: cn=analysts,ou=groups,{BASE}
objectClass: groupOfNames
cn: analysts
member: uid=jane,ou=people,{BASE}
member: cn=Smith\\, John (contractor) *,ou=people,{BASE}

dn: cn=auditors,ou=groups,{BASE}
objectClass: groupOfNames
cn: auditors
member: cn=Smith\\, John (contractor) *,ou=people,{BASE}
"""


@dataclass
class Slapd:
    """A running directory."""

    folder: Path
    plain: int
    tls: int

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "tls/ca.pem"))

    def config(self, **changed: object) -> DirectoryConfig:
        made: dict[str, object] = {
            "host": "localhost",
            "port": self.plain,
            "start_tls": True,
            "tls": self.context(),
            "base": f"ou=people,{BASE}",
            "groups": f"ou=groups,{BASE}",
            "bind_name": LOOKUP,
            "bind_password": LOOKUP_PASSWORD,
            "disabled": (Disabled("pwdAccountLockedTime", "*"),),
            "seconds": 60.0,
        }
        return DirectoryConfig(**{**made, **changed})  # type: ignore[arg-type]

    def change(self, ldif: str) -> None:
        """Change something as the directory's administrator does, with OpenLDAP's own tool."""
        command = ["ldapmodify", "-x", "-ZZ", "-H", f"ldap://localhost:{self.plain}", "-D", ADMIN]
        command += ["-w", ADMIN_PASSWORD, "-e", "relax"]
        environment = {**os.environ, "LDAPTLS_REQCERT": "never"}  # the tool, on this host's loopback
        done = subprocess.run(command, input=ldif.encode(), env=environment, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr


@contextmanager
def slapd(folder: Path) -> Iterator[Slapd]:
    """Start a directory with people in it."""
    assert SLAPD is not None
    authority = AuthorityFolder(folder / "ca")
    now = datetime.now(UTC).replace(microsecond=0)
    authority.make("Directory CA", Bounds.of(["plant.internal"]), now)
    authority.issue(
        "directory", Names.of(["localhost", "127.0.0.1"]), Use.SERVER, folder / "tls", days=30, now=now
    )
    (folder / "data").mkdir()
    conf = folder / "slapd.conf"
    conf.write_text(
        _CONF.format(folder=folder, base=BASE, admin=ADMIN, password=ADMIN_PASSWORD, lookup=LOOKUP)
    )
    load = [SLAPD, "-T", "add", "-f", str(conf)]
    subprocess.run(load, input=_DATA.encode(), check=True, capture_output=True)
    plain, tls = free_ports(2)
    urls = f"ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}"
    with (folder / "slapd.log").open("wb") as log:
        process = subprocess.Popen([SLAPD, "-f", str(conf), "-h", urls, "-d", "0"], stdout=log, stderr=log)
    try:
        _wait(process, tls)
        yield Slapd(folder, plain, tls)
    finally:
        process.terminate()
        process.wait(STARTS_SECONDS)


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)  # asked again until it listens
        else:
            return
    msg = f"slapd does not listen (status {process.poll()})"
    raise AssertionError(msg)
