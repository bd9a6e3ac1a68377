"""LayerSkip (Elhoushi et al. 2024, arXiv:2404.16710, sec. 4.1): rates and weights over time.

Layers of the paper count from 0: layer l is the (l+1)-th block. Everything is a function of the
step and the number of steps, so the step in a checkpoint is all the state there is, and a run
that was cut short goes on as if it had not been.

EE-LLM (Chen et al. 2024, arXiv:2312.04916): exit weights that change over training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import chex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from ee_jax.checks import check, check_counts, check_rate
from ee_jax.errors import UserError
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.stage import ExitLayout, Stage, Term
from ee_jax.training.strategies.strategy import Strategy, need_early_exit

Step = ArrayLike  # a number, or a traced one


@dataclass(frozen=True)
class LayerSkip(Strategy):
    """Layer dropout and early-exit losses that grow with depth (Elhoushi et al. 2024)."""

    name: str = "layerskip"
    p_max: float = 0.1  # how often the last block is dropped
    ramp: Literal["none", "exponential"] = "none"  # of the drop rates over training
    e_scale: float = 0.2  # of the early exits' losses
    weights: Literal["layerskip", "torchtune_sum_l", "torchtune_linear_l"] = "layerskip"
    curriculum: Literal["none", "rotational", "gradual"] = "rotational"
    interval: int = 8  # R of the rotational curriculum: every R-th exit counts
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.p_max, "layerskip.p_max")
        scaled = f"must be >= 0, not {self.e_scale}"
        check(self.e_scale >= 0, "layerskip.e_scale", scaled)
        check_counts(self, "layerskip.", "interval")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, with blocks dropped and exits weighted by the curriculum."""
        need_early_exit(self, exits)
        blocks = exits.layers[-1]
        scale_E = SCALES[self.weights](exits.layers, blocks, self.e_scale)

        def weights(step: Step, steps: int) -> Float[Array, " E"]:
            return curriculum_weights(scale_E, self._counts(exits.count, step, steps))

        def drops(step: Step, steps: int) -> Float[Array, " L"]:
            ramp = exponential_ramp(step, steps) if self.ramp == "exponential" else 1.0
            return drop_rates(blocks, self.p_max, ramp)

        return [Stage("layerskip", self.fit, (Term(self.labels, weights),), drops=drops)]

    def _counts(self, exits: int, step: Step, steps: int) -> Bool[Array, " E"]:
        """Which exits count at a step."""
        if self.curriculum == "rotational":
            return rotational(exits, self.interval, step)
        if self.curriculum == "gradual":
            return gradual(exits, step, steps)
        return jnp.ones(exits, bool)


def exponential_ramp(step: Step, steps: int) -> Float[Array, ""]:
    """S(t) = e^(t ln 2 / (T - 1)) - 1: from 0 at the first step to 1 at the last."""
    return jnp.exp2(jnp.asarray(step, jnp.float32) / max(steps - 1, 1)) - 1


def drop_rates(blocks: int, peak: float, ramp: ArrayLike = 1.0) -> Float[Array, " L"]:
    """How often each block is dropped: p = S(t) D(l) p_max.

    D(l) = e^(l ln 2 / (L - 1)) - 1 grows from 0 at the first block to 1 at the last; `ramp` is
    S(t), 1 where the rates stay as they are all through training.
    """
    growth_L = jnp.exp2(jnp.arange(blocks) / max(blocks - 1, 1)) - 1
    return peak * jnp.asarray(ramp) * growth_L


def early_exit_scale(
    exit_layers: Sequence[int], blocks: int, e_scale: float
) -> Float[np.ndarray, " E"]:
    """e(l): the scale of each exit's loss before curriculum and normalisation.

    e_scale * sum_{i=0..l} i for l < L - 1, and L - 1 + e_scale * sum_{i=0..L-2} i for the last.
    """
    layer_E = np.asarray(exit_layers) - 1.0
    last = blocks - 1
    scale_E = e_scale * layer_E * (layer_E + 1) / 2
    return np.where(layer_E == last, last + e_scale * last * (last - 1) / 2, scale_E)


def torchtune_sum_l(
    exit_layers: Sequence[int], blocks: int, e_scale: float
) -> Float[np.ndarray, " E"]:
    """The weighting that torchtune's recipe calls LayerSkip's, which is another one.

    w(l) = sum_{i=1..l+1} i, times e_scale at all exits but the last: at 32 blocks and an
    e_scale of 0.1 the last layer has 49 % of the loss, where the paper gives it 14 %.
    """
    layer_E = np.asarray(exit_layers, float)
    return _early_scaled(layer_E * (layer_E + 1) / 2, exit_layers, blocks, e_scale)


def torchtune_linear_l(
    exit_layers: Sequence[int], blocks: int, e_scale: float
) -> Float[np.ndarray, " E"]:
    """torchtune's linear weighting: w(l) = l + 1, times e_scale at all exits but the last."""
    return _early_scaled(np.asarray(exit_layers, float), exit_layers, blocks, e_scale)


def _early_scaled(
    weight_E: Float[np.ndarray, " E"], exit_layers: Sequence[int], blocks: int, e_scale: float
) -> Float[np.ndarray, " E"]:
    return np.where(np.asarray(exit_layers) == blocks, weight_E, e_scale * weight_E)


SCALES = {
    "layerskip": early_exit_scale,
    "torchtune_sum_l": torchtune_sum_l,
    "torchtune_linear_l": torchtune_linear_l,
}


def rotational(exits: int, interval: int, step: Step) -> Bool[Array, " E"]:
    """C_rot,R: every R-th early exit counts, at the next step those after them.

    The last exit always counts: without it a step could leave the model's answer unattended.
    """
    number_E = jnp.arange(exits)
    here_E = (number_E - jnp.asarray(step)) % interval == 0
    return here_E | (number_E == exits - 1)


def gradual(exits: int, step: Step, steps: int) -> Bool[Array, " E"]:
    """C_grad: from the last exit down, one more every T / 2E steps.

    So all have joined halfway through; the last counts from the first step.
    """
    below_E = exits - 1 - jnp.arange(exits)
    return jnp.asarray(step) * (2 * exits) >= below_E * steps


def curriculum_weights(
    scale_E: Float[np.ndarray, " E"], counts_E: Bool[Array, " E"]
) -> Float[Array, " E"]:
    """e~(t, l) = C(t, l) e(l) / sum_l C(t, l) e(l), the weight of each exit's loss."""
    chex.assert_equal_shape([scale_E, counts_E])
    scaled_E = jnp.asarray(scale_E, jnp.float32) * counts_E
    return scaled_E / scaled_E.sum()


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
