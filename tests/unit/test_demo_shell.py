"""The demonstration shows commands as they can be typed."""

import importlib.util
import shlex
from pathlib import Path
from types import ModuleType

import pytest

SHELL = Path(__file__).parents[2] / "demo/steps/shell.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_shell", SHELL)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_what_is_shown_can_be_typed_again(
    module: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lockgate", "custody", "begin", "--place", "low counter", "it's; rm $X"]
    module.Shell(tmp_path).say([*words, Path.cwd() / "crate"], where="high ")
    _, _, shown = capsys.readouterr().out.strip().partition("$\x1b[0m ")
    assert shlex.split(shown) == [*words, "crate"]
