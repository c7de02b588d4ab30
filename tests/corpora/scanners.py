"""Real scanners: ClamAV with data of our own, and c-icap with its echo service and with ClamAV in it."""

import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpora.ports import free_ports
from corpora.servers import running, until
from lockgate.crossing.station.sample import pattern

MARK = b"lockgate-test-malware-0123456789"
"""What the data of our own calls malware, beside the EICAR test pattern."""


def clam_data(folder: Path) -> Path:
    """Write a signature database (clamav.net, "Body-based Signature Content Format"); return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"Lockgate-Test-{n}:0:*:{data.hex()}\n" for n, data in enumerate((pattern()[:68], MARK))]
    (folder / "own.ndb").write_text("".join(lines))
    return folder


def clamscan(data: Path) -> str:
    """Return the command that shows one file to ClamAV."""
    return f"{program('clamscan')} --no-summary --stdout -d {data} {{file}}"


CONFIG = """\
PidFile {folder}/pid
CommandsSocket {folder}/control
Timeout 60
StartServers 1
MaxServers 1
MinSpareThreads 2
MaxSpareThreads 4
ThreadsPerChild 4
Port 127.0.0.1:{port}
User {user}
Group {group}
TmpDir {folder}
MaxMemObject 131072
ModulesDir {modules}
ServicesDir {modules}
TemplateDir /usr/share/c_icap/templates/
TemplateDefaultLanguage en
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {folder}/server.log
AccessLog {folder}/access.log
Service echo srv_echo.so
{more}
"""
CLAM = """\
Module common clamd_mod.so
clamd_mod.ClamdSocket {folder}/clamd
Service antivirus virus_scan.so
virus_scan.DefaultEngine clamd
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE DOCUMENT
virus_scan.SendPercentData 0
virus_scan.StartSendPercentDataAfter 64M
virus_scan.MaxObjectSize {largest}
virus_scan.Allow204Responces on
virus_scan.PassOnError off
"""
CLAMD = """\
LocalSocket {folder}/clamd
DatabaseDirectory {data}
Foreground yes
User {name}
OfficialDatabaseOnly no
LogFile {folder}/clamd.log
TemporaryDirectory {folder}
"""
MODULES = next((str(p) for p in Path("/usr/lib").glob("*/c_icap")), "/usr/lib/c_icap")


@dataclass(frozen=True)
class Icap:
    """A running c-icap server; `antivirus` is there where it was given data."""

    port: int
    folder: Path

    def address(self, service: str) -> str:
        return f"icap://127.0.0.1:{self.port}/{service}"


@contextmanager
def clamd(folder: Path, data: Path, more: str = "") -> Iterator[Path]:
    """Run ClamAV's daemon on data of our own, with more lines of configuration; give its socket."""
    config, socket_file = folder / "clamd.conf", folder / "clamd"
    name = pwd.getpwuid(os.getuid()).pw_name
    config.write_text(CLAMD.format(folder=folder, data=data, name=name) + more)
    command = [program("clamd"), f"--config-file={config}"]
    with running(command, folder / "clamd.out") as process:
        until(lambda: answers(socket.AF_UNIX, str(socket_file)), process, folder / "clamd.out")
        yield socket_file


@contextmanager
def icap(folder: Path, data: Path | None = None, largest: str = "64M") -> Iterator[Icap]:
    """Run c-icap with its echo service, and with ClamAV behind it where there is data for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    more = CLAM.format(folder=folder, largest=largest) if data else ""
    config = folder / "c-icap.conf"
    facts = {"folder": folder, "port": port, "modules": MODULES, "more": more}
    config.write_text(CONFIG.format(**facts, user=os.getuid(), group=os.getgid()))
    command = [program("c-icap"), "-N", "-D", "-f", str(config)]
    with ExitStack() as stack:
        if data:
            stack.enter_context(clamd(folder, data))
        process = stack.enter_context(running(command, folder / "out"))
        until(lambda: answers(socket.AF_INET, ("127.0.0.1", port)), process, folder / "out")
        yield Icap(port, folder)


def answers(family: int, address: object) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def program(name: str) -> str:
    """Return the place of a program; its package is one of scripts/system-packages."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is missing: make system"
    return found
