"""The command line in this process: arguments in; status, standard output and standard error out."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from lockgate.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """Return the one JSON value that the command printed."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """Return the one JSON object that a refused command printed."""
        assert self.out == ""
        error = json.loads(self.err)
        assert set(error) == {"code", "error", "advice", "where"}
        return error


class Commands:
    """Runs commands, and demands that they work unless a test says otherwise."""

    def run(self, *words: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        status: object = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([str(word) for word in words])
            except SystemExit as end:
                status = end.code or 0
        assert isinstance(status, int)
        return Ran(status, out.getvalue(), err.getvalue())

    def json(self, *words: object) -> Any:
        ran = self.run(*words, "--json")
        assert ran.status == 0, ran.err
        return ran.value

    def refused(self, *words: object) -> tuple[int, dict[str, Any]]:
        ran = self.run(*words, "--json")
        return ran.status, ran.error
