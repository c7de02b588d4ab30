"""What the gateway and its engines refuse or cannot do."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class BadRequestError(InputError):
    """A request's body is not one that the gateway takes.

    The fact `param` names the field, where one is to blame.
    """

    code = "LG-1a01"
    advice = "Compare the request with the gateway's API reference."


class UnsupportedParameterError(BadRequestError):
    """A field that the gateway knows of and does not serve yet."""

    code = "LG-1a02"
    advice = "Leave the field out; the gateway would not honour it."


class UnknownModelError(InputError):
    """No model of this name is in the channel, or the key may not use it."""

    code = "LG-1a03"
    advice = "Ask /v1/models which models this key may use."


class UnknownReceiptError(InputError):
    """No receipt of this id belongs to the caller."""

    code = "LG-1a04"
    advice = "Copy the id from the X-Lockgate-Receipt header; only the key that asked may read it."


class KeyNameError(InputError):
    """An API key cannot have this name, or none has it."""

    code = "LG-1a05"
    advice = (
        "A new key's name has 1 to 64 printable characters and is no other key's. Those that are there: "
        "`lockgate gateway key list`. Whom a source knows is written as in receipts, `oidc:jane`."
    )


class EngineRefusedError(InputError):
    """The engine finds fault with the request itself (too long for its context, for example)."""

    code = "LG-1a06"
    advice = "Shorten the conversation or choose a model with a longer context."


class NotServedError(InputError):
    """The model's engine has no such ability."""

    code = "LG-1a07"
    advice = "Ask /v1/models for a model that can; the engine behind this one serves other things."


class EngineOptionError(InputError):
    """An engine may not be started with such an option."""

    code = "LG-1a20"
    advice = "Leave the option out; docs/gateway.md lists those that a site may set."


class ShareError(InputError):
    """A share of traffic cannot be as it is written."""

    code = "LG-1a21"
    advice = "Write each model with its weight, as in `old=90 new=10`, and ask anew where the share changed."


class ModelFactsError(InputError):
    """What a model's files say of it cannot be read."""

    code = "LG-1a22"
    advice = "Look at the model's verdict: `lockgate gate show N`. It is served all the same."


class RemoteModelError(PolicyError):
    """A server passes a model's requests on to another machine."""

    code = "LG-3a10"
    advice = "Remove the model from the server; a model that runs elsewhere is none of a closed network."


class ModelMismatchError(TrustError):
    """The bytes of a model are not the ones that were admitted."""

    code = "LG-2a01"
    advice = "Do not serve it. Compare the blob with its crossing and restore it from the crate."


class EngineFilesError(TrustError):
    """The installed engine is not the one that was admitted."""

    code = "LG-2a02"
    advice = "Install the engine again from the mirror into an empty folder."


class BadApiKeyError(TrustError):
    """No API key, or one that is not on record."""

    code = "LG-2a03"
    advice = "Send `Authorization: Bearer <key>`; an operator issues keys."


class BodyTooLargeError(LimitError):
    """A request's body is over its bound."""

    code = "LG-4a01"
    advice = "Send less text; the bound is gateway.body_bytes."


class TooManyRequestsError(LimitError):
    """A key has as many requests in flight as it may."""

    code = "LG-4a02"
    advice = "Wait for one of the running requests to end and try again."


class QueueFullError(LimitError):
    """The engine is busy and the queue before it is full, or the wait was too long."""

    code = "LG-4a03"
    advice = "Try again shortly; if it lasts, add an engine."


class AnswerTooLargeError(LimitError):
    """An engine sent more than an answer may have."""

    code = "LG-4a04"
    advice = "Ask for fewer tokens; the bound is engine.answer_bytes."


class QuotaError(LimitError):
    """A key has spent what it may, or this request could spend more than is left."""

    code = "LG-4a06"
    advice = "Ask for fewer tokens, or wait until the day (UTC) is over; an operator sets quotas."


class SlowRequestError(LimitError):
    """A request's body did not arrive in time."""

    code = "LG-4a05"
    advice = "Send the body without pauses; the bound is gateway.body_seconds."


class EngineUnavailableError(HostError):
    """The engine does not run or does not take requests."""

    code = "LG-5a01"
    advice = "Try again shortly; the engine restarts by itself. Its log says why it stopped."


class EngineTimeoutError(HostError):
    """The engine went silent or took too long."""

    code = "LG-5a02"
    advice = "Try again; if it lasts, look at the engine's log and load."


class EngineGarbageError(HostError):
    """The engine sent something that is not the protocol."""

    code = "LG-5a03"
    advice = "Look at the engine's log; the engine's version may not fit."


class EngineStartError(HostError):
    """The engine did not come up."""

    code = "LG-5a04"
    advice = "Read the end of the engine's log."


class EngineProcessorError(EngineStartError):
    """The engine's program has instructions that this machine's processor does not know."""

    code = "LG-5a0a"
    advice = "Bring a build of the engine for this processor; the end of its log may name what it needs."


class EngineBrokenOffError(HostError):
    """The engine ended in the middle of an answer."""

    code = "LG-5a05"
    advice = "The answer is incomplete: ask again. The engine's log says why it stopped."


class LedgerUnavailableError(HostError):
    """The audit log cannot be written, so no answer may leave."""

    code = "LG-5a06"
    advice = "Check the audit log's disk and run `lockgate audit verify`."


class ListenError(HostError):
    """The gateway cannot listen where it is told to."""

    code = "LG-5a07"
    advice = "Choose another address or port, or stop the program that holds it."


class KnowledgeUnavailableError(HostError):
    """A knowledge base failed while it was asked."""

    code = "LG-5a08"
    advice = "Check the knowledge base's index; index the snapshot again if it is damaged."


class DescriptorError(HostError):
    """A model's source has no descriptor that could be handed to an engine."""

    code = "LG-5a09"
    advice = "Serve models from the file store, or free enough memory for a sealed copy."


class BadCredentialsError(TrustError):
    """A token, certificate or password does not prove who asks."""

    code = "LG-2a30"
    advice = "Sign in anew; docs/gateway.md says what the gateway takes."


class PersonError(InputError):
    """Somebody cannot be given a name and a password as they are written, or is not there."""

    code = "LG-1a31"
    advice = "`lockgate console user list` shows who is there."


class GrantError(InputError):
    """Something cannot be granted or taken away as it is written."""

    code = "LG-1a30"
    advice = "`lockgate gateway grant list` shows what is granted, and to whom."


class NotGrantedError(PolicyError):
    """Somebody is known to an identity source, and may do nothing here."""

    code = "LG-3a30"
    advice = "An operator grants labels with `lockgate gateway grant`, and lets in again with `let-in`."


class IdentitySourceError(HostError):
    """Who asks cannot be told, since the source of identities cannot be asked or trusted."""

    code = "LG-5a30"
    advice = "Try again shortly; an operator looks at the issuer, the directory or the list named here."
