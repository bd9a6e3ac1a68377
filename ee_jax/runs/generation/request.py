"""What is asked of a model that writes, and the method of decoding that answers it."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from ee_jax.errors import UserError
from ee_jax.exits.confidence import traits
from ee_jax.inference.generator import draft_exit_at
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import DecodingMethod, EarlyExitDecoding, SelfSpeculation
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import GREEDY, Sampling
from ee_jax.models.language import LanguageDesign

DRAFTS = 4  # tokens that are drafted between two verifying passes


@dataclass(frozen=True)
class Request:
    """A prompt, and how to go on from it."""

    model: str  # a folder, a hub name or a llama2.c file
    prompt: str
    tokens: int  # at most
    threshold: float | None = None  # None: no token, and no draft, ends early
    confidence: str = "max_prob"
    policy: str = "propagate"
    draft: int | None = None  # blocks that draft, the others verify; None: no speculation
    sampling: Sampling = GREEDY
    seed: int = 0

    def __post_init__(self):
        if not self.prompt:
            raise UserError("the prompt is empty: give --prompt the text to go on from")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold {self.threshold}: it is from 0 to 1 (never)")
        _ = POLICIES[self.policy]  # raises where there is none of this name
        Exiting(self.confidence)  # raises where there is none of this name
        if self.draft is not None and traits(self.confidence).compares_exits:
            raise UserError(
                f"`{self.confidence}` compares exits, and --draft answers from one of them: "
                "take max_prob, margin, entropy or learned"
            )

    @property
    def exits_early(self) -> bool:
        """Whether a token may stop before the last exit."""
        return self.draft is None and self.threshold is not None and self.threshold < 1

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
        exit = draft_exit_at(design, self.draft)
        if self.threshold is None:
            return SelfSpeculation(exit, DRAFTS), None
        return SelfSpeculation(exit, DRAFTS, exiting.rule_at), threshold
