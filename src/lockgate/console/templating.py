"""Templates: escaping always on, an unknown name is an error, nothing is fetched."""

from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from lockgate.console import format as fmt


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment that renders every page."""
    env = Environment(
        loader=PackageLoader("lockgate.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        size=fmt.size,
        duration=fmt.duration,
        count=fmt.count,
        lapse=fmt.lapse,
        moment=fmt.moment,
        short=fmt.short,
        plural=fmt.plural,
        words=fmt.words,
        understood=fmt.understood,
    )
    return env


def asset(name: str) -> str:
    """Return the text of one of our style sheets."""
    return resources.files("lockgate.console").joinpath("static", name).read_text(encoding="utf-8")
