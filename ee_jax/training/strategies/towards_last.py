"""Exits that learn from the last exit while it is there: BERxiT's ways, and distillation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ee_jax.checks import check_positive
from ee_jax.losses.exit_losses import Direction, kl_to_last, soft_cross_entropy
from ee_jax.training.optimizer import OptimizerConfig, is_head
from ee_jax.training.stage import (
    ExitLayout,
    Stage,
    Term,
    always,
    everything,
    in_turn,
    last,
    lower,
    lower_mean,
)
from ee_jax.training.strategies.strategy import Strategy, need_early_exit


@dataclass(frozen=True)
class Alternating(Strategy):
    """The last exit's loss and the sum of all exits' losses in turn (BERxiT, 2021).

    Xin et al.: odd steps L_n alone, even steps the sum of all L_i. Steps count from 1. The
    released code counts from 0 (step % 2 == 0: L_n), which is the same order, and anew in each
    epoch, which is not done here. Where it trains its LTE along, its sum lacks L_n: `code_lte`.
    """

    name: str = "alternating"
    variant: Literal["paper", "code_lte"] = "paper"
    fit: OptimizerConfig = OptimizerConfig()

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, in one stage."""
        last_E, all_E = last(exits.count), np.ones(exits.count)
        sum_E = all_E if self.variant == "paper" else lower(exits.count)
        return [Stage("alternating", self.fit, (Term(self.labels, in_turn(last_E, sum_E)),))]


@dataclass(frozen=True)
class SelfDistill(Strategy):
    """All exits' losses, and each lower exit towards the last, together (BERxiT, 2021)."""

    name: str = "self_distill"
    variant: Direction = "paper"
    temperature: float = 1.0
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.temperature, "self_distill.temperature")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, in one stage."""
        weights = always(np.ones(exits.count))
        soft = soft_cross_entropy(self.temperature, self.variant)
        terms = (Term(self.labels, weights), Term(soft, weights))
        return [Stage("self_distill", self.fit, terms)]


@dataclass(frozen=True)
class DistillTrained(Strategy):
    """Early exits learn the distribution of the last exit of a model that is trained already.

    Only what the exits have of their own learns, or with `backbone` everything, the last exit
    then from labels or text.
    """

    name: str = "distill_trained"
    backbone: bool = False
    temperature: float = 1.0
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.temperature, "distill_trained.temperature")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """One stage, on the mean KL of the early exits."""
        need_early_exit(self, exits)
        kl = kl_to_last(self.temperature, "code")
        terms = (Term(kl, always(lower_mean(exits.count))),)
        if self.backbone:
            terms = (Term(self.labels, always(last(exits.count))), *terms)
        trains = everything if self.backbone else is_head
        return [Stage("distill", self.fit, terms, trains)]
