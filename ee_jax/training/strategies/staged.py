"""Exits trained together with the backbone, beside it, or in stages of their own."""

from dataclasses import dataclass

import numpy as np

from ee_jax.checks import check, check_bounded, check_positive
from ee_jax.losses.exit_losses import Direction, Loss, kl_to_last
from ee_jax.training.optimizer import OptimizerConfig, is_head
from ee_jax.training.stage import (
    ExitLayout,
    Stage,
    Term,
    always,
    is_head_of,
    last,
    lower,
    lower_mean,
)
from ee_jax.training.strategies.strategy import Strategy, WeightScheme, exit_weights

# Heads alone, on features made once.
HEADS = OptimizerConfig(epochs=40.0, head_learning_rate=2e-3)


@dataclass(frozen=True)
class Joint(Strategy):
    """Backbone and all exits together, on a weighted sum of the exits' losses.

    BranchyNet (Teerapittayanon et al. 2016).
    """

    name: str = "joint"
    weights: WeightScheme | tuple[float, ...] = "linear"
    stride: int = 1  # of the weights `strided`: 1, 1 + stride, 1 + 2 stride, ...
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.stride >= 0, "joint.stride", f"must be >= 0, not {self.stride}")
        check_bounded(self.stride, "joint.stride")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, in one stage."""
        weight_E = exit_weights(self.weights, exits.count, self.stride)
        return [Stage("joint", self.fit, (Term(self.labels, always(weight_E)),))]


@dataclass(frozen=True)
class Frozen(Strategy):
    """Only what exits have of their own learns; the backbone stays as it came."""

    name: str = "frozen"
    fit: OptimizerConfig = HEADS

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """The mean loss of the exits that have parts of their own, in one stage."""
        uniform_E = exit_weights("uniform", exits.count)
        weight_E = uniform_E if exits.own_last else lower_mean(exits.count)
        return [Stage("heads", self.fit, (Term(self.labels, always(weight_E)),), is_head)]


@dataclass(frozen=True)
class GradientEquilibrium(Strategy):
    """The sum of all exits' losses, each block's gradient a mean, not a sum.

    ElasticBERT (Liu et al. 2022), after Li et al. (2019).
    """

    name: str = "gradient_equilibrium"
    fit: OptimizerConfig = OptimizerConfig()

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """Everything learns, in one stage."""
        term = Term(self.labels, always(np.ones(exits.count)))
        return [Stage("equilibrium", self.fit, (term,), equilibrium=True)]


@dataclass(frozen=True)
class TwoStage(Strategy):
    """Backbone and last head first, then the other heads on that backbone.

    DeeBERT (Xin et al. 2020, sec. 3.1): the second stage is on the plain sum of the heads'
    losses, here their mean.
    """

    name: str = "two_stage"
    first: OptimizerConfig = OptimizerConfig()
    fit: OptimizerConfig = HEADS

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """The last exit, then the heads before it."""
        weight_E = lower_mean(exits.count)
        heads = _lower_heads("heads", self.fit, self.labels, weight_E)
        return [_last_exit(self, self.first, exits), heads]


@dataclass(frozen=True)
class Mixed(Strategy):
    """Backbone and last head first, then everything together (Kubaty et al. 2025)."""

    name: str = "mixed"
    first: OptimizerConfig = OptimizerConfig()
    weights: WeightScheme | tuple[float, ...] = "uniform"
    fit: OptimizerConfig = OptimizerConfig()

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """The last exit, then all on all exits' losses."""
        term = Term(self.labels, always(exit_weights(self.weights, exits.count)))
        return [_last_exit(self, self.first, exits), Stage("joint", self.fit, (term,))]


@dataclass(frozen=True)
class Distill(Strategy):
    """Backbone and last head first, then the other heads towards the last, without labels.

    FastBERT (Liu et al. 2020).
    """

    name: str = "distill"
    direction: Direction = "paper"  # KL(student || teacher), or in the code the other way
    temperature: float = 1.0  # divides the logits of both
    first: OptimizerConfig = OptimizerConfig()
    fit: OptimizerConfig = HEADS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.temperature, "distill.temperature")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """The last exit, then the heads before it learn to answer like it."""
        loss = kl_to_last(self.temperature, self.direction)
        heads = _lower_heads("distill", self.fit, loss, lower(exits.count))
        return [_last_exit(self, self.first, exits), heads]


def _last_exit(strategy: Strategy, fit: OptimizerConfig, exits: ExitLayout) -> Stage:
    what = f"`shared` has no last head of its own for strategy `{strategy.name}`"
    check(not exits.shared, "exits.head", what)
    exit = exits.count - 1

    def trains(path: str) -> bool:
        return not is_head(path) or is_head_of(exit, path)

    return Stage("first", fit, (Term(strategy.labels, always(last(exits.count))),), trains)


def _lower_heads(name: str, fit: OptimizerConfig, loss: Loss, weight_E: np.ndarray) -> Stage:
    exit = len(weight_E) - 1

    def trains(path: str) -> bool:
        return is_head(path) and not is_head_of(exit, path)

    return Stage(name, fit, (Term(loss, always(weight_E)),), trains)
