"""What the tables of a manifest have in common; each ecosystem's table stands in a module of its own."""

from typing import Annotated, ClassVar

import msgspec

Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the manifest's tables: a key that is not known is a mistake.

    `EXAMPLE` is what `lockgate manifest init` writes below a table's name.
    """

    EXAMPLE: ClassVar[str] = ""

    def brings(self) -> str:
        """Return in one sentence what a collection takes from this table."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        facts = ", ".join(f"{name} = {value!r}" for name, value in given.items() if value not in {"", ()})
        return f"{(type(self).__doc__ or '').partition('.')[0]}: {facts}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the paths of files and folders that have to be there, relative to the manifest's folder."""
        return ()
