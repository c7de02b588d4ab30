"""The use case over artifacts: what only shows across their files is added to the verdicts of those files."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lockgate.core.ports import Progress, Silent
from lockgate.core.verdict import Verdict
from lockgate.inspect.images.service import Images
from lockgate.inspect.limits import Limits
from lockgate.inspect.openvino import Networks
from lockgate.inspect.ports import Sandbox, Whole
from lockgate.inspect.repositories import Repositories
from lockgate.inspect.signatures import Signatures, Trust
from lockgate.inspect.wholes import Extras, amended, merge


class WholeInspection:
    """Looks at artifacts as wholes: who signed them, what layers and configurations do together."""

    def __init__(
        self,
        sandbox: Sandbox,
        limits: Limits,
        trust: Trust,
        *,
        jobs: int = 2,
        progress: Progress | None = None,
    ) -> None:
        """Parse in a sandbox, within limits, and judge signatures by trust roots."""
        self._signatures = Signatures(sandbox, limits, trust)
        self._images = Images(sandbox, limits)
        self._repositories = Repositories(sandbox, limits)
        self._networks = Networks(sandbox, limits)
        self._jobs = jobs
        self._progress = progress or Silent()

    def add(self, wholes: Sequence[Whole], verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Return verdicts with what was seen of their artifacts; none becomes better.

        Raises:
            SandboxUnavailableError: Nothing can be parsed safely here.

        """
        self._progress.start("look at artifacts as wholes", len(wholes))
        extras: Extras = {}
        with ThreadPoolExecutor(max_workers=max(1, self._jobs), thread_name_prefix="whole") as pool:
            for found in pool.map(self._look, wholes):
                merge(extras, found)
                self._progress.advance(1)
        self._progress.finish()
        return amended(verdicts, extras)

    def roles(self, wholes: Sequence[Whole]) -> dict[str, str]:
        """Return what part of a package each file is, by path, where only its artifact tells."""
        return self._images.roles(wholes)

    def _look(self, whole: Whole) -> Extras:
        found = self._signatures.judge(whole)
        looks = (self._images, self._repositories, self._networks)
        for more in (each.look(whole) for each in looks):
            merge(found, more)
        return found
