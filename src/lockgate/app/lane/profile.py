"""The site's profile: what its policy says, what the profile demands beyond, and what it gives up."""

from dataclasses import dataclass

from lockgate.app.settings import Side
from lockgate.app.trust import site_root, utc_now
from lockgate.core.errors import InputError
from lockgate.core.policy import Policy
from lockgate.core.profiles import PROFILES, Profile, breaches


class NoProfileError(InputError):
    """There is no profile of this name."""

    code = "LG-1f61"
    advice = "`lockgate policy explain` lists the profiles."


@dataclass(frozen=True, slots=True)
class SiteProfile:
    """A site's policy, its profile, and what the site lacks of it (nothing: it keeps all of it)."""

    policy: Policy
    profile: Profile
    lacks: tuple[str, ...]


def named(name: str) -> Profile:
    """Return a profile.

    Raises:
        NoProfileError: There is none of this name.

    """
    profile = PROFILES.get(name)
    if profile is None:
        what = f"There is no profile {name[:40]!r}; there are {', '.join(PROFILES)}."
        raise NoProfileError(what)
    return profile


def look(side: Side) -> SiteProfile:
    """Return how a side stands to its profile."""
    site = site_root(side, None)
    policy = site.policy or Policy()
    return SiteProfile(policy, named(policy.profile), tuple(breaches(site, utc_now())))
