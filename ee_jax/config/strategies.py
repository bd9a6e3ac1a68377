"""How exits are trained: the strategies of the literature, as frozen dataclasses.

`ee_jax.training.strategies` says what each does, stage by stage.
"""

import math
from dataclasses import dataclass
from typing import Literal

from ee_jax.config.checks import check, check_positive, check_rate, check_types

WeightScheme = Literal["uniform", "linear", "geometric", "strided"]


@dataclass(frozen=True)
class OptimizerConfig:
    """One stage of training: AdamW, linear warm-up, then linear decay to zero."""

    epochs: float = 3.0
    batch: int = 32  # examples a step, over all devices
    learning_rate: float = 5e-5  # of the backbone
    head_learning_rate: float = 1e-3  # of the exit heads, which start from nothing
    warmup: float = 0.1  # share of the steps
    weight_decay: float = 0.01  # on matrices, not on biases and norms
    clip: float = 1.0  # global norm of the gradient of what is trained

    def __post_init__(self) -> None:
        check_types(self, "fit.")
        for name in ("epochs", "batch", "learning_rate", "head_learning_rate", "clip"):
            check_positive(getattr(self, name), f"fit.{name}")
        check_rate(self.warmup, "fit.warmup")
        ok = 0 <= self.weight_decay < math.inf
        check(ok, "fit.weight_decay", f"must be >= 0 and finite, not {self.weight_decay}")


# Heads alone, on features made once.
HEADS = OptimizerConfig(epochs=40.0, head_learning_rate=2e-3)


@dataclass(frozen=True)
class Joint:
    """Backbone and all exits together, on a weighted sum of the exits' losses."""

    name: str = "joint"
    weights: WeightScheme | tuple[float, ...] = "linear"
    stride: int = 1  # of the weights `strided`: 1, 1 + stride, 1 + 2 stride, ...
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "joint.")
        check(self.stride >= 0, "joint.stride", f"must be >= 0, not {self.stride}")


@dataclass(frozen=True)
class Frozen:
    """Only the heads learn; the backbone stays as it came."""

    name: str = "frozen"
    fit: OptimizerConfig = HEADS

    def __post_init__(self) -> None:
        check_types(self, "frozen.")


@dataclass(frozen=True)
class TwoStage:
    """Backbone and last head first, then the other heads on that backbone (DeeBERT)."""

    name: str = "two_stage"
    first: OptimizerConfig = OptimizerConfig()
    fit: OptimizerConfig = HEADS

    def __post_init__(self) -> None:
        check_types(self, "two_stage.")


@dataclass(frozen=True)
class Mixed:
    """Backbone and last head first, then everything together."""

    name: str = "mixed"
    first: OptimizerConfig = OptimizerConfig()
    weights: WeightScheme | tuple[float, ...] = "uniform"
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "mixed.")


@dataclass(frozen=True)
class Alternating:
    """The last exit's loss and the sum of all exits' losses in turn (BERxiT)."""

    name: str = "alternating"
    variant: Literal["paper", "code_lte"] = "paper"
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "alternating.")


@dataclass(frozen=True)
class GradientEquilibrium:
    """The sum of all exits' losses, each block's gradient a mean, not a sum (ElasticBERT)."""

    name: str = "gradient_equilibrium"
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "gradient_equilibrium.")


@dataclass(frozen=True)
class Distill:
    """Backbone and last head first, then the other heads towards the last (FastBERT)."""

    name: str = "distill"
    direction: Literal["paper", "code"] = "paper"  # KL(student || teacher), or the other way
    temperature: float = 1.0  # divides the logits of both
    first: OptimizerConfig = OptimizerConfig()
    fit: OptimizerConfig = HEADS

    def __post_init__(self) -> None:
        check_types(self, "distill.")
        check_positive(self.temperature, "distill.temperature")


@dataclass(frozen=True)
class SelfDistill:
    """All exits' losses, and each lower exit towards the last, together (BERxiT)."""

    name: str = "self_distill"
    variant: Literal["paper", "code"] = "paper"
    temperature: float = 1.0
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "self_distill.")
        check_positive(self.temperature, "self_distill.temperature")


Staged = TwoStage | Mixed | Distill  # the last head first, apart from the others
Strategy = Joint | Frozen | Alternating | GradientEquilibrium | SelfDistill | Staged


@dataclass(frozen=True)
class Learned:
    """How the scores of the confidence `learned` learn.

    BERxiT's LTE is the target `correct` with the loss `squared`, `shared`; CALM's meta
    classifier the target `consistent`, `shared`, with a `fit` of its own.
    """

    target: Literal["correct", "consistent"] = "correct"  # with the label, or the last exit
    loss: Literal["cross_entropy", "balanced", "geometric", "squared"] = "cross_entropy"
    shared: bool = False  # one score for all exits
    # A last stage in which only scores learn; None: they learn with the rest.
    fit: OptimizerConfig | None = None

    def __post_init__(self) -> None:
        check_types(self, "learned.")

    @property
    def is_of_errors(self) -> bool:
        """Can it learn from how far an answer is off, as in a regression?"""
        return (self.target, self.loss) == ("correct", "squared")
