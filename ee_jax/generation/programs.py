"""Ways to decode: how each begins after the prompts, and how it goes on.

Going on takes over the arrays of where it is and returns where it is then. For how many tokens
is an argument: the same program gives all at once, or a few at a time to be shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Array, Int

from ee_jax.generation.decoders import exiting_step, start_memory, static_step
from ee_jax.generation.drafting import Drafter
from ee_jax.generation.pending import WINDOW
from ee_jax.generation.policies import POLICIES
from ee_jax.generation.rules import RuleAt
from ee_jax.generation.sampling import Sampling
from ee_jax.generation.speculation import Place, begin_speculation, speculate
from ee_jax.generation.tokens import Ends, Request, Stream, begin, decode
from ee_jax.models.cache import Cache
from ee_jax.models.language import LanguageModel

Layers = tuple[int, ...]
Until = Int[Array, ""]


class Way(Protocol):
    """A way to decode: plain data that can be a key."""

    @property
    def spare(self) -> int:
        """Slots of the cache that it needs beyond prompts and tokens."""
        ...

    def begin(self, model: LanguageModel, cache: Cache, request: Request, tokens: int) -> Any:
        """Where it is after the prompts, before the first of at most `tokens` new tokens."""
        ...

    def go_on(
        self,
        model: LanguageModel,
        shared: Any,
        at: Any,
        ends: Ends,
        draw: Sampling,
        until: Until,
    ) -> Any:
        """Decodes until there are `until` tokens a row."""
        ...


@dataclass(frozen=True)
class Static:
    """Every token runs to exit number `exit`; nothing is shared."""

    exit: int
    spare = 0

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> Stream:
        """See `Way`."""
        return begin(cache, request, tokens)

    def go_on(
        self, model: LanguageModel, shared: None, at: Stream, ends: Ends, draw: Sampling,
        until: Until,
    ) -> Stream:  # fmt: skip
        """See `Way`."""
        return decode(static_step(model, self.exit), at, ends, draw, until)


@dataclass(frozen=True)
class Exits:
    """Every token stops where its rule says, which is made of what is shared.

    `rule_at` is `Exiting.rule_at`, for thresholds, or `forced_at`, for depths.
    """

    rule_at: Callable[[Any, Layers], RuleAt]
    policy: str = "propagate"  # a name in POLICIES
    window: int = WINDOW
    spare = 0

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> Stream:
        """See `Way`."""
        return begin(start_memory(model, cache, self.window), request, tokens)

    def go_on(
        self, model: LanguageModel, shared: Any, at: Stream, ends: Ends, draw: Sampling,
        until: Until,
    ) -> Stream:  # fmt: skip
        """See `Way`."""
        rule_at = self.rule_at(shared, model.design.layers)
        step = exiting_step(model, POLICIES[self.policy], rule_at)
        return decode(step, at, ends, draw, until)


@dataclass(frozen=True)
class Speculation:
    """Exit number `exit` drafts, the full model verifies.

    Without `rule_at`, all drafts are made; with it, what is shared is as for `Exits`.
    """

    exit: int
    drafts: int
    rule_at: Callable[[Any, Layers], RuleAt] | None = None

    @property
    def spare(self) -> int:
        """See `Way`."""
        return self.drafts

    def begin(self, model: LanguageModel, cache: Cache, request: Request, tokens: int) -> Place:
        """See `Way`."""
        return begin_speculation(cache, request, tokens)

    def go_on(
        self, model: LanguageModel, shared: Any, at: Place, ends: Ends, draw: Sampling,
        until: Until,
    ) -> Place:  # fmt: skip
        """See `Way`."""
        rule_at = self.rule_at and self.rule_at(shared, model.design.layers)
        drafter = Drafter(self.exit, self.drafts, rule_at)
        return speculate(model, drafter, at, ends, draw, until)
