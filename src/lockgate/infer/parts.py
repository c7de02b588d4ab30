"""What the gateway is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lockgate.core.ports import Clock, Entropy
from lockgate.core.roots import Recipient
from lockgate.guard import GuardPolicy, Scorer
from lockgate.guard.appeals import Appeals
from lockgate.guard.held import HeldCalls
from lockgate.infer.cards import ModelCard
from lockgate.infer.engines.ports import Engine
from lockgate.infer.identity import Callers
from lockgate.infer.identity.signin import SignIn
from lockgate.infer.ports import KeyStore, Knowledge, Ledger, ModelSource, ReceiptStore
from lockgate.infer.quotafile import MemoryQuotas, QuotaSource
from lockgate.infer.quotas import Quotas
from lockgate.infer.shaping import ShapingPolicy
from lockgate.infer.shares import MemoryShares, ShareSource
from lockgate.infer.toolfile import MemoryTools, ToolSource


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the gateway uses; joined by `lockgate.app`.

    Attributes:
        source: The admitted models of the verified channel.
        engines: The engine of each chat model, by the model's name.
        knowledge: The knowledge bases, by name (written behind the ``@`` of a model's name).
        keys: The API keys.
        appeals: Where appeals against the guards are kept; none where nobody appeals.
        auditors: Whom the texts are sealed to that guards stopped or met something in; none: none are kept.
        sign_in: The chat page's doors for people without a key; none where it asks for keys alone.
        callers: Tells who asks without an API key; none where keys alone open the gateway.
        ledger: The audit log.
        receipts: Where receipts are kept.
        clock: The present moment.
        entropy: Random bytes.
        guards: What the guards do when the gateway starts.
        guards_now: Returns what they do, verified anew; blocks. None where they stay as they began.
        scorer: The classifier of the guards; none where rules alone decide.
        canaries: Words that must not leave in an answer.
        salt_secret: Makes the salts of tenants' caches; empty for one that ends with this process.
        quotas: What each key may spend.
        shaping: What observers of the network see of answers, by label.
        sources: Address of the mirrors, where the chat page opens cited documents.
        shares: How the traffic of names is spread over models.
        cards: What is known of a served model, by its name; quick.
        tools: The tools that models may call.
        held: Where calls wait for a person; where there is none, they are refused.
        spending: Keeps what keys spend; where there is none, quotas bound nothing but the order of waiting.

    """

    source: ModelSource
    engines: Mapping[str, Engine]
    knowledge: Mapping[str, Knowledge]
    keys: KeyStore
    ledger: Ledger
    receipts: ReceiptStore
    clock: Clock
    entropy: Entropy
    guards: GuardPolicy = field(default_factory=GuardPolicy)
    guards_now: Callable[[], GuardPolicy] | None = None
    scorer: Scorer | None = None
    canaries: tuple[str, ...] = ()
    salt_secret: bytes = b""
    quotas: QuotaSource = field(default_factory=MemoryQuotas)
    spending: Quotas | None = None
    sources: str = ""
    shares: ShareSource = field(default_factory=MemoryShares)
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    shaping: ShapingPolicy = field(default_factory=ShapingPolicy)
    tools: ToolSource = field(default_factory=MemoryTools)
    held: HeldCalls | None = None
    callers: Callers | None = None
    sign_in: SignIn | None = None
    appeals: Appeals | None = None
    auditors: tuple[Recipient, ...] = ()
