"""Bringing the high side up: mirrors first, then what is installed and built from them, then the rest."""

import os
import sys
from collections.abc import Callable

from lockgate.app.high import supervise
from lockgate.app.high.channel import channel_file
from lockgate.app.high.rechecks import Rechecker, Taker
from lockgate.app.high.supervise import Service, Supervisor, command
from lockgate.app.high.tls import pip_options, scheme, tls_of
from lockgate.app.logs import LEVEL_VARIABLE, SUPERVISED_VARIABLE, configure_logs
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.soak import CANDIDATE

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", LEVEL_VARIABLE)
"""What of the environment the services see; everything else stays outside."""

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


def _environment(side: Side) -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, **QUIET, SUPERVISED_VARIABLE: "1", "LOCKGATE_HOME": str(side.home.root)}


def address(side: Side, service: str) -> str:
    """Return the base address of a service (``mirror``, ``candidate``, ``gateway``, ``console``)."""
    serve = side.settings.serve
    port = {
        "mirror": serve.mirror_port,
        "candidate": serve.candidate_port,
        "gateway": serve.gateway_port,
        "console": serve.console_port,
    }[service]
    return f"{scheme(side)}://{serve.host}:{port}"


def _service(side: Side, name: str) -> Service:
    return Service(name, command(name, "serve"), f"{address(side, name)}/healthz")


def bring_up(side: Side, say: Callable[[str], None], *, detached: bool) -> None:
    """Start everything and keep it running.

    Args:
        side: The high side.
        say: Told what happens.
        detached: Whether to return when all are ready, leaving a supervisor behind.

    Raises:
        AlreadyUpError: The services run already.
        ServiceDownError: One did not become ready; the others are stopped again.

    """
    supervise.demand_down(side.home.run)
    read_end, write_end = os.pipe()
    if detached:
        if supervise.detach(side.home.run / "supervisor.log"):
            os.close(write_end)
            _follow(read_end, say)
            return
        os.close(read_end)
        os.environ[SUPERVISED_VARIABLE] = "1"
        with os.fdopen(write_end, "w", buffering=1) as pipe:
            _supervise(side, lambda text: print(text, file=pipe), lambda: pipe.write("ready\n"))
        return
    os.close(read_end)
    os.close(write_end)
    _supervise(side, say, lambda: say("all services are ready; Ctrl-C stops them"))


def _follow(descriptor: int, say: Callable[[str], None]) -> None:
    """Repeat what the detached supervisor says until it is ready or has failed."""
    with os.fdopen(descriptor) as pipe:
        last = ""
        for line in pipe:
            last = line.rstrip("\n")
            if last == "ready":
                return
            say(last)
    what = f"The services did not come up: {last or 'no message'}"
    raise supervise.ServiceDownError(what)


def _supervise(side: Side, say: Callable[[str], None], ready: Callable[[], object]) -> None:
    from lockgate.app.record.asking import Asker  # noqa: PLC0415  # heavy, and only used here

    configure_logs(side.settings.log.level)
    environment = _environment(side)
    beside = (Asker(side), Rechecker(side, environment), Taker(side, environment))
    tls = tls_of(side, utc_now())
    supervisor = Supervisor(side.home.run, environment, tls.client() if tls else None)
    try:
        _start(side, supervisor, say)
        for each in beside:
            each.start()
        ready()
        supervisor.watch()
    except Exception as error:
        say(str(error))
        raise
    finally:
        for each in beside:
            each.stop()
        supervisor.stop()


def _start(side: Side, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    from lockgate.app.high.engine import install_engine  # noqa: PLC0415  # heavy, and only used here
    from lockgate.app.high.knowledge import index_documents  # noqa: PLC0415  # the same

    supervisor.start(_service(side, "mirror"))
    say(f"mirrors ready on {address(side, 'mirror')}")
    if side.settings.serve.candidate and channel_file(side, CANDIDATE).is_file():
        serving = command("mirror", "serve", "--channel", CANDIDATE)
        supervisor.start(Service("candidate", serving, f"{address(side, 'candidate')}/healthz"))
        say(f"mirrors of {CANDIDATE} ready on {address(side, 'candidate')}")
    if side.settings.engine.project:
        folder = install_engine(
            side, f"{address(side, 'mirror')}/simple/", pip_options(side, tls_of(side, utc_now()))
        )
        say(f"engine installed from the mirror: {folder.name}")
    if side.settings.knowledge.collection:
        say(index_documents(side).sentence)
    if side.settings.engine.serves:
        supervisor.start(_service(side, "gateway"))
        say(f"gateway ready on {address(side, 'gateway')}/v1")
    supervisor.start(_service(side, "console"))
    say(f"console ready on {address(side, 'console')}")
    sys.stdout.flush()
