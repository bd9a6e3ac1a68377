"""OpenAI's chat completions: what a request asks for, and the objects that answer it.

Fields as in https://platform.openai.com/docs/api-reference/chat; `threshold` and `draft` are
ours. What is not understood is refused by its name, so that nothing is asked in vain.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ee_jax.data.chat_template import Message
from ee_jax.errors import UserError
from ee_jax.runs.generation.tokens import Token

ROLES = ("system", "developer", "user", "assistant")
# What changes no answer here.
UNREAD = ("user", "metadata", "store", "service_tier", "parallel_tool_calls", "model")
STOPS = 4  # strings that may end an answer
TOKENS = ("max_completion_tokens", "max_tokens")  # the newer name first


class Question(NamedTuple):
    """What a request asks for; None: what the server does by itself."""

    messages: list[Message]
    tokens: int | None
    threshold: float | None
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]  # strings that end the answer, which does not hold them
    stream: bool
    counted: bool  # whether a stream ends with its usage


def read_question(body: Mapping[str, Any]) -> Question:
    """The question of a request's JSON object.

    Raises:
      UserError: a field is missing, unknown, or not what it should be.
    """
    left = {name: value for name, value in body.items() if value is not None}
    for name in UNREAD:
        left.pop(name, None)
    if left.pop("draft", None) is not None:
        raise UserError("draft: the server verifies no drafts; leave it out")
    if _take(left, "n", int, 1) != 1:
        raise UserError("n: one answer a request; leave it out")
    options = _take(left, "stream_options", dict, {})
    counts = [_take(left, name, int, None) for name in TOKENS]
    question = Question(
        messages=_messages(left.pop("messages", None)),
        tokens=next((count for count in counts if count is not None), None),
        threshold=_take(left, "threshold", float, None),
        temperature=_take(left, "temperature", float, 0.0),
        top_p=_take(left, "top_p", float, 1.0),
        seed=_take(left, "seed", int, 0),
        stop=_stops(left.pop("stop", None)),
        stream=_take(left, "stream", bool, False),
        counted=bool(options.get("include_usage")),
    )
    if left:
        raise UserError(
            f"{next(iter(left))}: the server does not know this field; leave it out"
        )
    return question


def _take(left: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """The field, which is of a kind; a whole number is a real one too."""
    value = left.pop(name, default)
    if kind is float and type(value) is int:
        value = float(value)
    if value is not default and type(value) is not kind:
        raise UserError(f"{name}: give {_NAMES[kind]}, not {value!r:.40}")
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    ok = isinstance(stops, list) and len(stops) <= STOPS
    if not ok or not all(isinstance(stop, str) and stop for stop in stops):
        raise UserError(f"stop: give a string, or a list of up to {STOPS}, none of them empty")
    return tuple(stops)


def _messages(given: Any) -> list[Message]:
    if not isinstance(given, list) or not given:
        raise UserError("messages: give a list of them, each with a role and a content")
    return [_message(number, each) for number, each in enumerate(given)]


def _message(number: int, given: Any) -> Message:
    where = f"messages[{number}]"
    if not isinstance(given, dict) or given.get("role") not in ROLES:
        raise UserError(f"{where}: give an object whose role is one of {', '.join(ROLES)}")
    content = given.get("content")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise UserError(f"{where}: give its content as text, the model reads nothing else")
    role = "system" if given["role"] == "developer" else given["role"]
    return {"role": role, "content": content}


def usage(prompt: int, tokens: Sequence[Token], blocks: int) -> dict[str, Any]:
    """What was read and written, and from which depth in the mean."""
    depths = [token.depth for token in tokens if token.depth is not None]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(tokens),
        "total_tokens": prompt + len(tokens),
        "mean_depth": sum(depths) / len(depths) if depths else None,
        "blocks": blocks,
    }


class Completion(NamedTuple):
    """The objects that answer one request."""

    id: str
    model: str
    created: int

    @classmethod
    def begin(cls, number: str, model: str) -> "Completion":
        """Of a request that comes now."""
        return cls(f"chatcmpl-{number}", model, int(time.time()))

    def _object(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        about = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return {**about, "choices": choices, **more}

    def whole(self, text: str, finish: str, used: Mapping[str, Any]) -> dict[str, Any]:
        """The answer at once."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return self._object("chat.completion", [choice], usage=used)

    def chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """A piece of the answer; the last one says why it ends."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._object("chat.completion.chunk", [choice])

    def counted(self, used: Mapping[str, Any]) -> dict[str, Any]:
        """What a stream ends with that was asked to count."""
        return self._object("chat.completion.chunk", [], usage=used)


def error(line: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """What answers a request that cannot be met."""
    return {"error": {"message": line, "type": kind, "param": None, "code": None}}
