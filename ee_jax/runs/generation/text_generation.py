"""The story of a text: model, tokens as they come, the clock.

What is asked of a model that writes, and the method of decoding that answers it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ee_jax.data.bpe import start_token
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import acceptance
from ee_jax.evaluation.timing import interleave, speedup
from ee_jax.exits.confidence import traits
from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation
from ee_jax.inference.flops import decoding_flops_speedup
from ee_jax.inference.generator import Decoder, draft_exit_at, middle_exit
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import (
    DecodingMethod,
    EarlyExitDecoding,
    SelfSpeculation,
    StaticDecoding,
)
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import GREEDY, Sampling
from ee_jax.models.language import LanguageDesign
from ee_jax.models.precision import PRECISIONS
from ee_jax.runs.generation.source import open_source
from ee_jax.runs.generation.tokens import Token, TokenReader

LOOKUP = "lookup"
DRAFTERS = (LOOKUP, "auto")  # who draft as much as pays
DRAFTS = 4  # tokens that are drafted between two verifying passes


def _is_text(prompt: str) -> bool:
    """False for bytes of a command line that are no UTF-8, which Python keeps as surrogates."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Request:
    """A prompt, and how to go on from it."""

    model: str  # whatever `find_language` takes
    prompt: str
    tokens: int  # at most
    threshold: float | None = None  # None: no token, and no draft, ends early
    confidence: str = "max_prob"
    policy: str = "propagate"
    # Blocks that draft, the others verify; a name in DRAFTERS; None: no speculation.
    draft: int | str | None = None
    sampling: Sampling = GREEDY
    seed: int = 0
    precision: str | None = None  # one of PRECISIONS; None: as its run, else float32

    def __post_init__(self):
        if not _is_text(self.prompt):
            raise UserError("the prompt is not UTF-8: give --prompt in that encoding")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold {self.threshold}: it is from 0 to 1 (never)")
        # Each raises where there is none of this name.
        _ = PRECISIONS[self.precision or "float32"], POLICIES[self.policy]
        Exiting(self.confidence)
        if isinstance(self.draft, str):
            self._check_drafter()
        elif self.draft is not None and traits(self.confidence).compares_exits:
            raise UserError(
                f"`{self.confidence}` compares exits, and --draft answers from one of them: "
                "take max_prob, margin, entropy or learned"
            )

    def _check_drafter(self) -> None:
        if self.draft not in DRAFTERS:
            known = ", ".join(DRAFTERS)
            raise UserError(
                f"no drafter {self.draft!r}: give --draft blocks, or one of {known}"
            )
        if self.threshold is not None:
            raise UserError(
                f"--draft {self.draft} chooses how much to draft: leave out --threshold"
            )

    @property
    def exits_early(self) -> bool:
        """Whether a token may stop before the last exit."""
        return self.draft is None and self.threshold is not None and self.threshold < 1

    @property
    def reads_exits(self) -> bool:
        """Whether an exit before the last one answers or drafts."""
        return self.exits_early or self.draft not in (None, LOOKUP)

    def method(self, design: LanguageDesign) -> tuple[DecodingMethod, Any]:
        """The method of decoding, and what its programs share.

        Raises:
          UserError: the model's exits cannot do what is asked.
        """
        exiting = Exiting(self.confidence)
        if self.confidence == "learned" and not design.learned:
            raise UserError(
                f"{self.model} has no learned confidence: train one, or choose another"
            )
        threshold = jnp.float32(1 if self.threshold is None else self.threshold)
        if self.draft is None:
            return EarlyExitDecoding(exiting.rule_at, self.policy), threshold
        if isinstance(self.draft, str):
            exit = None if self.draft == LOOKUP else middle_exit(design)
            return AdaptiveSpeculation(exit), None
        exit = draft_exit_at(design, self.draft)
        if self.threshold is None:
            return SelfSpeculation(exit, DRAFTS), None
        return SelfSpeculation(exit, DRAFTS, exiting.rule_at), threshold


EVERY = 8  # tokens that are decoded between two looks


class TextGeneration:
    """One text, from a request to its record.

    Raises:
      UserError: the model cannot be had, or cannot do what is asked.
    """

    def __init__(self, request: Request, display: Display = SILENT):
        self.request = request
        self._source = open_source(request.model, request.reads_exits, request.precision)
        self._design = self._source.model.design
        self._method, self._shared = request.method(self._design)
        self._ids = self._source.tokenizer.encode(request.prompt).ids or [self._start()]
        self._tokens: list[Token] = []
        if request.reads_exits and not self._source.trained:
            display.say("no trained exits: every block answers by the final norm (logit lens)")

    def _start(self) -> int:
        """The token that a text begins with, for a prompt that has none."""
        try:
            return start_token(self._source.tokenizer)
        except UserError:
            raise UserError(
                f"the prompt is empty, and {self.request.model} knows no token that a text "
                "begins with: give --prompt the text to go on from"
            ) from None

    @property
    def layers(self) -> tuple[int, ...]:
        """Depths at which a token can stop, the last is L."""
        return self._design.layers

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self._source.model, self.request.sampling, self._source.stops)

    def _decode(self, method: DecodingMethod, shared: Any, every: int) -> Iterator[Any]:
        request = self.request
        return self._decoder.stream(
            method, shared, [self._ids], request.tokens, every, request.seed
        )

    def tokens(self) -> Iterator[list[Token]]:
        """The tokens, a few at a time: one compiled program that is called again and again.

        Raises:
          UserError: the prompt does not fit the context, or the memory.
        """
        reader = TokenReader(self._source.tokenizer, self.layers, self._ids)
        for out in self._decode(self._method, self._shared, EVERY):
            self._out = out
            self._tokens += (some := reader.row(out, 0, len(self._tokens)))
            yield some

    def speed(self, repeats: int) -> dict[str, Any]:
        """The clock of whole calls, prompt and all, after the tokens have come.

        The static decoder, which always runs all blocks, gets the same prompt; both are
        compiled before, and take turns. Where one of them writes a longer text, the seconds of
        a token are compared.
        """
        length: dict[str, int] = {}

        def run(name: str, method: DecodingMethod, shared: Any) -> None:
            *_, out = self._decode(method, shared, self.request.tokens)
            length[name] = int(out.length_B[0])

        static = partial(run, "static", StaticDecoding(len(self.layers) - 1), None)
        asked = partial(run, "asked", self._method, self._shared)
        seconds = interleave({"static": static, "asked": asked}, repeats)
        each = {name: taken_R / length[name] for name, taken_R in seconds.items()}
        return {
            "tokens_per_second": 1 / float(np.median(each["asked"])),
            "static_tokens_per_second": 1 / float(np.median(each["static"])),
            "measured_speedup": speedup(each["static"], each["asked"]),
            "repeats": repeats,
            **(self._depth() if self.request.draft is None else self._speculation()),
        }

    def _depth(self) -> dict[str, float | None]:
        depths = [token.depth for token in self._tokens if token.depth is not None]
        depth = float(np.mean(depths))
        return {
            "mean_depth": depth,
            "ideal_speedup": self.layers[-1] / depth,
            "flops_speedup": self._flops_speedup(),
        }

    def _flops_speedup(self) -> float:
        """Of the decoding alone, without the prompt."""
        config, exiting = self._source.model.backbone.config, Exiting(self.request.confidence)
        exit_BT = self._out.exit_BN[:, : len(self._tokens)]
        first = len(self._ids) - 1  # the prompt's last token is fed to get the first new one
        asked = (config, self._design, exiting, self.request.policy)
        return decoding_flops_speedup(*asked, exit_BT, first)

    def _speculation(self) -> dict[str, Any]:
        """Ideal is a pass over several tokens that takes as long as one over a single token."""
        drafted, accepted = int(self._out.drafted_B[0]), int(self._out.accepted_B[0])
        rounds_A, blocks = self._out.rounds_BA[0], self.layers[-1]
        method, rounds = self._method, int(rounds_A.sum())
        in_turn = rounds * blocks
        if isinstance(method, SelfSpeculation):
            in_turn += drafted * self.layers[method.exit]
        found = {
            "mean_depth": None,
            "ideal_speedup": len(self._tokens) * blocks / in_turn,
            "acceptance": acceptance(drafted, accepted),
            "tokens_a_pass": len(self._tokens) / rounds,
        }
        if isinstance(method, AdaptiveSpeculation):
            found["passes"] = dict(zip(method.drafters, rounds_A.tolist(), strict=True))
        return found

    def record(self, repeats: int) -> dict[str, Any]:
        """Everything, as plain data; decodes if that has not been done, and times."""
        if not self._tokens:
            list(self.tokens())
        return {
            **asdict(self.request),
            "precision": self._source.model.backbone.dtype.name,
            "blocks": self.layers[-1],
            "exits": list(self.layers),
            "text": "".join(token.text for token in self._tokens),
            "generated": [token._asdict() for token in self._tokens],
            "speed": self.speed(repeats),
        }
