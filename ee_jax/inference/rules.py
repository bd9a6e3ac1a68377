"""Exit rules that know how many tokens each row has drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Int

from ee_jax.calibration.decay import DECAYS
from ee_jax.errors import UserError
from ee_jax.exits.confidence import traits
from ee_jax.exits.rules import Rule, depth_rule, forced_rule, threshold_rule
from ee_jax.exits.stopping import PLAIN, Stopping, make_limits

# From the number of tokens each row has drawn to the rule for its next.
RuleAt = Callable[[Int[Array, " B"]], Rule]


@dataclass(frozen=True)
class Exiting:
    """When tokens stop, but for the threshold, which may change without compiling again."""

    confidence: str = "max_prob"
    stopping: Stopping = PLAIN
    decay: str | None = None  # of the threshold over the tokens drawn, a name in DECAYS
    tau: float = 4.0
    length: int = 512  # tokens over which the threshold decays

    def __post_init__(self):
        if traits(self.confidence).counts_classes:
            raise UserError(
                f"no confidence {self.confidence!r} for tokens: it counts every token of the "
                "vocabulary; take another"
            )
        _check("decay", self.decay, [None, *DECAYS])

    @property
    def reads_logits(self) -> bool:
        """Whether each exit's logits are needed to say who stops."""
        return traits(self.confidence).reads_logits or self.stopping.reads_predictions

    def rule_at(self, threshold: ArrayLike, layers: tuple[int, ...]) -> RuleAt:
        """The rule, from one threshold an exit or one for all."""
        limits = make_limits(threshold, layers)

        def at(count_B: Int[Array, " B"]) -> Rule:
            if self.decay is None:
                return threshold_rule(self.confidence, limits, self.stopping)
            base_E1, count_1B = limits.threshold_E[:, None], count_B[None]
            threshold_EB = DECAYS[self.decay](base_E1, count_1B, self.length, self.tau)
            decayed = limits._replace(threshold_E=threshold_EB)
            return threshold_rule(self.confidence, decayed, self.stopping)

        return at


def _check(what: str, name: str | None, known: list) -> None:
    if name not in known:
        names = ", ".join(map(str, known))
        raise UserError(f"no {what} {name!r} for tokens: it is one of {names}")


def forced_at(
    depth_BN: Int[Array, "B N"], layers: tuple[int, ...], confidence: str | None = None
) -> RuleAt:
    """Every row's n-th token stops at the first exit at or beyond its depth.

    Args:
      depth_BN: in blocks.
      layers: blocks run at each exit.
      confidence: that every exit on the way computes all the same; None: they ask nothing.
    """

    def at(count_B: Int[Array, " B"]) -> Rule:
        depth_B1 = jnp.take_along_axis(depth_BN, count_B[:, None], axis=1, mode="clip")
        if confidence is None:
            return depth_rule(depth_B1[:, 0], layers)
        return forced_rule(confidence, depth_B1[:, 0], layers)

    return at
