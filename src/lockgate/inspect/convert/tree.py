"""What a pickle would build, as plain values: nothing is imported, nothing is called.

A torch checkpoint or a whole module becomes dictionaries, lists and `Made` objects. Tensors are where
`torch._utils` would be asked to rebuild them; a module's are found as ``Module.state_dict`` finds them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.pickle_machine import MOST_STEPS, Machine
from lockgate.inspect.inspectors.pickle_values import ANY, Global, Made
from lockgate.inspect.limits import Limits, demand

DEPTH = 64
"""How deep values may be nested."""

_DICTS = frozenset({"collections.OrderedDict", "builtins.dict", "collections.defaultdict"})
_TENSORS = frozenset({"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"})
_PARAMETERS = frozenset({"torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter"})
_MODULE = ("_parameters", "_buffers")
_ID = 5
_LEAST_ARGS = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """A storage that a persistent id names."""

    id: Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view on a storage: its element type (torch's storage class), key, and shape in elements."""

    kind: str
    key: str
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class TreeMachine(Machine):
    """Keeps the values that the inspecting machine forgets."""

    def __init__(self, data: memoryview) -> None:
        """Walk this pickle."""
        super().__init__(data, MOST_STEPS)
        self.result: Any = ANY

    def apply(self, op: str, argument: bytes) -> None:
        """Keep lists, whole dictionaries and persistent ids; everything else as in the inspecting machine."""
        if op == "]":
            self.stack.append([])
        elif op == "l":
            self.stack.append(self.to_mark())
        elif op == "a":
            self._extend([self.pop()])
        elif op == "e":
            self._extend(self.to_mark())
        elif op in "PQ":
            self.stack.append(Stored(argument.decode("utf-8") if op == "P" else self.pop()))
        else:
            super().apply(op, argument)

    def _extend(self, items: list[Any]) -> None:
        target = self.filled()
        if isinstance(target, list):
            target += items

    def fill(self, target: Any, items: list[Any]) -> None:
        """Keep every key that is a text or a number."""
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=False):
                if isinstance(key, str | int):
                    target[key] = value

    def call(self, what: Any, args: tuple[Any, ...] | None = None) -> None:
        """Make dictionaries of dictionaries, and objects of everything else."""
        super().call(what, args)
        if isinstance(what, Global) and str(what) in _DICTS:
            self.stack[-1] = {}

    def step(self) -> bool:
        """Keep what the pickle is, at its end."""
        if chr(self.data[self.at]) == "." and self.stack:
            self.result = self.stack[-1]
        return super().step()


def tree_of(data: memoryview) -> Any:
    """Return what a pickle would build.

    Raises:
        BrokenContentError: It breaks off, or is built so that loaders read it differently.

    """
    machine = TreeMachine(data)
    walk = machine.run()
    if not walk.complete or walk.odd:
        what = f"The pickle cannot be followed: {walk.trouble or 'loaders read it differently'}."
        raise BrokenContentError(what)
    return machine.result


def tensors_of(value: Any, limits: Limits) -> dict[str, Tensor]:
    """Return every tensor in a tree by its name, in the order of the tree.

    Raises:
        BrokenContentError: Values are nested too deep, or hold themselves.
        OverLimitError: There are too many.

    """
    found: dict[str, Tensor] = {}
    for name, tensor in _walk(value, "", frozenset()):
        demand(len(found) + 1, limits.tensors, "tensors")
        found.setdefault(name or "tensor", tensor)
    return found


def _walk(value: Any, name: str, above: frozenset[int]) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(value, dict | list | tuple | Made):
        return
    if id(value) in above or len(above) >= DEPTH:
        what = f"Values at {name[:80]!r} are nested too deep, or hold themselves."
        raise BrokenContentError(what)
    inside = above | {id(value)}
    if isinstance(value, Made):
        yield from _made(value, name, inside)
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        yield from _walk(item, _join(name, key), inside)


def _made(value: Made, name: str, above: frozenset[int]) -> Iterator[tuple[str, Tensor]]:
    what = str(value.what)
    if what in _TENSORS:
        yield name, _tensor(value.args or (), name)
    elif what in _PARAMETERS:
        yield from _walk((value.args or (None,))[0], name, above)
    elif isinstance(state := _state(value), dict):
        if "_modules" in state and "_parameters" in state:
            for part in _MODULE:
                yield from _walk(state.get(part), name, above)
            yield from _walk(state["_modules"], name, above)
        else:
            yield from _walk(state, name, above)


def _state(value: Made) -> Any:
    """Return an object's state; one with slots has a pair of both."""
    state = value.state
    return state[0] or state[1] if isinstance(state, tuple) and len(state) == 2 else state  # noqa: PLR2004  # dict and slots


def _join(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _whole(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)


def _tensor(args: tuple[Any, ...], name: str) -> Tensor:
    stored = args[0] if args else None
    storage = stored.id if isinstance(stored, Stored) else None
    if len(args) >= _LEAST_ARGS and isinstance(storage, tuple) and len(storage) == _ID:
        _, kind, key, _, count = storage
        offset, shape, stride = args[1:4]
        right = isinstance(kind, Global) and isinstance(key, str) and _whole((count, offset))
        if right and _whole(shape) and _whole(stride) and len(shape) == len(stride):
            return Tensor(kind.name, key, count, offset, shape, stride)
    what = f"The tensor {name[:80]!r} is described in a way that is not read."
    raise BrokenContentError(what)
