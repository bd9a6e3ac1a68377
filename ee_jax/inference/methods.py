"""Ways to decode: how each begins after the prompts, and how it goes on.

Going on takes over the arrays of where it is and returns where it is then. For how many tokens
is an argument: the same program gives all at once, or a few at a time to be shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
from jaxtyping import Array, Int

from ee_jax.exits.layouts import LAYOUTS, default_layout
from ee_jax.inference.decode_loop import (
    Ends,
    Request,
    Step,
    Stream,
    begin,
    decode,
    exiting_step,
    start_memory,
    static_step,
)
from ee_jax.inference.drafting import ExitDrafter
from ee_jax.inference.exit_step import Memory
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.missing_kv import WINDOW
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.sampling import Sampling
from ee_jax.inference.self_speculation import speculate
from ee_jax.inference.speculation_state import SpeculationState, begin_speculation
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel

Layers = tuple[int, ...]
Until = Int[Array, ""]


class DecodingMethod(Protocol):
    """A method of decoding: plain data that can be a key."""

    @property
    def spare(self) -> int:
        """Slots of the cache that it needs beyond prompts and tokens."""
        ...

    @property
    def measured(self) -> int:
        """Drafters whose `PassCosts` are shared, to be measured where none are given; or 0."""
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
class StaticDecoding:
    """Every token runs to exit number `exit`; nothing is shared."""

    exit: int
    spare = 0
    measured = 0

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> Stream:
        """See `DecodingMethod`."""
        return begin(cache, request, tokens)

    def go_on(
        self, model: LanguageModel, shared: None, at: Stream, ends: Ends, draw: Sampling,
        until: Until,
    ) -> Stream:  # fmt: skip
        """See `DecodingMethod`."""
        return decode(static_step(model, self.exit), at, ends, draw, until)


@dataclass(frozen=True)
class EarlyExitDecoding:
    """Every token stops where its rule says, which is made of what is shared.

    `rule_at` is `Exiting.rule_at`, for thresholds, or `forced_at`, for depths.
    """

    rule_at: Callable[[Any, Layers], RuleAt]
    policy: str = "propagate"  # a name in POLICIES
    window: int = WINDOW
    layout: str | None = None  # a name in LAYOUTS; None: what costs this machine least
    spare = 0
    measured = 0

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> Stream:
        """See `DecodingMethod`."""
        return begin(self.memory(model, cache), request, tokens)

    def memory(self, model: LanguageModel, cache: Cache) -> Memory:
        """What the first step carries on, given a cache in which nothing is missing."""
        at_once = LAYOUTS[self._layout(model)].skips and not POLICIES[self.policy].runs_on
        window = 0 if at_once else self.window  # where nothing waits
        return start_memory(model, cache, window)

    def go_on(
        self, model: LanguageModel, shared: Any, at: Stream, ends: Ends, draw: Sampling,
        until: Until,
    ) -> Stream:  # fmt: skip
        """See `DecodingMethod`."""
        return decode(self.step(model, shared), at, ends, draw, until)

    def step(self, model: LanguageModel, shared: Any) -> Step:
        """A token of each row, to where its rule stops it."""
        rule_at = self.rule_at(shared, model.design.layers)
        return exiting_step(model, POLICIES[self.policy], rule_at, self._layout(model))

    def _layout(self, model: LanguageModel) -> str:
        exits = len(model.design.layers)
        return self.layout or default_layout(jax.default_backend(), exits)


@dataclass(frozen=True)
class SelfSpeculation:
    """Exit number `exit` drafts, always as many; the full model verifies.

    Without `rule_at`, all drafts are made; with it, what is shared is as for
    `EarlyExitDecoding`.
    """

    exit: int
    drafts: int
    rule_at: Callable[[Any, Layers], RuleAt] | None = None
    measured = 0

    @property
    def spare(self) -> int:
        """See `DecodingMethod`."""
        return self.drafts

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> SpeculationState:
        """See `DecodingMethod`."""
        return begin_speculation(cache, request, tokens)

    def go_on(
        self,
        model: LanguageModel,
        shared: Any,
        at: SpeculationState,
        ends: Ends,
        draw: Sampling,
        until: Until,
    ) -> SpeculationState:
        """See `DecodingMethod`."""
        rule_at = self.rule_at and self.rule_at(shared, model.design.layers)
        drafter = ExitDrafter(self.exit, self.drafts, rule_at)
        return speculate(model, drafter, at, ends, draw, until)
