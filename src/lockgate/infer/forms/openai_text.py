"""``/v1/completions``: a text that is continued as it stands. Format: OpenAI API reference, "Completions"."""

from typing import Any

import msgspec

from lockgate.infer.engines.ports import Message
from lockgate.infer.errors import BadRequestError
from lockgate.infer.forms.base import Delta, Head, Said, Shape
from lockgate.infer.forms.openai_chat import ChatShape, OpenAiChatForm
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import ChatRequest, Sampling, choices_of, decoded, options_of, tokens_of


class _Body(Sampling):
    prompt: str | list[str]
    best_of: int | None = None
    # would change the answer and are not served: only null is taken
    echo: bool | None = None
    logit_bias: None = None
    logprobs: None = None
    suffix: None = None


_bodies = msgspec.json.Decoder(_Body)


class OpenAiTextForm(OpenAiChatForm):
    """The OpenAI API's older form, without turns and without a chat template."""

    def parse(self, data: bytes, limits: GatewayLimits) -> ChatRequest:
        """Read a body."""
        body = decoded(_bodies, data, _Body)
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if len(prompts) != 1:
            what = f"A request has one prompt, not {len(prompts)}."
            raise BadRequestError(what, param="prompt")
        if body.echo or body.best_of not in {None, 1}:
            what = "Neither echo nor best_of above 1 is served."
            raise BadRequestError(what, param="echo" if body.echo else "best_of")
        return ChatRequest(
            model=body.model,
            messages=(Message("user", prompts[0]),),
            stream=bool(body.stream),
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
            max_tokens=tokens_of(body.max_tokens, limits),
            options=options_of(body, limits),
            choices=choices_of(body.n, limits),
            raw=True,
        )

    def shape(self, head: Head) -> Shape:
        """Return what writes an answer."""
        return _TextShape(head)


class _TextShape(ChatShape):
    prefix = "cmpl"
    chunk_object = "text_completion"
    whole_object = "text_completion"

    def part(self, delta: Delta) -> dict[str, Any]:
        """Return the choice of a chunk."""
        return {"index": delta.choice, "text": delta.text, "finish_reason": None, "logprobs": None}

    def last(self, at: int, finish: str) -> dict[str, Any]:
        """Return the choice that says why an answer ended."""
        return {"index": at, "text": "", "finish_reason": finish, "logprobs": None}

    def choice(self, at: int, said: Said, finish: str) -> dict[str, Any]:
        """Return one choice of a whole answer."""
        return {"index": at, "text": said.text, "finish_reason": finish, "logprobs": None}
