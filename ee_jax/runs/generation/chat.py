"""A conversation with a language model: its turns, how they are decoded, what came of them."""

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ee_jax.data.chat_template import ChatTemplate, Message
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import acceptance
from ee_jax.inference.conversation import Conversation
from ee_jax.inference.decode_loop import Generated
from ee_jax.inference.flops import decoding_flops_speedup
from ee_jax.inference.rules import Exiting
from ee_jax.runs.generation.language_model import TrainedLanguageModel
from ee_jax.runs.generation.text_generation import Request
from ee_jax.runs.generation.tokens import GeneratedText, Token, TokenReader


@dataclass
class Turn:
    """What was said, and what the model answered.

    Attributes:
      user: what was said.
      request: how the answer was decoded.
      tokens: the answer's.
      prompt_tokens: of the whole conversation up to the answer.
      read_tokens: of those, how many the cache did not hold.
      first_seconds: until the first token came, with what had to be compiled.
      seconds: from the first token to the last.
      finish: `stop` at a stop token, `length` at the most tokens, `stopped` by the user.
      flops: the share of the FLOPs that all blocks would have taken for the answer; None where
        tokens were drafted.
      acceptance: the share of drafts that were taken; None where none was made.
      promise: what was certified of the answer's agreement with the full model.
    """

    user: str
    request: Request
    tokens: list[Token] = field(default_factory=list)
    prompt_tokens: int = 0
    read_tokens: int = 0
    first_seconds: float = 0.0
    seconds: float = 0.0
    finish: str = "stopped"
    flops: float | None = None
    acceptance: float | None = None
    promise: str = ""

    @property
    def text(self) -> GeneratedText:
        """The answer."""
        return GeneratedText(self.tokens)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the answer after its first token, which waits for the prompt to be read."""
        return (len(self.tokens) - 1) / self.seconds if len(self.tokens) > 1 else None

    def record(self) -> dict[str, Any]:
        """The turn as plain data."""
        asked = ("threshold", "draft", "confidence", "policy", "seed")
        return {
            "user": self.user,
            "text": str(self.text),
            "finish": self.finish,
            **{name: getattr(self.request, name) for name in asked},
            "sampling": asdict(self.request.sampling),
            "prompt_tokens": self.prompt_tokens,
            "read_tokens": self.read_tokens,
            "first_token_seconds": self.first_seconds,
            "tokens_per_second": self.tokens_per_second,
            "mean_depth": self.text.mean_depth,
            "share_of_flops": self.flops,
            "acceptance": self.acceptance,
            "promise": self.promise,
            "generated": [token._asdict() for token in self.tokens],
        }


class Chat:
    """A conversation, from its first turn to its record.

    Attributes:
      model: who answers.
      request: how the next answer is decoded; may be replaced from turn to turn.
      turns: so far.

    Raises:
      UserError: the model has no chat template, or its exits cannot do what is asked.
    """

    def __init__(self, model: TrainedLanguageModel, request: Request, system: str | None):
        self.model, self.request = model, request
        self._system = system
        named = (model.name, model.chat_template, model.tokenizer, model.stops)
        self._template = ChatTemplate(*named)
        model.method(request)  # raises where it cannot
        self.reset()

    def reset(self) -> None:
        """Forgets what was said; the system prompt stays."""
        self.turns: list[Turn] = []

    @cached_property
    def _conversation(self) -> Conversation:
        return Conversation(self.model.decoder(self.request.sampling))

    def decode_by(self, **changed: Any) -> None:
        """Decodes the next answers otherwise.

        Raises:
          UserError: the model's exits cannot do that; nothing has changed.
        """
        request = replace(self.request, **changed)
        self.model.method(request)
        self.request = request

    def say(self, text: str) -> Generator[list[Token]]:
        """The answer's tokens as they come; whoever closes the iterator stops it.

        A turn of which no token came is not kept.

        Raises:
          UserError: the context is full, or the template does not take the turn.
        """
        turn = Turn(text, request := self.request)
        ids = self._template.ids(self._messages(text))
        turn.prompt_tokens = len(ids)
        self._check_room(len(ids))
        method, shared = self.model.method(request)
        reader = TokenReader(self.model.tokenizer, self.model.exits, ids)
        clock, out = time.perf_counter(), None
        outs = self._conversation.answer(method, shared, ids, request.tokens, request.seed)
        try:
            for out in outs:
                some = reader.row(out, 0, len(turn.tokens), request.reads_exits)
                now = time.perf_counter()
                if not turn.tokens:
                    turn.first_seconds, clock = now - clock, now
                turn.seconds = now - clock
                turn.tokens += some
                yield some
            turn.finish = self._finish(turn)
        finally:
            outs.close()
            turn.read_tokens = self._conversation.read
            if turn.tokens:
                self._judge(turn, out)
                self.turns.append(turn)

    def _messages(self, text: str) -> list[Message]:
        said = [] if self._system is None else [("system", self._system)]
        for turn in self.turns:
            said += [("user", turn.user), ("assistant", str(turn.text))]
        said.append(("user", text))
        return [{"role": role, "content": content} for role, content in said]

    def _check_room(self, tokens: int) -> None:
        if tokens >= (context := self.model.config.max_length):
            raise UserError(
                f"the model's context of {context:,} tokens is full: /reset begins anew, "
                "/save FILE.html keeps what was said, or say it shorter"
            )

    def _finish(self, turn: Turn) -> str:
        return "stop" if turn.tokens[-1].id in self.model.stops else "length"

    def _judge(self, turn: Turn, out: Any) -> None:
        """What the answer cost, and what is promised of it."""
        request, design = turn.request, self.model.design
        turn.promise = promise(self.model, request)
        if not isinstance(out, Generated):
            turn.acceptance = acceptance(int(out.drafted_B[0]), int(out.accepted_B[0]))
        elif not request.exits_early:
            turn.flops = 1.0
        else:
            exit_BT = np.asarray(out.exit_BN)[:, : len(turn.tokens)]
            asked = (Exiting(request.confidence), request.policy, exit_BT)
            first = turn.prompt_tokens - 1  # the prompt's last token is fed first
            config = self.model.config
            turn.flops = 1 / decoding_flops_speedup(config, design, *asked, first)

    def record(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "model": self.model.name,
            "precision": self.model.precision,
            "system": self._system,
            "exits": list(self.model.exits),
            "trained": self.model.trained,
            "turns": [turn.record() for turn in self.turns],
        }


def promise(model: TrainedLanguageModel, request: Request) -> str:
    """What is certified of an answer's agreement with the full model's."""
    if not request.exits_early:
        return "the full model's own tokens"
    for choice in model.calibrated:
        own = (choice.confidence, choice.policy) == (request.confidence, request.policy)
        same = own and choice.risk == "consistency" and choice.thresholds == request.threshold
        if same and choice.certified_risk is not None:
            agreement = f"{100 * (1 - choice.certified_risk):g} % agreement"
            return f"{agreement} on given text ({choice.label})"
    return "no agreement is promised"
