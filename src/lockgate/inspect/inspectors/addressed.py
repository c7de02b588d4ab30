"""Sentences that tell a machine what to do, by what they ask for, whichever words they use to say it.

Each pattern alone is what people may write to one another; where readers do not look, one of them is enough
for a person to decide, and where they do, two different ones close together are.
"""

import re
from collections.abc import Iterator

_ABOUT = r"(?:summari[sz]|answer|review|describ|process|read|translat|evaluat|rank|screen|pars|index)\w{0,4}"
_SAYS = (
    r"(?:state|say|write|reply|answer|respond|recommend|report|conclude|claim|mention|praise|append"
    r"|insert|rate"
    r"|tell|give|skip|ignore|treat|approve|accept|score|omit)"
)
_MACHINE = (
    r"(?:ai(?:\s+(?:agents?|assistants?|models?|systems?|reviewers?))?|llms?|language\s+models?|chat\s?bots?"
    r"|assistants?|automated\s+(?:agents?|reviewers?|readers?|systems?)|copilot|chatgpt|gpt|claude|gemini)"
)
_ASKS = {
    "machine": rf"\b{_MACHINE}\s{{0,3}}[:,!.]\s{{0,3}}(?:please\s+|you\s+|your\b|do\s+not\b|don't\b|never\b"
    rf"|always\b|now\b|disregard\b|forget\b|{_SAYS}\b|call\b|run\b|send\b|show\b|print\b|reveal\b"
    rf"|the\s+user\b)"
    rf"|\b(?:attention|note\s+(?:to|for)|instructions?\s+(?:to|for)|message\s+(?:to|for)|dear)\s*:?\s*"
    rf"(?:all\s+|any\s+|the\s+)?{_MACHINE}\b"
    rf"|\bif\s+you\s+are\s+(?:an?\s+|the\s+)?{_MACHINE}\b"
    r"|\byou\s+are\s+(?:the|an?)\s+(?:ai|assistant|language\s+model|llm)\s+(?:reading|processing|reviewing)"
    r"|\bwhoever\s+(?:processes|reads)\b[^.\n]{0,40}\bmodel\b",
    "silence": r"\b(?:do\s+not|don't|never|must\s+not)\s+(?:tell|mention|reveal|disclose|inform|say)\b"
    r"[^.\n]{0,40}\b(?:user|human|reader|operator|anyone|anybody|paragraph|this|told|it)\b"
    r"|\bkeep\s+this\b[^.\n]{0,40}\b(?:secret|hidden|from\s+the)\b",
    "answer": rf"\b(?:when|while|before|after|whenever|if)\b[^.\n]{{0,30}}\b{_ABOUT}\b[^.\n]{{0,60}}[,:]\s*"
    rf"(?:you\s+)?(?:must\s+|please\s+|always\s+|only\s+)?{_SAYS}\b"
    r"|\b(?:reply|respond|answer)\b[^.\n]{0,20}\b(?:only|always|exactly|every\s+question)\b[^.\n]{0,50}"
    r"\b(?:with|that|word)\b|\b(?:with|at)\s+the\s+word\s+[A-Z]{4,}\b(?!\s+(?:[a-z]+ed|on|in|at|under|over|above|below|beside)\b)",
    "judges": r"\b(?:say|state|report|write|claim|confirm|conclude|pretend)\s+that\s+(?:every|all|no|the|it"
    r"|nothing)\b[^.\n]{0,50}\b(?:pass|safe|trust|approved|clean|found|secure|fine|best)"
    r"|\b(?:recommend|advise|grant|give)\b[^.\n]{0,20}\bapproval\b|\bwithout\s+(?:further"
    r"|any)\s+(?:review|check)"
    r"|\b(?:give|award|assign|grant)\b[^.\n]{0,40}\b(?:highest|best|top|perfect|full)\s+(?:score"
    r"|rating|mark|grade)",
    "sends": r"\b(?:send|forward|e-?mail|post|upload|transmit|exfiltrate|transfer|submit)\b[^.\n]{0,60}\b"
    r"(?:conversation|chat|credentials?|passwords?|api\s+keys?|secrets?|system\s+prompt|file\s+list|history"
    r"|user'?s?\s+(?:data|messages?|input))\b"
    r"|\b(?:append|add|include|insert|embed|put)\b[^.\n]{0,60}https?://[^\n]{0,160}\b(?:user|message"
    r"|conversation|answer|history|question)"
    r"|\b(?:always\s+)?(?:render|show|display|load)\b[^.\n]{0,60}\b(?:with|place|contain)\w*\b[^.\n]{0,40}\b"
    r"(?:conversation|last\s+message|chat)\b",
    "calls": r"\b(?:call|invoke|trigger)\s+(?:the\s+|your\s+)?tools?\b"
    r"|\b(?:call|invoke)\s+\w+_\w+\s+with\b|\buse\s+your\s+(?:\w+\s+)?tools?\s+to\b"
    r"|\b(?:curl|wget)\s[^\n]{0,80}\|\s*(?:ba)?sh\b",
    "reveals": r"\b(?:print|reveal|repeat|output|show|dump|list)\b[^.\n]{0,30}\b(?:system\s+prompt"
    r"|environment\s+variables\s+(?:as|in|to|before|here)\b|your\s+(?:instructions|rules|prompt)"
    r"|initial\s+prompt|hidden\s+prompt)\b",
    "role": r"\byour\s+(?:new|real|only|next|updated|actual)\s+(?:task|instructions?|role|goal|objective)\b"
    r"|\bfrom\s+now\s+on,?\s+(?:you|only|answer|reply|ignore)\b"
    r"|\byou\s+(?:are|have\s+been|will\s+be)\s+(?:now\s+)?(?:unrestricted|jailbroken|unlocked|freed)\b"
    r"|\b(?:you\s+)?obey\s+(?:only\s+)?(?:the\s+author|this\s+(?:file|document|page)|me)\b"
    r"|\b(?:the\s+)?user\s+has\s+(?:already\s+)?(?:given|granted|approved)\b"
    r"|\bsystem\s*:\s*(?:you|from\s+now|ignore|the\s+(?:user|assistant))\b",
    "drops": r"\b(?:override|bypass|drop|skip)\b[^.\n]{0,20}\b(?:your|previous|prior|earlier|safety"
    r"|security\s+section)\b|\b(?:ignore|disregard|forget)\b[^.\n]{0,40}\b(?:instructions?|prompts?"
    r"|guidelines|guidance|earlier\s+rules|your\s+rules|everything\s+above|all\s+of\s+the\s+above"
    r"|security\s+section|safety)\b"
    r"|\b(?:antworte|réponds?|responde|rispondi|antwoord|ответь(?:те)?|отвечай(?:те)?)\b[^.\n]{0,20}\b(?:nur"
    r"|ausschließlich|uniquement|seulement|solo|únicamente|soltanto|alleen|только)\b",
    "spoken": rf"\b(?:hey|hi|hello|dear|ok|to|for|any|all|every|each)\s+(?:the\s+"
    rf"|any\s+)?{_MACHINE}\b[^.\n]{{0,50}}"
    r"(?:[,:]|\b(?:must|shall|should|has\s+to|have\s+to|is\s+to|are\s+to)\b)"
    rf"|\b{_MACHINE}\s+(?:\w+\s+){{0,5}}(?:must|shall|has\s+to|have\s+to|is\s+to|are\s+to)\b"
    rf"|\bas\s+an?\s+{_MACHINE}\b,?\s+you\b"
    r"|\b(?:any|every|each|the)\s+(?:model|agent|machine|system)s?\s+(?:that|which|who)\s+(?:reads?"
    r"|ingests?|process"
    r"(?:es)?|summari[sz]es?|sees?|parses?)\b",
    "turns": r"\b(?:before|after|when|while|once|instead\s+of)\s+(?:you\s+)?(?:are\s+|have\s+)?(?:repl|answer"
    r"|respond|summari[sz]|asked)\w*\b[^.\n]{0,40},\s*\w"
    r"|\b(?:only|just)\s+(?:output|reply|return|respond)\b|\boutput\s+(?:only|the\s+(?:sentence"
    r"|words?|phrase))\b"
    r"|\b(?:in|with|of)\s+(?:your|each|every)\s+(?:answer|reply|response|output|summary)\b"
    r"|\byour\s+(?:answer|reply|response|output|summary)\s+(?:must|should|shall|has\s+to)\b",
    "notes": rf"\b(?:{_MACHINE}|model|system|hidden|machine)\s+(?:note|notice|instruction|directive"
    rf"|message)s?\s*:"
    r"|\bfor\s+(?:every|any|each|all)\s+(?:questions?|requests?|queries)\b[^.\n]{0,60}\b(?:respond"
    r"|reply|answer|say)\b"
    r"|\b(?:generate|begin|start|end|finish)\s+(?:your|each|every|all)\s+(?:answers?|replies|reply"
    r"|responses?)\b"
    r"|\bthe\s+(?:generated|resulting|requested)\s+(?:summary|answer|reply|translation)\b"
    r"|\bforget\s+what\s+(?:the|your|you)\b|\bsafety\s+filters?\b|\byou\s+are\s+(?:reading"
    r"|processing)\s+this\b",
    "takes": r"\b(?:stop|cease)\s+(?:following|obeying|heeding)\b|\byou\s+were\s+(?:instructed|told"
    r"|asked)\s+to\b"
    r"|\byour\s+(?:\w+\s+)?(?:objective|goal|task|job|mission|purpose)\s+is\b"
    r"|\b(?:list|show|quote|print|give|share|tell)\b[^.\n]{0,40}\b(?:you\s+know|your\s+(?:context|memory))\b"
    r"|\b(?:tell|inform|assure)\s+(?:whoever|anyone|everyone|the\s+(?:user|reader"
    r"|customer))\b[^.\n]{0,20}\bthat\b"
    r"|\bwithout\s+(?:confirming|asking|telling|notifying|informing|showing)\b"
    r"|\b(?:delete|erase|remove)\s+this\s+(?:message|note|instruction)\b|\bhidden\s+instructions?\b"
    r"|\b(?:treat|mark|regard)\b[^.\n]{0,40}\bas\s+(?:passed|approved|trusted|safe|resolved|verified)\b"
    r"|\b(?:rank|place)\b[^.\n]{0,40}\b(?:first|highest|top)\b",
}  # fmt: skip
_ASKED = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _ASKS.items()), re.IGNORECASE)
_WORD = re.compile(r"\w+")
_FIRST_WORDS = """
ai llm llms language chat chatbot chatbots assistant assistants automated copilot chatgpt gpt claude
gemini attention note instruction instructions message dear if you whoever do don never must keep
when while before after whenever reply respond answer with at say state report write claim confirm
conclude pretend recommend advise grant give without award assign send forward e email post upload
transmit exfiltrate transfer submit append add include insert embed put always render show display
load call use invoke trigger curl wget print reveal repeat output dump list your from obey the user
system ignore disregard forget override bypass drop skip antworte répond réponds responde rispondi
antwoord hey hi hello ok to for any all every each agent agents as once instead only just in of stop
cease tell quote share inform assure delete erase remove hidden treat mark regard rank place
generate begin start end finish model machine ответь ответьте отвечай отвечайте
"""
_FIRST = frozenset(_FIRST_WORDS.split())
"""Words that the sentences begin with: elsewhere they are not tried."""
_OPEN = frozenset({"machine", "silence", "answer", "judges", "sends", "calls", "reveals", "role", "drops"})
"""Kinds that count in open text; the others are too common among people."""
_NEAR = 400
"""How far two sentences stand apart at most that belong together, in characters."""


def asked(text: str, *, unseen: bool) -> Iterator[tuple[str, int]]:
    """Yield what a text asks of a machine, and where.

    Args:
        text: The text, without invisible characters.
        unseen: Readers do not look there: one sentence is enough.

    """
    before: tuple[str, int] | None = None
    for word in _WORD.finditer(text):
        if word[0].lower() not in _FIRST:
            continue
        found = _ASKED.match(text, word.start())
        if not found:
            continue
        kind = found.lastgroup or ""
        near = before is not None and before[0] != kind and found.start() - before[1] <= _NEAR
        if not unseen and kind not in _OPEN:
            continue
        if unseen or near:
            yield " ".join(found[0].split())[:80], found.start()
        before = kind, found.end()
