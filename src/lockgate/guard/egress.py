"""Filters an answer while it is streamed: nothing leaves before it is certain that it may.

Text is held back from where a canary, a tag, an address or a secret could have begun; all else leaves
at once. The first letters of a word leave before it is known whether it becomes an address: the name
of a scheme tells nothing. The filter stands outside the model: whatever the model was talked
into, this is what it meets on the way out.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from lockgate.guard.canary import HOLD, PREFIX, CanaryWatch
from lockgate.guard.links import REMOVED, refused_host
from lockgate.guard.policy import Guard, GuardPolicy, Mode
from lockgate.guard.repeat import RepeatWatch
from lockgate.guard.secrets import PERSONAL, SECRETS, Pattern, found
from lockgate.scoring.normalise import unfinished, visible

STOPPED = "[stopped: this answer held something that must not leave]"
"""Ends an answer that was stopped."""

WORD_LIMIT = 2048
"""Longest word or tag that is held back, in characters; a longer one is removed."""

_OFF = (Mode.OFF,) * 4

_TAG = re.compile(r"<[A-Za-z!/?][^<>]*>")
_TAG_BEGIN = re.compile(r"<[A-Za-z!/?]")
_LAST = 160
_OPEN_SECRET = re.compile(
    r"(?:-{1,5}|-----(?:BEGIN|END) [A-Z0-9 ]*-*|(?<![\w.-])\d(?:[ -]?\d)*[ -]?"
    r"|(?<!\w)[A-Z]{2}\d{2}[A-Z0-9 ]*"
    r"|(?i:(?<!\w)(?:password|passphrase|api[_-]?key|secret[_-]?key|access[_-]?token))"
    r"[\"']? ?[:=]? ?[\"']?)\Z"
)
_HARMLESS = re.compile(r"[A-Za-z ,.;!?()'*\n]*")
_PLAIN_WORD = re.compile(r"[(\"'*_]{0,3}[^\W\d_]{1,64}[,.;!?)*_'\"]{0,3}")
_TOKEN_BEGIN = re.compile(r"[(\"'*_]*(?:eyJ|AKIA|ASIA|gh[pos]_|github|glpat|xox|sk-|hf_|npm_|pypi|lg-|lgk_)")
_KEY_END = re.compile(r"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_PERHAPS_AN_ADDRESS = re.compile(r"[:\\&%]|//|www", re.IGNORECASE)
_WORDS = re.compile(r"\S+")


class OutputFilter:
    """Filters one answer.

    Args:
        policy: What each guard does.
        canaries: Words that must not leave.
        system: The system prompt, which is not to be repeated; may be empty.

    """

    def __init__(self, policy: GuardPolicy, canaries: Sequence[str] = (), system: str = "") -> None:
        """Begin with an empty answer."""
        self._policy = policy
        self._canary = CanaryWatch(canaries) if canaries and policy.canary is not Mode.OFF else None
        follow = system if policy.system_prompt is not Mode.OFF else ""
        modes = (policy.links, policy.secrets, policy.personal, policy.invisible)
        self.stopped = False
        self.hits: dict[tuple[Guard, str], int] = defaultdict(int)
        self.idle = self._canary is None and not follow and modes == _OFF
        if self.idle:
            return
        self._repeat = RepeatWatch(follow)
        self._open = ""
        self._start = 0
        self._said = ""  # of the word that is being written, what has left
        self._in_key = False
        self._seen = ""  # the last character that people saw
        self._flag = ""

    def feed(self, text: str) -> str:
        """Take more of the answer and return what may leave."""
        if self.idle:
            return text  # nothing looks at it, so nothing waits
        return "" if self.stopped else self._take(self._without_invisible(text), last=False)

    def finish(self) -> str:
        """Return the rest of the answer."""
        if self.stopped or self.idle:
            return ""
        rest, self._flag = visible(self._flag, self._seen)[0], ""
        self._repeat.finish()
        return self._take(rest, last=True)

    def _take(self, text: str, *, last: bool) -> str:
        self._open += text
        self._repeat.feed(text)
        if self._canary is not None:
            self._canary.feed(text)
            if self._canary.found and self._meets(Guard.CANARY, "canary", self._policy.canary):
                return self._stop()
        return self._release(len(self._open) if last else self._certain(), last=last)

    def _meets(self, guard: Guard, what: str, mode: Mode) -> bool:
        """Count a hit; tell whether it is to be acted on."""
        self.hits[guard, what] += 1
        return mode is Mode.BLOCK

    def _stop(self) -> str:
        self.stopped = True
        self._open = ""
        return STOPPED

    def _without_invisible(self, text: str) -> str:
        """Return what people see of more text; the end of a flag that is being written waits."""
        text, self._flag = self._flag + text, ""
        if self._policy.invisible is Mode.OFF or not text:
            return text
        end = unfinished(text)
        text, self._flag = text[:end], text[end:]
        seen, taken = visible(text, self._seen)
        self._seen = seen[-1:] or self._seen
        if taken:
            self.hits[Guard.INVISIBLE, "invisible"] += taken
        return seen if self._policy.invisible is Mode.BLOCK else text

    def _certain(self) -> int:
        """Return up to where the open text can no longer become anything that must not leave."""
        text = self._open
        end = space = max(text.rfind(" "), text.rfind("\n")) + 1
        near = (self._said + text[:end])[-_LAST:]
        if match := _OPEN_SECRET.search(near):
            end = max(0, end - len(near) + match.start())
        last = text.rfind("<", 0, end)
        if (
            last >= 0
            and text.find(">", last, end) < 0
            and len(text) - last <= WORD_LIMIT
            and _TAG_BEGIN.match(text, last)
        ):
            end = last
        elif end == space and self._plain(text[end:]):
            end = len(text)
        if len(text) - end > WORD_LIMIT:
            end = len(text)
        return min(end, self._before_canary(len(text)))

    def _plain(self, rest: str) -> bool:
        """Tell whether the word that is being written is a plain one so far, which may leave."""
        if self._policy.personal is Mode.BLOCK:
            return False  # the name in a mail address is a plain word too
        word = rest if rest != self._open else self._said + rest
        return bool(_PLAIN_WORD.fullmatch(word)) and not _TOKEN_BEGIN.match(word)

    def _before_canary(self, length: int) -> int:
        if self._canary is None or self._policy.canary is not Mode.BLOCK:
            return length
        begins = self._canary.begins()
        if begins is None:
            return length
        if self._start + length - begins <= HOLD:
            return max(0, begins - self._start)
        # Fillers stretch it: so much of a canary that it is no chance stays, less goes.
        sure = self._canary.begins(least=PREFIX + 1)
        return length if sure is None else max(0, sure - self._start)

    def _release(self, end: int, *, last: bool) -> str:
        """Judge the text up to an end that is certain, and return what may leave of it."""
        if self._repeat.found:
            self._repeat.found = False
            if self._meets(Guard.SYSTEM_PROMPT, "repeated", self._policy.system_prompt):
                return self._stop()
        begins = self._repeat.begins() if self._policy.system_prompt is Mode.BLOCK else None
        if begins is not None and not last:
            end = min(end, max(0, begins - self._start))
        text, self._open, self._start = self._open[:end], self._open[end:], self._start + end
        return self._passed(text) if text else ""

    def _passed(self, text: str) -> str:
        """Judge text together with the part of its first word that has left; return what may leave."""
        said, joined = self._said, self._said + text
        space = max(joined.rfind(" "), joined.rfind("\n")) + 1
        self._said = joined[space:] if _PLAIN_WORD.fullmatch(joined, space) else ""
        judged = self._judged(joined)
        return judged.removeprefix(said)

    def _judged(self, text: str) -> str:
        if not self._in_key and _HARMLESS.fullmatch(text) and "www" not in text:
            return text
        text = self._without_keys(text)
        for guard, mode, patterns in (
            (Guard.SECRETS, self._policy.secrets, SECRETS),
            (Guard.PERSONAL, self._policy.personal, PERSONAL),
        ):
            if mode is not Mode.OFF:
                text = self._without(text, guard, mode, patterns)
        if self._policy.links is not Mode.OFF:
            text = _TAG.sub(lambda match: self._linked(match[0], ""), text)
            text = _WORDS.sub(lambda match: self._word(match[0]), text)
        return text

    def _without_keys(self, text: str) -> str:
        """Leave out the lines of a private key, whose body looks like anything."""
        if self._in_key:
            match = _KEY_END.search(text)
            if match is None:
                return ""
            self._in_key = False
            text = text[match.end() :]
        if self._policy.secrets is Mode.BLOCK and (match := SECRETS[0].expression.search(text)):
            self._in_key = True
            self.hits[Guard.SECRETS, SECRETS[0].id] += 1
            return (
                f"{text[: match.start()]}[removed: {SECRETS[0].id}]{self._without_keys(text[match.end() :])}"
            )
        return text

    def _without(self, text: str, guard: Guard, mode: Mode, patterns: tuple[Pattern, ...]) -> str:
        taken = sorted(found(text, patterns), key=lambda each: each[1])
        parts, last = [], 0
        for kind, start, end in taken:
            if start < last:
                continue
            if self._meets(guard, kind, mode):
                parts += [text[last:start], f"[removed: {kind}]"]
                last = end
        return "".join([*parts, text[last:]])

    def _word(self, word: str) -> str:
        if len(word) > WORD_LIMIT:
            return REMOVED if self._meets(Guard.LINKS, "overlong", self._policy.links) else word
        bracket = word.rfind("](")
        return self._linked(word, f"{word[:bracket]}] " if bracket >= 0 else "")

    def _linked(self, part: str, kept: str) -> str:
        """Return a word or tag, or a mark in its place when it names what is not allowed."""
        if part.isascii() and not _PERHAPS_AN_ADDRESS.search(part):
            return part
        if refused_host(part, self._policy.hosts) is None:
            return part
        return f"{kept}{REMOVED}" if self._meets(Guard.LINKS, "host", self._policy.links) else part
