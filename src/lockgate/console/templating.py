"""Templates: escaping always on, an unknown name is an error, nothing is fetched."""

from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lockgate.console import format as fmt
from lockgate.core.visible import tame


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment that renders every page."""
    env = Environment(
        loader=PackageLoader("lockgate.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_tamed,
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
        ticks=ticks,
    )
    return env


def _tamed(value: object) -> object:
    """Return what a page shows, with a sign in place of each character that turns or hides another."""
    if isinstance(value, Markup):
        return Markup(tame(value))  # noqa: S704  # it was markup, and nothing that escaping changed comes in
    return tame(value) if isinstance(value, str) else value


def ticks(text: str) -> Markup:
    """Return a sentence with what stands in backticks as code, all of it escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one without its fellow
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def asset(name: str) -> str:
    """Return the text of one of our style sheets."""
    return resources.files("lockgate.console").joinpath("static", name).read_text(encoding="utf-8")
