"""What calls for files and folders give back in Python source: paths, handles, and what lies there."""

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate.inspect.inspectors import python_constants as constants
from lockgate.inspect.inspectors.python_known import UNKNOWN, Call, Key, Value
from lockgate.inspect.inspectors.python_places import NOTHING, PICTURES, Mark

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.python_values import Reader

_PATHS = frozenset({"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.WindowsPath"})
_JOINS = frozenset({"os.path.join", "posixpath.join", "ntpath.join", "pathlib.Path().joinpath"})
_OPENS = frozenset(
    {
        "builtins.open",
        "io.open",
        "codecs.open",
        "pathlib.Path().open",
        "sqlite3.connect",
        "aiofiles.open",
        "os.fdopen",
    }
)
_PATH_READS = frozenset({"pathlib.Path().read_text", "pathlib.Path().read_bytes"})
_BUFFERS = frozenset(
    {"zipfile.ZipFile", "tarfile.open", "tarfile.TarFile", "builtins.open", "io.open", "gzip.open"}
)
_LISTS = frozenset({
    "os.walk", "os.listdir", "os.scandir", "glob.glob", "glob.iglob", "pathlib.Path().rglob",
    "pathlib.Path().glob", "pathlib.Path().iterdir", "os.fwalk", "pathlib.Path().walk",
})  # fmt: skip
_ALL = ("C:", "c:", "D:")
_WRITES = ("w", "a", "x", "+")
_DRIVE = 3


def opened(marks: Mark) -> Mark:
    """Return what is known of what lies in a file at a place."""
    found = NOTHING
    if marks & Mark.KEPT:
        found |= Mark.READ
    if marks & Mark.KEYS:
        found |= Mark.READ_KEYS
    return found


def _path(reader: "Reader", call: Call) -> Value:
    parts = [call.base] if call.name.endswith("joinpath") else []
    parts += call.given
    const = (
        constants.joined_path(tuple(value.const for value in parts)) if len(parts) != 1 else parts[0].const
    )
    marks = NOTHING
    keys: tuple[Key, ...] = ()
    for value in parts:
        marks |= value.marks
        keys = keys or value.keys
    name = "pathlib.Path()" if call.name.startswith("pathlib.") else ""
    return reader.placed(Value(const, name, marks, keys))


def _home(reader: "Reader", call: Call) -> Value:
    if call.name.endswith(("Path.home", "Path().home")):
        return Value("~", "pathlib.Path()", Mark.HOME)
    value = call.first() if call.given else call.base
    const = value.const
    if isinstance(const, str) and const.startswith(("~", "%", "$")):
        const = "~" + const.lstrip("~").partition("/")[2].join(["/", ""]) if "/" in const else "~"
    name = "pathlib.Path()" if call.name.startswith("pathlib.") else ""
    told = const is not None or value.marks & Mark.WRITTEN
    marks = value.marks | Mark.HOME if told else value.marks  # what a caller names need not be a home
    return reader.placed(replace(value, const=const, name=name, marks=marks))


def _open(reader: "Reader", call: Call) -> Value:
    value = call.base if call.name.startswith("pathlib.Path()") else call.first()
    mode = call.words.get(
        "mode", call.given[1] if len(call.given) > 1 and value is not call.base else UNKNOWN
    ).const
    if value is call.base and call.given:
        mode = call.given[0].const
    marks = value.marks & ~(Mark.WRITTEN | Mark.BUILT | Mark.ENV) | Mark.FILE
    if not (isinstance(mode, str) and mode[:1] in _WRITES):
        marks |= opened(value.marks)
        if isinstance(value.const, str) and PICTURES.search(value.const):
            marks |= Mark.PICTURE
    if value is call.base and isinstance(call.node.func, ast.Attribute):
        key = reader.key_of(call.node.func.value)
    else:
        key = reader.key_of(call.node.args[0]) if call.node.args else None
    keys = (*value.keys, *((key,) if key else ()))[-3:]
    return Value(name="builtins.open()", marks=marks, keys=keys)


def _read(reader: "Reader", call: Call) -> Value:
    del reader
    marks = call.base.marks & ~(Mark.WRITTEN | Mark.BUILT) | Mark.FILE
    if isinstance(call.base.const, str) and PICTURES.search(call.base.const):
        marks |= Mark.PICTURE
    return Value(marks=marks | opened(call.base.marks))


def _buffer(reader: "Reader", call: Call) -> Value:
    into = call.node.args[0] if call.node.args else None
    into = next((word.value for word in call.node.keywords if word.arg in {"fileobj", "file"}), into)
    key = reader.key_of(into) if into else None
    return Value(name=f"{call.name}()", marks=call.first().marks & ~Mark.WRITTEN, keys=(key,) if key else ())


def _listed(reader: "Reader", call: Call) -> Value:
    value = call.base if call.name.startswith("pathlib.Path()") else call.first()
    del reader
    everywhere = isinstance(value.const, str) and (
        value.const == "/" or (value.const.startswith(_ALL) and len(value.const) <= _DRIVE)
    )
    marks = value.marks & ~(Mark.HOME | Mark.WRITTEN)
    if everywhere or value.marks & (Mark.HOME | Mark.WALKED):
        marks |= Mark.WALKED
    name = "pathlib.Path()[]" if call.name.startswith("pathlib.") else ""
    return Value(name=name, marks=marks)


FILES: dict[str, Callable[["Reader", Call], Value]] = {
    **dict.fromkeys((*_PATHS, *_JOINS), _path),
    "pathlib.Path.home": _home,
    "os.path.expanduser": _home,
    "os.path.expandvars": _home,
    "pathlib.Path().expanduser": _home,
    **dict.fromkeys(_OPENS, _open),
    **dict.fromkeys(_PATH_READS, _read),
    **dict.fromkeys(_BUFFERS - _OPENS, _buffer),
    **dict.fromkeys(_LISTS, _listed),
}
