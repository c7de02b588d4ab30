"""What the tables of a manifest have in common; each ecosystem's table stands in a module of its own."""

from typing import Annotated

import msgspec

Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the manifest's tables: a key that is not known is a mistake."""
