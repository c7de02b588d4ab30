"""Rules over the plain form of a text: few, exact, meant to be nearly never wrong.

A rule blocks only what no harmless text says in that place: an order to drop one's instructions, a
forged turn of the conversation, characters that carry a text which nobody sees. What can be harmless
(a question about such an order, a quotation) is noted, for a classifier to judge; where there is none,
a note counts as a flag. What is an order depends on where it stands: a person may ask for much that a
document found by a search, or a tool's answer, may not ask for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """Where a text comes from, which decides what it may ask for."""

    USER = "user"
    RETRIEVED = "retrieved"
    TOOL = "tool"


class Action(StrEnum):
    """What a rule's hit means; they are ordered."""

    NOTE = "note"
    FLAG = "flag"
    BLOCK = "block"


FOREIGN = frozenset({Channel.RETRIEVED, Channel.TOOL})
EVERYWHERE = frozenset(Channel)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: Its name in decisions, metrics and receipts.
        why: What it says when it hits.
        action: What it means.
        channels: Where it is looked for.
        pattern: Searched in the plain form (lower case, one space between words).
        needs: One of these is in everything that the pattern finds. To look for them first is many times
            quicker than the pattern, and most texts have none.
        quotable: A hit inside quotation marks or code that is spoken about is noted only.

    """

    id: str
    why: str
    action: Action
    channels: frozenset[Channel]
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    quotable: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that hit, and whether that blocks, flags or is noted."""

    rule: str
    action: Action
    why: str


def _rule(
    name: str,
    why: str,
    pattern: str,
    *,
    needs: tuple[str, ...],
    action: Action = Action.BLOCK,
    channels: frozenset[Channel] = EVERYWHERE,
    quotable: bool = True,
) -> Rule:
    return Rule(name, why, action, channels, re.compile(pattern), needs, quotable)


_EARLIER = (
    r"(?:previous|prior|preceding|earlier|above|initial|original|former|foregoing|existing|current|past)"
)
_TOLD = r"(?:instructions?|prompts?|directives?|guidelines|directions)"
_ALL_OF = r"(?:all |any |every |each )?(?:of )?"
_DETERMINED = rf"{_ALL_OF}(?:the |your |these |those |its )?"
_OWN = (
    r"(?:rules|restrictions|constraints|programming|training|guardrails|policies|limitations"
    r"|filters|safeguards)"
)
_DROPPED = (
    rf"(?:{_DETERMINED}{_EARLIER} (?:\w+ )?{_TOLD}"
    rf"|{_DETERMINED}(?:system|developer|hidden) (?:{_TOLD}|guardrails|rules)"
    rf"|{_ALL_OF}your (?:\w+ )?(?:{_OWN}|{_TOLD}))"
)
_DROPS = (
    "ignore", "disregard", "forget", "override", "bypass", "discard", "dismiss", "neglect", "abandon", "skip",
    "void", "overrule",
)  # fmt: skip
_DROP = rf"(?:{'|'.join(_DROPS)})"
_START = (
    r"(?:^|[.!?:;\n)\]>*#\"'“«`-] ?|\b(?:please|now|and|then|but|so|first|instead|kindly|just|must"
    r"|should|will|to) )"
)
_ASSISTANT = (
    r"(?:ai|a\.i\.|llm|language model|assistant|chatbot|bot|copilot|agent|model|gpt|claude|llama|gemini)"
)

_ABOUT_PEOPLE = (
    r"conversation|chat history|user'?s? (?:data|message|question|query|name|emails?|files?|secrets?"
    r"|passwords?)|system prompt|previous messages?"
)
_TO_ADDRESS = (
    r"[^.]{0,80}(?:https?:|\bto \S+@\S+|\burl\b|\bimage\b|\blink\b|\bquery (?:string|parameter)"
    r"|webhook|endpoint)"
)

RULES: tuple[Rule, ...] = (
    _rule(
        "override",
        "It orders the model to drop its instructions.",
        rf"{_START}{_DROP} (?:about )?{_DROPPED}\b",
        needs=_DROPS,
    ),
    _rule(
        "override-everything",
        "It orders the model to drop everything that it was told.",
        rf"{_START}{_DROP} (?:about )?(?:everything|anything|all|whatever)(?: that| which)?"
        r" you(?: have|'ve|were| were| had)(?: been| just| previously)* (?:told|instructed|given|taught)\b"
        rf"|{_START}{_DROP} (?:everything|all) (?:written |stated |said )?(?:above|before this)(?:$"
        rf"|[.,;!:]| and )",
        needs=_DROPS,
    ),
    _rule(
        "override-do-not-follow",
        "It orders the model not to follow its instructions.",
        rf"{_START}(?:do not|don't|dont|stop|never) (?:follow|following|obey|obeying|adhere to"
        rf"|comply with) {_DROPPED}\b",
        needs=("follow", "obey", "adhere to", "comply with"),
    ),
    _rule(
        "override-perhaps",
        "It speaks of dropping what was said before.",
        rf"\b{_DROP} (?:\w+ ){{0,3}}?(?:{_EARLIER}|system) (?:\w+ ){{0,2}}?"
        r"(?:instructions?|prompts?|rules|orders|messages|context|conversation|commands)\b",
        action=Action.NOTE,
        needs=_DROPS,
    ),
    _rule(
        "new-instructions",
        "It announces instructions that are to replace the model's own.",
        r"(?:^|[.!?\n*#\]>-] ?)(?:your |here are (?:your )?)?(?:new|updated|revised|real|actual|true) "
        r"(?:system )?(?:instructions?|prompt|directives?|orders|task|objective)(?: (?:is|are))? ?:",
        channels=FOREIGN,
        needs=("instruction", "prompt", "directive", "orders", "task", "objective"),
    ),
    _rule(
        "forged-turn",
        "It forges a turn of the conversation with the marks of a chat template.",
        r"<\|(?:im_start|start_header_id|system|assistant|user|start)\|?>? ?(?:system|assistant"
        r"|user|developer)?\b"
        r"|<\|im_end\|> ?<\|im_start\|>|\[/?inst\] ?<<sys>>|<<sys>>|<start_of_turn>(?:user|model)"
        r"|<\|endofprompt\|>",
        needs=("<|", "<<sys>>", "<start_of_turn>"),
    ),
    _rule(
        "forged-role",
        "It forges a message of the system.",
        r"(?:^|\n|[.!?>*#-] )[\[<({#* ]*(?:system|developer|admin(?:istrator)?)(?: (?:message"
        r"|prompt|note|override|"
        r"instructions?|notice|update))?[\])}>* ]*: ?(?:ignore|disregard|you (?:are|must|will"
        r"|should)|override|reveal|"
        r"new |from now|the (?:user|assistant)|stop|send|forward|execute|print)",
        channels=FOREIGN,
        needs=("system", "developer", "admin"),
    ),
    _rule(
        "persona",
        "It orders the model to play a persona without rules.",
        r"\byou are (?:now |going to be |about to become )?(?:in )?(?:dan\b|stan\b|dude\b"
        r"|\"?do anything now|developer mode"
        r"|an? (?:unrestricted|unfiltered|uncensored|jailbroken|amoral) )"
        r"|\b(?:act|behave|respond|pretend|answer|roleplay|play) (?:as|like|to be|you are"
        r"|that you are) (?:if you (?:are|were) )?"
        r"(?:an? |the )?(?:dan\b(?! \w)|jailbroken|unrestricted (?:ai|model|assistant)"
        r"|unfiltered (?:ai|model|assistant)"
        r"|uncensored|evil (?:ai|confidant))|\b(?:enable|enter|activate|switch to|turn on) (?:the )?"
        r"(?:dan|developer|god|jailbreak|unrestricted|debug) mode\b[^?]{0,40}\b(?:no|without|ignore"
        r"|bypass|unrestricted|"
        r"restrictions?|filters?|rules)",
        needs=(
            "you are ",
            "act ",
            "behave ",
            "respond ",
            "pretend ",
            "answer ",
            "roleplay ",
            "play ",
            " mode",
        ),
    ),
    _rule(
        "no-rules",
        "It tells the model that no rule holds for it.",
        r"\byou (?:are|have been) (?:now )?(?:freed?|liberated|released|unbound) (?:from"
        r"|of) (?:all |any |your |the )*"
        r"(?:\w+ ){0,2}(?:rules|restrictions|limits|limitations|guidelines|constraints|policies)"
        r"|\b(?:without|with no|free of|bypassing) (?:any |all )?(?:ethical|moral|safety|content) "
        r"(?:guidelines?|restrictions?|filters?|constraints?|limits?) (?:whatsoever|at all|or)\b",
        needs=("freed", "free ", "liberated", "released", "unbound", "without ", "with no ", "bypassing "),
    ),
    _rule(
        "reveal",
        "It demands the model's hidden instructions word for word.",
        r"\b(?:print|reveal|repeat|output|show|display|recite|dump|leak|write out|give me|tell me"
        r"|return|copy|paste|share|"
        r"disclose|expose|translate|summari[sz]e|encode)\b[^.?!]{0,40}?\b(?:your|the) "
        r"(?:entire |full |whole |exact |complete |original |initial |hidden |secret |confidential "
        r"|above |previous |"
        r"internal |underlying )*(?:system|initial|hidden|secret|pre-?)[ -]?(?:prompt|instructions?"
        r"|message|directives?)"
        r"[^?]{0,60}?\b(?:verbatim|word[ -]for[ -]word|exactly|in full|in its entirety"
        r"|letter by letter|in base64|"
        r"character by character|code block|without (?:changes|omission))",
        needs=("prompt", "instruction", "message", "directive"),
    ),
    _rule(
        "reveal-asked",
        "It asks for the model's hidden instructions.",
        r"\b(?:print|reveal|repeat|output|show|display|recite|dump|leak|tell me|what (?:is|are|was"
        r"|were)|give me|disclose)\b"
        r"[^.?!]{0,40}?\byour (?:\w+ ){0,2}?(?:system|initial|hidden|secret|original) (?:prompt"
        r"|instructions?|message|rules)",
        action=Action.FLAG,
        needs=("prompt", "instruction", "message", "rules"),
    ),
    _rule(
        "reveal-above",
        "It demands what stands before it in the conversation.",
        r"\b(?:repeat|print|output|copy|recite|write|echo) (?:back )?(?:all |every(?:thing)? |the )*"
        r"(?:words|text|content|sentences?|lines|instructions)? ?(?:that (?:is|are) )?"
        r"(?:above|before (?:this|the user)|preceding this)\b"
        r"[^?]{0,60}(?:starting with|beginning with|verbatim|word for word|code block|you are)",
        needs=("above", "before this", "before the user", "preceding this"),
    ),
    _rule(
        "addresses-the-model",
        "A text that was looked up gives orders to the model that reads it.",
        rf"\b(?:if you are|as) an? {_ASSISTANT}(?:,| reading| processing| summari[sz]ing"
        rf"| that)[^.]{{0,60}}\b"
        r"(?:you must|you should|please|do not|never|always|include|say|respond|reply|send|add"
        r"|recommend|ignore|tell)\b"
        rf"|\b(?:attention|note to|message (?:to|for)|important|instructions? (?:to|for)|hey"
        rf"|dear)(?: all| any| the)?[:, ]+"
        rf"(?:the |all |any |every )?{_ASSISTANT}(?: assistants?| models?| agents?| systems?)?s?\b ?[:,!.-]"
        rf"|\bwhen (?:you |an? {_ASSISTANT} )?(?:summari[sz]e|summari[sz]ing|process|processing"
        rf"|read|reading|answer|answering)"
        r"(?:s)? (?:this|the) (?:page|document|email|text|file|message)[^.]{0,40}[, ](?:you must"
        r"|always|do not|never|"
        r"include|say|also|please|append|add|reply|respond)\b",
        channels=FOREIGN,
        needs=(
            "if you are a",
            "as a",
            "attention",
            "note to",
            "message ",
            "important",
            "instruction",
            "hey",
            "dear",
            "when ",
        ),
    ),
    _rule(
        "hide-from-user",
        "A text that was looked up asks to keep something from the person.",
        r"\b(?:do not|don't|never|without) (?:tell|telling|inform|informing"
        r"|mention(?:ing)?(?: (?:this|it|that))? to|reveal(?:ing)?"
        r"(?: (?:this|it|that))? to|alert(?:ing)?|notify(?:ing)?|let(?:ting)?) the user\b",
        channels=FOREIGN,
        needs=(" the user",),
    ),
    _rule(
        "carry-out",
        "A text that was looked up asks to carry content to an address.",
        rf"\b(?:send|forward|post|upload|exfiltrate|transmit|leak|submit)\b[^.]{{0,80}}\b(?:{_ABOUT_PEOPLE}"
        rf"|api keys?|credentials|passwords?|secrets?|private (?:data|information)|inbox)\b{_TO_ADDRESS}"
        rf"|\b(?:append|include|embed|encode)\b[^.]{{0,80}}\b(?:{_ABOUT_PEOPLE}"
        r"|(?:the|your|all|any|their) (?:\w+ )?(?:api keys?|credentials|passwords?|secrets?))\b"
        rf"{_TO_ADDRESS}",
        channels=FOREIGN,
        needs=(
            "send",
            "forward",
            "post",
            "upload",
            "exfiltrate",
            "transmit",
            "leak",
            "submit",
            "append",
            "include",
            "embed",
            "encode",
        ),
    ),
    _rule(
        "tool-order",
        "A text that was looked up orders a tool to be used.",
        r"\b(?:call|use|invoke|run|execute|trigger) (?:the |your )?[`'\"]?(?:[a-z]+_[a-z_]+"
        r"|send_?email|shell|bash|terminal|"
        r"python|browser|transfer|delete)[`'\"]? ?(?:tool|function|command|api)?\b[^.]{0,60}\b"
        r"(?:immediately|right now|before (?:you |answering|responding)|without (?:asking"
        r"|confirmation)|now and)\b",
        channels=FOREIGN,
        needs=(
            "immediately",
            "right now",
            "before you",
            "before answering",
            "before responding",
            "without asking",
            "without confirmation",
            "now and",
        ),
    ),
)

_HIDDEN_WORDS = re.compile(r"[a-z]{3,}[ _-]+[a-z]{2,}")
_QUOTED = re.compile(
    r"\"[^\"]{1,2000}\"|“[^”]{1,2000}”|«[^»]{1,2000}»|`[^`]{1,2000}`|(?<!\w)'[^']{1,2000}'(?!\w)"
)
_TALKS_ABOUT = re.compile(
    r"\b(?:such as|e\.g\.|for example|phrases? like|prompts? like|attacks?|injections?|what (?:does"
    r"|is|are|happens)|"
    r"how (?:do|does|can|to|would|should)|why (?:do|does|is)|explain|detect|prevent|mean(?:s|ing)?"
    r"|example of|"
    r"(?:says?|said|wrote|asks?|asked|tells?|told|tried|trying|attempts?|called|titled|tricks?"
    r"|users? (?:who|can|may|might)))\b"
)
_AROUND = 80


def hits(plain: str, channel: Channel) -> Iterator[Hit]:
    """Yield what the rules find in a plain text.

    Args:
        plain: The text in the form of `normalise`.
        channel: Where it comes from.

    """
    quoted: list[tuple[int, int]] | None = None
    for rule in RULES:
        if channel not in rule.channels:
            continue
        for word in rule.needs:  # hundreds for each text: no generator for each rule
            if word in plain:
                break
        else:
            continue
        found = list(rule.pattern.finditer(plain))
        if not found:
            continue
        if quoted is None:
            quoted = [match.span() for match in _QUOTED.finditer(plain)]
        action = rule.action
        if rule.quotable and all(_mentioned(plain, match, quoted) for match in found):
            action = Action.NOTE
        yield Hit(rule.id, action, rule.why)


def hidden_hit(hidden: str) -> Hit | None:
    """Return the hit for a text that was written in characters which nobody sees."""
    if _HIDDEN_WORDS.search(hidden.lower()):
        return Hit("hidden-text", Action.BLOCK, "It carries words in characters that nobody sees.")
    if hidden:
        return Hit("hidden-characters", Action.FLAG, "It carries data in characters that nobody sees.")
    return None


def _mentioned(plain: str, match: re.Match[str], quoted: list[tuple[int, int]]) -> bool:
    """Tell whether a hit is spoken about rather than said: quoted, and the text around talks about it."""
    for start, end in quoted:
        if start < match.end() and match.start() < end:
            around = f"{plain[max(0, start - _AROUND) : start]}\n{plain[end : end + _AROUND]}"
            return _TALKS_ABOUT.search(around) is not None
    return False
