"""What a model's card says of where it comes from.

Source: Hugging Face Hub, "Model cards", metadata between two lines of ``---`` (YAML): ``base_model``, a name
or a list of names. Those alone are read, line by line: nothing is decided by them, the gate compares.
"""

import re

CARD_BYTES = 64 << 10
"""How much of a card is read; the metadata stands at its beginning."""

_MOST = 4
_KEY = re.compile(r"base_model:[ \t]*(.*)")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}", re.ASCII)


def base_models(data: bytes) -> tuple[str, ...]:
    """Return the names of models that a card gives as its base, at most four; none where it gives none."""
    lines = data.decode("utf-8", "replace").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return ()
    found: list[str] = []
    inside = False
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        key, item = _KEY.fullmatch(line), _ITEM.fullmatch(line)
        if key:
            inside = not key[1].strip()
            found += re.split(r"[\[\],]", key[1])
        elif inside and item:
            found.append(item[1])
        else:
            inside = False
    names = (name.strip().strip("'\"") for name in found)
    return tuple(dict.fromkeys(name for name in names if _NAME.fullmatch(name)))[:_MOST]
