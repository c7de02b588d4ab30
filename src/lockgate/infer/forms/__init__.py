"""The forms in which the gateway is asked and answers: one module for each API that clients speak.

A form reads a body into a `ChatRequest` and writes an answer's deltas; everything between them (who asks,
quotas, guards, knowledge, receipts) is one way for all forms.
"""

from lockgate.infer.forms.anthropic import AnthropicForm
from lockgate.infer.forms.base import Delta, Ended, Form, Head, Shape
from lockgate.infer.forms.ollama import OllamaChatForm, OllamaGenerateForm
from lockgate.infer.forms.openai_chat import OpenAiChatForm
from lockgate.infer.forms.openai_responses import OpenAiResponsesForm
from lockgate.infer.forms.openai_text import OpenAiTextForm

FORMS: dict[str, Form] = {
    "/v1/chat/completions": OpenAiChatForm(),
    "/v1/completions": OpenAiTextForm(),
    "/v1/responses": OpenAiResponsesForm(),
    "/v1/messages": AnthropicForm(),
    "/api/chat": OllamaChatForm(),
    "/api/generate": OllamaGenerateForm(),
}
"""The form of each route that answers with text."""


def form_at(path: str) -> Form:
    """Return the form in which errors at a path are written."""
    if path in FORMS:
        return FORMS[path]
    return FORMS["/api/chat"] if path.startswith("/api/") else FORMS["/v1/chat/completions"]


__all__ = ["FORMS", "Delta", "Ended", "Form", "Head", "Shape", "form_at"]
