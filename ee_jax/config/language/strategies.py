"""Ways to train a language model's exits, beside `Joint` and `Frozen`."""

import math
from dataclasses import dataclass
from typing import Literal

from ee_jax.config.checks import check, check_counts, check_positive, check_rate, check_types
from ee_jax.config.strategies import Frozen, Joint, OptimizerConfig


@dataclass(frozen=True)
class Towards:
    """Early exits learn the last exit's distribution of the next token.

    Only what the exits have of their own learns, or with `backbone` everything, the last exit
    then from the text.
    """

    name: str = "distill"
    backbone: bool = False
    temperature: float = 1.0
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "distill.")
        check_positive(self.temperature, "distill.temperature")


@dataclass(frozen=True)
class LayerSkip:
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
        check_types(self, "layerskip.")
        check_rate(self.p_max, "layerskip.p_max")
        ok = 0 <= self.e_scale < math.inf
        check(ok, "layerskip.e_scale", f"must be >= 0 and finite, not {self.e_scale}")
        check_counts(self, "layerskip.", "interval")


@dataclass(frozen=True)
class WarmedUp:
    """Everything learns, early exits with weights that change over training (EE-LLM, 2024)."""

    name: str = "ee_llm"
    first: tuple[float, ...] = (0.0,)  # weights of the early exits at the first step
    last: tuple[float, ...] = (0.5,)  # and at the last; the last exit's is 1
    shape: Literal["linear", "cosine"] = "linear"
    by_confidence: bool = False  # a token's loss times its exit's largest probability
    fit: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        check_types(self, "ee_llm.")
        ok = len(self.first) == len(self.last) and min((*self.first, *self.last)) >= 0
        check(ok, "ee_llm.first", "and `last` must hold a number >= 0 for each early exit")


LanguageStrategy = Joint | Frozen | Towards | LayerSkip | WarmedUp
