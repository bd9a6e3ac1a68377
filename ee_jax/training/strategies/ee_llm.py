"""EE-LLM (Chen et al. 2024, arXiv:2312.04916): exit weights that change over training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ee_jax.checks import check
from ee_jax.errors import UserError
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.stage import ExitLayout, Stage, Term
from ee_jax.training.strategies.strategy import Strategy, need_early_exit


@dataclass(frozen=True)
class EELLM(Strategy):
    """Everything learns, early exits with weights that change over training.

    With the loss `confidence_weighted` a token's loss counts as much as its exit is sure.
    """

    name: str = "ee_llm"
    first: tuple[float, ...] = (0.0,)  # weights of the early exits at the first step
    last: tuple[float, ...] = (0.5,)  # and at the last; the last exit's is 1
    shape: Literal["linear", "cosine"] = "linear"
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        ok = (
            len(self.first) == len(self.last) and min((*self.first, *self.last), default=0) >= 0
        )
        check(ok, "ee_llm.first", "and `last` must hold a number >= 0 for each early exit")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, in one stage."""
        need_early_exit(self, exits)
        if len(self.first) != exits.count - 1:
            raise UserError(
                f"config field `strategies.first` must hold a number for each of the "
                f"{exits.count - 1} early exits, not {self.first}"
            )

        def weights(step: ArrayLike, steps: int) -> Float[Array, " E"]:
            first_E, last_E = (*self.first, 1.0), (*self.last, 1.0)
            return warmed_up(first_E, last_E, step, steps, self.shape)

        return [Stage("ee_llm", self.fit, (Term(self.labels, weights),))]


def warmed_up(
    first_E: Sequence[float],
    last_E: Sequence[float],
    step: ArrayLike,
    steps: int,
    shape: str,
) -> Float[Array, " E"]:
    """w(t) = w0 + (w - w0) r, from `first_E` at the first step to `last_E` after the last.

    With r = t / T `linear`, or (cos(pi (r + 1)) + 1) / 2 of it, `cosine`: slow at both ends.
    """
    share = jnp.asarray(step, jnp.float32) / steps
    if shape == "cosine":
        share = 0.5 * (jnp.cos(jnp.pi * (share + 1)) + 1)
    start_E, end_E = jnp.asarray(first_E, jnp.float32), jnp.asarray(last_E, jnp.float32)
    return start_E + (end_E - start_E) * share
