"""An adapter without any isolation, for tests of what runs inside. Never for hostile files."""

import os

import structlog

from lockgate.core.errors import LockgateError
from lockgate.inspect.announced import SiteInspector
from lockgate.inspect.errors import JobFailedError, JobOutputError
from lockgate.inspect.ports import Job, Sandbox
from lockgate.inspect.sandbox import open_regular
from lockgate.inspect.worker import call, content


class InsecureInProcessSandbox(Sandbox):
    """Runs jobs in this very process: whatever the file breaks, it breaks here."""

    def __init__(self, site: tuple[SiteInspector, ...] = ()) -> None:
        """Say loudly that there is no sandbox; `site` are the site's own inspectors."""
        self.site = site
        log = structlog.get_logger("lockgate.inspect")
        log.warning("insecure_sandbox", reason="files are parsed without isolation")

    def describe(self) -> dict[str, str]:
        """Say that there is none."""
        return {"sandbox": "none: INSECURE, in this process"}

    def run(self, job: Job) -> bytes:
        """Return the answer of a job; time and memory are not bounded."""
        descriptor = open_regular(job.file)
        try:
            given = call(job.entry, content(descriptor), job.args)
            answer = given if isinstance(given, bytes) else b"".join(given)
        except LockgateError:
            raise
        except Exception as error:
            what = f"The job failed: {type(error).__name__}."
            raise JobFailedError(what) from error
        finally:
            os.close(descriptor)
        if len(answer) > job.output_bytes:
            what = f"The job answered more than {job.output_bytes} bytes."
            raise JobOutputError(what, limit="output_bytes")
        return answer
