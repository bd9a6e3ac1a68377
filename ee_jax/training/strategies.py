"""Strategies: how exits are trained, as one stage or more in a row."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ee_jax.config import Fit, Frozen, Joint, Strategy
from ee_jax.training.losses import exit_weights


@dataclass(frozen=True)
class Stage:
    """One optimisation: which parameters learn, on which weighting of the exits."""

    name: str
    fit: Fit
    weight_E: np.ndarray
    trains: Callable[[str], bool]  # a parameter's dotted path -> does it learn?
    backbone: bool  # does any of the backbone learn?


def joint(strategy: Joint, exits: int) -> list[Stage]:
    """Everything learns from the weighted sum of all exits' losses (BranchyNet, 2016)."""
    weight_E = exit_weights(strategy.weights, exits)
    return [Stage("joint", strategy.fit, weight_E, lambda path: True, backbone=True)]


def frozen(strategy: Frozen, exits: int) -> list[Stage]:
    """Heads on a backbone that stays as it is.

    With a first stage, DeeBERT's two (Xin et al. 2020, sec. 3.1): backbone and last head are
    fine-tuned, then kept while the other heads learn on the plain sum of their losses.
    """
    every_E = exit_weights("uniform", exits)
    if strategy.first_stage is None:
        return [Stage("heads", strategy.fit, every_E, is_head, backbone=False)]
    last_E = np.eye(exits)[-1]
    lower_E = (1 - last_E) / max(exits - 1, 1)

    def is_last(path: str) -> bool:
        return path.startswith((f"exits.heads.{exits - 1}.", f"exits.scores.{exits - 1}."))

    first = Stage(
        "first_stage",
        strategy.first_stage,
        last_E,
        lambda path: not is_head(path) or is_last(path),
        backbone=True,
    )
    heads = Stage(
        "heads",
        strategy.fit,
        lower_E,
        lambda path: is_head(path) and not is_last(path),
        backbone=False,
    )
    return [first, heads]


def is_head(path: str) -> bool:
    """True for the parameters of exit heads and learned confidences."""
    return path.startswith("exits.")


STRATEGIES = {Joint: joint, Frozen: frozen}


def stages(strategy: Strategy, exits: int) -> list[Stage]:
    """The stages of a strategy on a model with so many exits."""
    return STRATEGIES[type(strategy)](strategy, exits)
