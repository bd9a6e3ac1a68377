"""A strategy, a loss and an optimizer of one's own, in a config that uses them.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, a few minutes.
Command:   ee-jax run examples/own_strategy.py --strategies.0.fit.epochs 1
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ee_jax.config import Data, Evaluation, Exits, Experiment, OptimizerConfig, Strategy
from ee_jax.losses.exit_losses import LOSSES, Loss
from ee_jax.training.optimizer import OPTIMIZERS
from ee_jax.training.stage import ExitLayout, Stage, Term


def focal(
    logits_C: Float[Array, " C"], last_C: Float[Array, " C"], label: Array
) -> Float[Array, ""]:
    """-(1 - p)^2 log p of the label (Lin et al. 2017): sure answers teach less."""
    log_p = jax.nn.log_softmax(logits_C)[label]
    return -jnp.square(1 - jnp.exp(log_p)) * log_p


def lion(rate: optax.Schedule, fit: OptimizerConfig) -> optax.GradientTransformation:
    """Lion (Chen et al. 2023) at a tenth of AdamW's rate, as its authors advise."""
    return optax.lion(lambda step: 0.1 * rate(step), weight_decay=fit.weight_decay)


LOSSES.register("focal", Loss(focal, needs_classes=True))
OPTIMIZERS.register("lion", lion)


@dataclass(frozen=True)
class DeepeningExits(Strategy):
    """Everything learns; the weight moves from the first exit to the last over training."""

    name: str = "deepening"
    sharpness: float = 4.0  # of the weights around the exit that training has come to
    fit: OptimizerConfig = OptimizerConfig(2.0, learning_rate=2e-4, head_learning_rate=1e-2)

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """One stage, whose weights follow the step."""

        def weights(step, steps):
            at = jnp.asarray(step, jnp.float32) / steps
            place_E = jnp.linspace(0.0, 1.0, exits.count)
            return jax.nn.softmax(-self.sharpness * jnp.abs(place_E - at))

        return [Stage("deepening", self.fit, (Term(self.labels, weights),))]


def get_config() -> Experiment:
    """The experiment, which uses all three."""
    fit = OptimizerConfig(2.0, learning_rate=2e-4, head_learning_rate=1e-2, optimizer="lion")
    return Experiment(
        name="own_strategy",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        exits=Exits(layers=(2, 4, 6)),
        strategies=(DeepeningExits(loss="focal", fit=fit),),
        evaluation=Evaluation(thresholds=(0.7, 0.8, 0.9, 1.0), rounds=1),
    )
