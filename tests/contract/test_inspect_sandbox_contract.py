"""What every sandbox does, the one that isolates and the double that does not."""

import os

import pytest

from corpora import inspection_content as make
from lockgate.inspect import InspectItem, Job, Limits, inspect_files, run_in_sandbox
from lockgate.inspect.errors import BadEntryError, JobFailedError, JobOutputError, NotInspectableError
from lockgate.inspect.helped import Helper
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.inspect.warm import WarmSandbox
from lockgate.inspect.worker import INSPECT, InspectArgs


def _helped() -> ProcessSandbox:
    return ProcessSandbox(launcher=Helper())


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root is its own helper")
SANDBOXES = [
    ProcessSandbox,
    WarmSandbox,
    pytest.param(_helped, marks=ROOT),
    InsecureInProcessSandbox,
]


@pytest.fixture(params=SANDBOXES, ids=lambda kind: kind.__name__)
def sandbox(request):
    made = request.param()
    yield made
    if isinstance(made, WarmSandbox):
        made.close()


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"The lock opens at dawn.\n")
    return path


def _args(name: str = "note.txt", kind: str = "file") -> bytes:
    import msgspec

    return msgspec.json.encode(InspectArgs(name=name, kind=kind, limits=Limits()))


def test_answers_with_what_the_function_returns(sandbox, text) -> None:
    answer = sandbox.run(Job(entry=INSPECT, file=text, args=_args()))
    assert b'"detected":"text"' in answer
    assert b'"covered":24' in answer


def test_reads_an_empty_file(sandbox, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert b'"detected":"empty"' in sandbox.run(Job(entry=INSPECT, file=empty, args=_args()))


def test_generic_jobs_use_the_limits_of_inspection(sandbox, text) -> None:
    assert b'"detected":"text"' in run_in_sandbox(sandbox, INSPECT, text, _args())


@pytest.mark.parametrize(
    "entry",
    [
        "os:system",
        "lockgate.inspect.worker:_write",
        "lockgate.inspect.worker",
        "lockgate:x.y",
        "lockgatex.a:b",
    ],
)
def test_runs_only_functions_of_ours(sandbox, text, entry) -> None:
    with pytest.raises(BadEntryError):
        sandbox.run(Job(entry=entry, file=text))


def test_a_function_that_fails_is_the_jobs_failure(sandbox, text) -> None:
    with pytest.raises(JobFailedError):
        sandbox.run(Job(entry=INSPECT, file=text, args=b"no arguments"))


def test_an_answer_over_the_bound_is_refused(sandbox, text) -> None:
    with pytest.raises(JobOutputError, match="more than 8 bytes"):
        sandbox.run(Job(entry=INSPECT, file=text, args=_args(), output_bytes=8))


@pytest.mark.parametrize("what", ["missing", "folder", "link", "pipe"])
def test_reads_regular_files_only(sandbox, text, tmp_path, what) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(text)
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(NotInspectableError):
        sandbox.run(Job(entry=INSPECT, file=path, args=_args()))


def test_both_give_the_same_verdicts(tmp_path) -> None:
    from lockgate.core.digests import sha256

    content = {
        "lock_demo-1.0-py3-none-any.whl": make.wheel({"lock_demo/m.gguf": make.gguf()}),
        "m.onnx": make.onnx(),
        "page.pdf": make.pdf(),
        "page.md": b"# Lock\n\n<script>x()</script>\n",
        "m.pkl": make.evil_pickle(),
    }
    items = []
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
        items.append(
            InspectItem(path=name, kind="document", file=tmp_path / name, sha256=sha256(data), size=len(data))
        )
    with WarmSandbox() as warm:
        isolated, forked, direct = (
            inspect_files(items, sandbox, jobs=2)
            for sandbox in (ProcessSandbox(), warm, InsecureInProcessSandbox())
        )
    assert isolated == direct == forked
    assert [verdict.path for verdict in isolated] == list(content)


def test_says_what_it_is() -> None:
    assert ProcessSandbox().describe()["seccomp"] == "allow-list"
    assert "INSECURE" in InsecureInProcessSandbox().describe()["sandbox"]
