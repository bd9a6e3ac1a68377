"""All exits at once: with the backbone, on a frozen one, or with balanced gradients."""

from dataclasses import dataclass

import numpy as np

from ee_jax.checks import check
from ee_jax.training.optimizer import OptimizerConfig, is_head
from ee_jax.training.stage import ExitLayout, Stage, Term, always, lower_mean
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
