"""What a strategy is: a config that says, stage by stage, what learns from which losses."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ee_jax.checks import check_name, check_types
from ee_jax.errors import UserError
from ee_jax.losses.exit_losses import LOSSES, Loss
from ee_jax.training.stage import ExitLayout, Stage

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
        check_types(self, f"{self.name}.")
        check_name(self.loss, LOSSES, f"{self.name}.loss")

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """What is optimized, one stage after the other.

        Args:
          exits: of the model that is trained.

        Returns:
          The stages; a learned confidence is added to them.

        Raises:
          UserError: it cannot train such exits.
        """
        raise NotImplementedError(f"{type(self).__name__} has no stages()")

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
