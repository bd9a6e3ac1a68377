"""A learned confidence beside any strategy: it learns along, or in a stage of its own."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ee_jax.checks import check_types
from ee_jax.losses.exit_losses import NLL
from ee_jax.losses.learned_confidence import score_loss
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.stage import Stage, Term, always, is_score


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


def with_scores(stages: list[Stage], exits: int, learned: Learned) -> list[Stage]:
    """The stages of a strategy, and scores that learn along with the last, or after it.

    A stage of their own is CALM's (Schuster et al. 2022, sec. 3.5): everything else is frozen.

    Args:
      stages: of the strategy.
      exits: how many there are, E.
      learned: how the scores learn.
    """
    scores = score_loss(learned.target, learned.loss)
    without = [_without_scores(stage) for stage in stages]
    if learned.fit is None:
        return [*without[:-1], replace(stages[-1], scores=scores)]
    none = Term(NLL, always(np.zeros(exits)))
    return [*without, Stage("scores", learned.fit, (none,), is_score, scores)]


def _without_scores(stage: Stage) -> Stage:
    return replace(stage, trains=lambda path: stage.trains(path) and not is_score(path))
