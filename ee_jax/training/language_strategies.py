"""Strategies for language models, as one stage each."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from ee_jax.config import Frozen, Joint
from ee_jax.config.language import LanguageStrategy, LayerSkip, Towards, WarmedUp
from ee_jax.errors import UserError
from ee_jax.losses.exit_losses import exit_weights
from ee_jax.models.language import LanguageDesign
from ee_jax.training.ee_llm import warmed_up
from ee_jax.training.language import LanguageStage
from ee_jax.training.layerskip import (
    SCALES,
    curriculum_weights,
    drop_rates,
    exponential_ramp,
    gradual,
    rotational,
)
from ee_jax.training.strategies import everything, is_head
from ee_jax.training.weights import always, last, lower_mean

Layers = tuple[int, ...]


def joint(strategy: Joint, layers: Layers, steps: int) -> LanguageStage:
    """Everything learns from the weighted sum of all exits' losses."""
    weight_E = exit_weights(strategy.weights, len(layers), strategy.stride)
    return LanguageStage("joint", strategy.fit, always(weight_E), everything)


def frozen(strategy: Frozen, layers: Layers, steps: int) -> LanguageStage:
    """Only what the early exits have of their own learns, from the text."""
    return LanguageStage("exits", strategy.fit, always(lower_mean(len(layers))), is_head)


def towards(strategy: Towards, layers: Layers, steps: int) -> LanguageStage:
    """Early exits learn the last exit's distribution; with the backbone, the last the text."""
    trains = everything if strategy.backbone else is_head
    last_E = last(len(layers))
    return LanguageStage(
        "distill",
        strategy.fit,
        always(last_E if strategy.backbone else 0 * last_E),
        trains,
        towards=always(lower_mean(len(layers))),
        temperature=strategy.temperature,
    )


def layerskip(strategy: LayerSkip, layers: Layers, steps: int) -> LanguageStage:
    """Everything learns, with blocks dropped and early exits weighted by the curriculum."""
    exits, blocks = len(layers), layers[-1]
    scale_E = SCALES[strategy.weights](layers, blocks, strategy.e_scale)
    counts = {
        "none": lambda step: jnp.ones(exits, bool),
        "rotational": lambda step: rotational(exits, strategy.interval, step),
        "gradual": lambda step: gradual(exits, step, steps),
    }
    on: Callable[[ArrayLike], Bool[Array, " E"]] = counts[strategy.curriculum]

    def weights(step: ArrayLike) -> Float[Array, " E"]:
        return curriculum_weights(scale_E, on(step))

    def drops(step: ArrayLike) -> Float[Array, " L"]:
        ramp = exponential_ramp(step, steps) if strategy.ramp == "exponential" else 1.0
        return drop_rates(blocks, strategy.p_max, ramp)

    return LanguageStage("layerskip", strategy.fit, weights, everything, drops=drops)


def ee_llm(strategy: WarmedUp, layers: Layers, steps: int) -> LanguageStage:
    """Everything learns, with weights of early exits that go from `first` to `last`."""
    if len(strategy.first) != len(layers) - 1:
        raise UserError(
            f"config field `strategies.first` must hold a number for each of the "
            f"{len(layers) - 1} early exits, not {strategy.first}"
        )
    first_E, last_E = (*strategy.first, 1.0), (*strategy.last, 1.0)

    def weights(step: ArrayLike) -> Float[Array, " E"]:
        return warmed_up(first_E, last_E, step, steps, strategy.shape)

    dynamic = strategy.by_confidence
    return LanguageStage("ee_llm", strategy.fit, weights, everything, by_confidence=dynamic)


STRATEGIES: dict[type, Callable[[Any, Layers, int], LanguageStage]] = {
    Joint: joint,
    Frozen: frozen,
    Towards: towards,
    LayerSkip: layerskip,
    WarmedUp: ee_llm,
}


def language_stage(
    strategy: LanguageStrategy, design: LanguageDesign, steps: int
) -> LanguageStage:
    """The stage of a strategy that takes so many steps.

    Raises:
      UserError: the strategy needs what the exits do not have.
    """
    stage = STRATEGIES[type(strategy)](strategy, design.layers, steps)
    own = design.own_norms or design.learned
    if not (stage.backbone or own):
        raise UserError(
            f"strategy `{strategy.name}` trains what exits have of their own, and these have "
            "nothing: set exits.own_norms, or name `learned` in exits.confidences"
        )
    if len(design.layers) == 1 and not isinstance(strategy, Joint):
        raise UserError(
            f"strategy `{strategy.name}` needs an early exit: name two exits.layers"
        )
    return stage
