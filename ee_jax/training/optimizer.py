"""The optimizer of a stage: one rate for the backbone, one for what exits have of their own."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike

from ee_jax.checks import (
    check,
    check_bounded,
    check_counts,
    check_name,
    check_positive,
    check_rate,
    check_types,
)
from ee_jax.models.transformer import Parameters
from ee_jax.registry import Registry


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
    optimizer: str = "adamw"  # a name in `training.optimizer.OPTIMIZERS`

    def __post_init__(self) -> None:
        check_types(self, "fit.")
        check_counts(self, "fit.", "batch")
        check_bounded(self.epochs, "fit.epochs")
        for name in ("epochs", "learning_rate", "head_learning_rate", "clip"):
            check_positive(getattr(self, name), f"fit.{name}")
        check_rate(self.warmup, "fit.warmup")
        decays = f"must be >= 0, not {self.weight_decay}"
        check(self.weight_decay >= 0, "fit.weight_decay", decays)
        check_name(self.optimizer, OPTIMIZERS, "fit.optimizer")


# From a schedule of the learning rate and the stage's config to any optax transformation.
MakeOptimizer = Callable[[optax.Schedule, OptimizerConfig], optax.GradientTransformation]


def adamw(rate: optax.Schedule, fit: OptimizerConfig) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter 2019); weights decay, biases and norms do not."""
    return optax.adamw(rate, weight_decay=fit.weight_decay, mask=are_matrices)


OPTIMIZERS: Registry[MakeOptimizer] = Registry("optimizer", adamw=adamw)


def schedule(peak: float, warmup: int, steps: int) -> optax.Schedule:
    """Linear to `peak` over `warmup` steps, then linear to 0 at `steps`.

    The first step has peak / warmup, so that it learns something; the schedules of Hugging
    Face's trainer, and so most papers' code, begin with a step at 0.
    """

    def rate(step: ArrayLike) -> Array:
        rise = (jnp.asarray(step) + 1) / max(warmup, 1)
        fall = (steps - jnp.asarray(step)) / max(steps - warmup, 1)
        return peak * jnp.clip(jnp.minimum(rise, fall), 0.0, 1.0)

    return rate


def make_optimizer(fit: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The config's optimizer, clipped, at one rate for the backbone and one for the exits.

    Args:
      fit: the stage's config.
      steps: how many steps the stage takes, over which rates rise and fall.

    Returns:
      A transformation of gradients by parameters' dotted paths.
    """
    warmup, make = round(fit.warmup * steps), OPTIMIZERS[fit.optimizer]
    rates: dict[Hashable, Any] = {
        "backbone": make(schedule(fit.learning_rate, warmup, steps), fit),
        "exits": make(schedule(fit.head_learning_rate, warmup, steps), fit),
    }
    return optax.chain(optax.clip_by_global_norm(fit.clip), optax.partition(rates, _groups))


def is_head(path: str) -> bool:
    """True for what an exit has of its own: a head or a score.

    Args:
      path: a parameter's dotted path.
    """
    return path.startswith(("exits.", "heads.", "scores."))


def _groups(values: Parameters) -> dict[str, str]:
    return {path: "exits" if is_head(path) else "backbone" for path in values}


def are_matrices(values: Parameters) -> Any:
    """Which parameters have two dimensions or more, what weight decay is for."""
    # Partition masks the other group's leaves, which have no dimensions.
    return jax.tree.map(lambda value: value.ndim > 1, values)
