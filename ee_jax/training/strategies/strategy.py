"""What a strategy is: a config that says, stage by stage, what learns from which losses.

A learned confidence beside any strategy: it learns along, or in a stage of its own.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ee_jax.checks import check_name, check_types
from ee_jax.errors import UserError
from ee_jax.losses.exit_losses import LOSSES, NLL, Loss
from ee_jax.losses.learned_confidence import score_loss
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.stage import ExitLayout, Stage, Term, always, is_score


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


WeightScheme = Literal["uniform", "linear", "geometric", "strided"]


@dataclass(frozen=True)
class Strategy:
    """A way to train exits, of any task: subclass it with your own fields and stages.

    ```python
    @dataclass(frozen=True)
    class LastOnly(Strategy):
        name: str = "last_only"
        fit: OptimizerConfig = OptimizerConfig()

        def stages(self, exits):
            term = Term(self.labels, always(last(exits.count)))
            return [Stage("last", self.fit, (term,))]
    ```
    """

    name: str = ""  # of its folder in the run, and in tables
    loss: str = "nll"  # what exits learn from labels or text: a name in `losses.LOSSES`

    def __post_init__(self) -> None:
        kind = type(self).name or "strategies"  # of all of its kind: this one's may be bad
        check_types(self, f"{kind}.")
        check_name(self.loss, LOSSES, f"{kind}.loss")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """What is optimized, one stage after the other.

        Args:
          exits: of the model that is trained.

        Returns:
          The stages; a learned confidence is added to them.

        Raises:
          UserError: it cannot train such exits.
        """
        raise UserError(
            f"strategy `{self.name}`: {type(self).__name__} defines no stages(): take one "
            "that does"
        )

    def static_blocks(self, blocks: int) -> int | None:
        """The blocks of the model that it trains, where that is one without exits.

        Args:
          blocks: of the backbone, L.

        Returns:
          How many of the first blocks; None: it trains all, with exits.
        """
        return None

    @property
    def labels(self) -> Loss:
        """The loss by which exits learn from labels, or from text."""
        return LOSSES[self.loss]


def exit_weights(scheme: str | tuple[float, ...], exits: int, stride: int = 1) -> np.ndarray:
    """The weight of each exit's loss; they sum to 1.

    `uniform` 1 / E, up to scale the plain sum of BERxiT and DeeBERT; AdamW knows no scale,
    unless the gradient is clipped. `linear` i / sum i, as in CALM and PABEE. `geometric`
    2^(i-1) / (2^E - 1). `strided` 1, 1 + k, 1 + 2k, ... (t5x) over their sum, k the stride.
    Or E numbers of one's own, over their sum.

    Args:
      scheme: the scheme's name, or the numbers.
      exits: how many there are, E.
      stride: k.

    Raises:
      UserError: the numbers are not E, or are no weights.
    """
    number_E = np.arange(1, exits + 1)
    schemes = {
        "uniform": np.ones(exits),
        "linear": number_E.astype(float),
        "geometric": 2.0 ** (number_E - 1),
        "strided": 1.0 + stride * (number_E - 1),
    }
    weight_E = schemes[scheme] if isinstance(scheme, str) else np.asarray(scheme, float)
    if len(weight_E) != exits or not (weight_E.min() >= 0 and 0 < weight_E.sum() < np.inf):
        raise UserError(
            f"config field `strategies.weights` must hold {exits} numbers, one an exit, none "
            f"negative and not all 0, not {scheme}"
        )
    return weight_E / weight_E.sum()


def need_early_exit(strategy: Strategy, exits: ExitLayout) -> None:
    """Raises the one-line error of a strategy that has nothing to do with a single exit."""
    if exits.count == 1:
        raise UserError(
            f"strategy `{strategy.name}` needs an early exit: name two exits.layers"
        )
