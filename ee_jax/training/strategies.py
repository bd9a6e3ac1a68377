"""Strategies: how exits are trained, as one stage or more in a row."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ee_jax.config import (
    Alternating,
    Distill,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    Mixed,
    OptimizerConfig,
    SelfDistill,
    Strategy,
    TwoStage,
)
from ee_jax.losses.exit_losses import (
    Loss,
    distill_loss,
    exit_weights,
    self_distill_loss,
    weighted_loss,
)
from ee_jax.losses.learned_confidence import ScoreLoss, score_loss
from ee_jax.training.weights import Weights, always, in_turn, last, lower, lower_mean


@dataclass(frozen=True)
class Stage:
    """One optimisation: which parameters learn, from what."""

    name: str
    fit: OptimizerConfig
    weights: Weights
    trains: Callable[[str], bool]  # a parameter's dotted path -> does it learn?
    backbone: bool = True  # does any of the backbone learn?
    loss: Loss = weighted_loss
    scores: ScoreLoss | None = None  # what a learned confidence adds to the loss
    equilibrium: bool = False  # is a block's gradient the mean of the exits' after it?


def joint(strategy: Joint, exits: int) -> list[Stage]:
    """Everything learns from the weighted sum of all exits' losses (BranchyNet, 2016)."""
    weight_E = exit_weights(strategy.weights, exits, strategy.stride)
    return [Stage("joint", strategy.fit, always(weight_E), everything)]


def frozen(strategy: Frozen, exits: int) -> list[Stage]:
    """Heads on a backbone that stays as it came."""
    weights = always(exit_weights("uniform", exits))
    return [Stage("heads", strategy.fit, weights, is_head, backbone=False)]


def two_stage(strategy: TwoStage, exits: int) -> list[Stage]:
    """DeeBERT's (Xin et al. 2020, sec. 3.1): backbone and last head are fine-tuned, then kept
    while the other heads learn on the plain sum of their losses, here their mean."""
    heads = _lower_heads(strategy.fit, lower_mean(exits), exits)
    return [_first_stage(strategy.first, exits), heads]


def mixed(strategy: Mixed, exits: int) -> list[Stage]:
    """Backbone and last head first, then everything on all exits (Kubaty et al. 2025)."""
    weight_E = exit_weights(strategy.weights, exits)
    together = Stage("joint", strategy.fit, always(weight_E), everything)
    return [_first_stage(strategy.first, exits), together]


def alternating(strategy: Alternating, exits: int) -> list[Stage]:
    """BERxiT's (Xin et al. 2021): odd steps L_n alone, even steps the sum of all L_i.

    Steps count from 1. The released code counts from 0 (step % 2 == 0: L_n), which is the same
    order, and anew in each epoch, which is not done here. Where it trains its LTE along, its
    sum lacks L_n: `code_lte`.
    """
    last_E, all_E = last(exits), np.ones(exits)
    sum_E = all_E if strategy.variant == "paper" else lower(exits)
    return [Stage("alternating", strategy.fit, in_turn(last_E, sum_E), everything)]


def gradient_equilibrium(strategy: GradientEquilibrium, exits: int) -> list[Stage]:
    """ElasticBERT's (Liu et al. 2022): the sum of all losses, gradients in equilibrium."""
    weights = always(np.ones(exits))
    return [Stage("equilibrium", strategy.fit, weights, everything, equilibrium=True)]


def distill(strategy: Distill, exits: int) -> list[Stage]:
    """FastBERT's (Liu et al. 2020): backbone and last head are fine-tuned, then kept
    while the other heads learn to answer like the last, without labels."""
    heads = _lower_heads(strategy.fit, lower(exits), exits)
    loss = distill_loss(strategy.temperature, strategy.direction)
    return [_first_stage(strategy.first, exits), replace(heads, name="distill", loss=loss)]


def self_distill(strategy: SelfDistill, exits: int) -> list[Stage]:
    """BERxiT's `self_distil`: all exits' losses, and each lower exit towards the last."""
    loss = self_distill_loss(strategy.temperature, strategy.variant)
    weights = always(np.ones(exits))
    return [Stage("self_distill", strategy.fit, weights, everything, loss=loss)]


def _first_stage(fit: OptimizerConfig, exits: int) -> Stage:
    def trains(path: str) -> bool:
        return not is_head(path) or _is_head_of(exits - 1, path)

    return Stage("first", fit, always(last(exits)), trains)


def _lower_heads(fit: OptimizerConfig, weight_E: np.ndarray, exits: int) -> Stage:
    def trains(path: str) -> bool:
        return is_head(path) and not _is_head_of(exits - 1, path)

    return Stage("heads", fit, always(weight_E), trains, backbone=False)


def everything(path: str) -> bool:
    """True."""
    return True


def is_head(path: str) -> bool:
    """True for what an exit has of its own: head, norm of a language model, confidence."""
    return path.startswith(("exits.", "norms.", "scores."))


def is_score(path: str) -> bool:
    """True for the parameters of learned confidences."""
    return path.startswith("exits.scores.")


def _is_head_of(exit: int, path: str) -> bool:
    return path.startswith(f"exits.heads.{exit}.")


STRATEGIES: dict[type, Callable[[Any, int], list[Stage]]] = {
    Joint: joint,
    Frozen: frozen,
    TwoStage: two_stage,
    Mixed: mixed,
    Alternating: alternating,
    GradientEquilibrium: gradient_equilibrium,
    Distill: distill,
    SelfDistill: self_distill,
}


def stages(strategy: Strategy, exits: int, learned: Learned | None = None) -> list[Stage]:
    """The stages of a strategy on a model with so many exits, and with a learned confidence."""
    answers = STRATEGIES[type(strategy)](strategy, exits)
    return answers if learned is None else with_scores(answers, exits, learned)


def with_scores(answers: list[Stage], exits: int, learned: Learned) -> list[Stage]:
    """Scores learn along with the last stage, or in one of their own after it.

    That of their own is CALM's (Schuster et al. 2022, sec. 3.5): everything else is frozen.
    """
    scores, without = score_loss(learned), [_without_scores(stage) for stage in answers]
    if learned.fit is None:
        return [*without[:-1], replace(answers[-1], scores=scores)]
    none = always(np.zeros(exits))
    own = Stage("scores", learned.fit, none, is_score, backbone=False, scores=scores)
    return [*without, own]


def _without_scores(stage: Stage) -> Stage:
    return replace(stage, trains=lambda path: stage.trains(path) and not is_score(path))
