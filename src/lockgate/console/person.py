"""Who looks at the page: set by the console's door for the length of one request."""

from contextvars import ContextVar
from dataclasses import dataclass

from lockgate.infer.identity import Identity, Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who signed in: who, and the word that forms of theirs bring back."""

    identity: Identity
    word: str

    @property
    def sees_all(self) -> bool:
        """Tell whether every page is open to them."""
        return bool(self.identity.roles & {Role.OPERATOR.value, Role.AUDITOR.value})

    @property
    def decides(self) -> bool:
        """Tell whether they decide about what others appeal against."""
        return Role.OPERATOR.value in self.identity.roles

    def may_see(self, label: str) -> bool:
        """Tell whether something of a label is open to them."""
        return self.sees_all or not label or label in self.identity.labels


viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)
"""The viewer of this request; none where the console is open to whoever reaches it."""
