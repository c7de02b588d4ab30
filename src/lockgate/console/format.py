"""How figures and moments read on a page."""

from datetime import UTC, datetime

from lockgate.core.verdict import Verdict

_MINUTE = 60.0
_TENTHS_BELOW = 10.0
_STEP = 1000.0


def size(count: int) -> str:
    """Return a length in bytes with SI units."""
    value = float(count)
    if value < _STEP:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        value /= _STEP
        if value < _STEP:
            return f"{value:.1f} {unit}"
    return f"{value / _STEP:.1f} TB"


def duration(seconds: float) -> str:
    """Return a length of time, given in seconds."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), int(_MINUTE))
    hours, minutes = divmod(minutes, int(_MINUTE))
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def lapse(seconds: float) -> str:
    """Return the time between two hand-overs; a negative one says that it goes backwards."""
    if seconds < 0:
        return f"{lapse(-seconds)} backwards"
    minutes = round(seconds / _MINUTE)
    hours, minutes = divmod(minutes, int(_MINUTE))
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def count(number: int) -> str:
    """Return a number with thin spaces between thousands (ISO 80000-1, 7.3.1)."""
    return f"{number:,}".replace(",", "\u202f")


def moment(at: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def short(digest: str) -> str:
    """Return the beginning of a digest, for eyes."""
    return f"{digest[:12]}…" if len(digest) > len("123456789abc…") else digest


def understood(verdict: Verdict) -> str:
    """Return which share of a file a parser understood; 100 % only when it is every byte."""
    if verdict.covered == verdict.size:
        return "100 %"
    return f"{min(99.9, 100 * verdict.covered / max(verdict.size, 1)):.1f} %"


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def words(number: int) -> str:
    """Return a small number as a word, a large one in figures."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else count(number)


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"
