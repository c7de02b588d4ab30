"""Inspecting files: order, digests, faults of the sandbox, and the command."""

import json
import os
import pickle

import pytest
from typer.testing import CliRunner

from corpora import inspection_content as make
from corpora.inspection_pickles import torch_zip
from lockgate.cli.inspect import app
from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome, Severity
from lockgate.inspect import InspectItem, Limits, Sandbox, inspect_files
from lockgate.inspect.errors import (
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    SandboxUnavailableError,
)
from lockgate.inspect.insecure import InsecureInProcessSandbox


class Scripted(Sandbox):
    """Answers, or raises, what a test wants."""

    def __init__(self, answer):
        self.answer = answer
        self.jobs = []

    def describe(self):
        return {"sandbox": "scripted"}

    def run(self, job):
        self.jobs.append(job)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Counted:
    """A progress that is remembered."""

    def __init__(self):
        self.said = []

    def start(self, task, total):
        self.said.append((task, total))

    def advance(self, count):
        self.said.append(count)

    def finish(self):
        self.said.append("end")


@pytest.fixture
def item(tmp_path) -> InspectItem:
    return _item(tmp_path, "a.txt", b"text")


def _item(folder, name: str, data: bytes) -> InspectItem:
    (folder / name).write_bytes(data)
    return InspectItem(path=name, kind="file", file=folder / name, sha256=sha256(data), size=len(data))


def test_verdicts_keep_the_order_and_progress_is_told(tmp_path) -> None:
    items = [_item(tmp_path, f"{n}.txt", b"x" * n) for n in range(1, 9)]
    progress = Counted()
    verdicts = inspect_files(items, InsecureInProcessSandbox(), jobs=4, progress=progress)
    assert [verdict.size for verdict in verdicts] == list(range(1, 9))
    assert progress.said == [("inspect", 36), *range(1, 9), "end"]


def test_bytes_that_the_digest_does_not_name_are_never_parsed(item) -> None:
    item.file.write_bytes(b"tex?")
    sandbox = Scripted(b"")
    (verdict,) = inspect_files([item], sandbox)
    assert verdict.findings[0].code == "content-changed"
    assert verdict.findings[0].severity is Severity.CRITICAL
    assert sandbox.jobs == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (JobFailedError("It died."), "worker-failed"),
        (JobTimeoutError("Too slow."), "worker-timeout"),
        (JobOutputError("Too much."), "worker-output"),
        (b"nonsense", "worker-answer"),
        (b'{"detected":"text"}', "worker-answer"),
        (
            b'{"detected":"text","size":5,"covered":5,"complete":true,"opaque":[],"findings":[],"inspectors":[]}',
            "worker-answer",
        ),
    ],
)
def test_no_proper_answer_is_incomplete(item, answer, code) -> None:
    (verdict,) = inspect_files([item], Scripted(answer))
    assert (verdict.outcome, verdict.findings[0].code) == (Outcome.INCOMPLETE, code)


def test_a_file_over_the_limit_or_gone_is_incomplete(item) -> None:
    (large,) = inspect_files([item], Scripted(b""), limits=Limits(file_bytes=3))
    assert (large.outcome, large.findings[0].code) == (Outcome.INCOMPLETE, "over-limit")
    item.file.unlink()
    (gone,) = inspect_files([item], Scripted(b""))
    assert (gone.outcome, gone.findings[0].code) == (Outcome.INCOMPLETE, "unreadable")


def test_without_a_sandbox_nothing_is_said(item) -> None:
    with pytest.raises(SandboxUnavailableError):
        inspect_files([item] * 3, Scripted(SandboxUnavailableError("There is none.")))


def test_time_and_memory_grow_with_the_file(tmp_path) -> None:
    sandbox = Scripted(JobFailedError("no"))
    inspect_files(
        [_item(tmp_path, "b", bytes(4 << 20))], sandbox, limits=Limits(memory_bytes=5, wall_seconds=7)
    )
    (job,) = sandbox.jobs
    assert job.memory_bytes == (4 << 20) + 5
    assert job.wall_seconds == 7 + 2


def test_the_command_prints_one_line_for_each_file(tmp_path) -> None:
    (tmp_path / "b.md").write_bytes(b"# Fine\n")
    (tmp_path / "c.so").write_bytes(make.elf())
    done = CliRunner().invoke(app, [str(tmp_path), "--json"])
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert (first["detected"], first["verdict"], first["covered"]) == ("markdown", "clean", 7)
    assert (second["verdict"], second["opaque"]) == ("opaque", ["elf"])
    assert second["seconds"] > 0


def test_the_command_ends_badly_when_something_was_found(tmp_path) -> None:
    (tmp_path / "m.pkl").write_bytes(make.evil_pickle())
    done = CliRunner().invoke(app, [str(tmp_path / "m.pkl")])
    assert done.exit_code == 4
    assert "critical pickle" in done.stdout
    assert "builtins.print" in " ".join(done.stdout.split())


def test_the_command_names_a_missing_file(tmp_path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path / "missing")])
    assert done.exit_code != 0
    assert "does not exist" in str(done.exception)


def test_a_kind_can_be_given(tmp_path) -> None:
    (tmp_path / "a.html").write_bytes(b"<html><script>x()</script>")
    assert CliRunner().invoke(app, [str(tmp_path), "--kind", "document"]).exit_code == 4
    assert CliRunner().invoke(app, [str(tmp_path), "--kind", "python"]).exit_code == 0


@pytest.mark.parametrize(
    ("profile", "verdict"),
    [("auto", "opaque"), ("data", "opaque"), ("torch-state-dict", "opaque"), ("none", "findings")],
)
def test_a_profile_says_what_pickles_may_be_read_as(tmp_path, profile, verdict) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": [1]}, 4))
    done = CliRunner().invoke(app, [str(tmp_path), "--json", "--profile", profile])
    assert json.loads(done.stdout)["verdict"] == verdict
    assert done.exit_code == (0 if verdict == "opaque" else 4)


def test_a_narrow_profile_refuses_what_a_wide_one_takes(tmp_path) -> None:
    (tmp_path / "m.pt").write_bytes(torch_zip())
    for profile, status in (("torch-state-dict", 0), ("numpy", 4), ("none", 4)):
        assert CliRunner().invoke(app, [str(tmp_path), "--profile", profile]).exit_code == status


def test_links_and_pipes_in_a_folder_get_a_verdict_and_are_not_opened(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")
    (tmp_path / "b").symlink_to(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "c")
    done = CliRunner().invoke(app, [str(tmp_path), "--json"])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["verdict"] for line in lines] == ["clean", "incomplete", "incomplete"]
    assert [line["findings"][0]["code"] for line in lines[1:]] == ["unreadable", "unreadable"]
    assert done.exit_code == 4
