"""One training step, over plain dictionaries of arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ee_jax.config import Fit
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.training.losses import multi_exit_loss
from ee_jax.training.strategies import Stage


class Learner(NamedTuple):
    """What a stage changes. Parameters that it keeps are not in it."""

    values: Parameters
    optimizer: optax.OptState
    step: Array


class Metrics(NamedTuple):
    """What a step reports, before its update."""

    loss: Float[Array, ""]
    loss_E: Float[Array, " E"]
    gradient_norm: Float[Array, ""]


def make_optimizer(fit: Fit, steps: int) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter 2019), clipped; linear warm-up, then linear decay to 0."""
    warmup = round(fit.warmup * steps)
    rise = optax.linear_schedule(0.0, fit.learning_rate, warmup)
    fall = optax.linear_schedule(fit.learning_rate, 0.0, steps - warmup)

    def is_matrix(values: Parameters) -> dict[str, bool]:
        return {path: value.ndim > 1 for path, value in values.items()}

    return optax.chain(
        optax.clip_by_global_norm(fit.clip),
        optax.adamw(
            optax.join_schedules([rise, fall], [warmup]),
            weight_decay=fit.weight_decay,
            mask=is_matrix,
        ),
    )


def partition(values: Parameters, stage: Stage) -> tuple[Parameters, Parameters]:
    """The parameters that the stage trains, and those it keeps.

    The kept ones never meet the optimizer: it has no state for them, and not even a zero is
    added to them (which would turn -0.0 into 0.0).
    """
    trained = {path: value for path, value in values.items() if stage.trains(path)}
    kept = {path: value for path, value in values.items() if path not in trained}
    return trained, kept


def start_learner(values: Parameters, optimizer: optax.GradientTransformation) -> Learner:
    """The learner before its first step."""
    return Learner(values, optimizer.init(values), jnp.int32(0))


def make_step(
    model: ExitModel, stage: Stage, optimizer: optax.GradientTransformation, dropout: float
) -> Callable[[Learner, Parameters, Array, Any], tuple[Learner, Metrics]]:
    """A step: (learner, kept parameters, key, inputs) -> (learner, metrics).

    The inputs are tokens_BT, mask_BT and label_B where the backbone learns, and otherwise
    feature_EBD, which the heads read, and label_B.
    """

    def loss(trained: Parameters, kept: Parameters, key: Array, inputs: Any) -> Any:
        bound = bind(model, {**kept, **trained})
        *read, label_B = inputs
        features = bound.features(*read, dropout, key) if stage.backbone else read[0]
        return multi_exit_loss(bound.answers(features), label_B, stage.weight_E)

    def step(learner: Learner, kept: Parameters, key: Array, inputs: Any) -> Any:
        key = jax.random.fold_in(key, learner.step)
        value_and_gradient = jax.value_and_grad(loss, has_aux=True)
        (value, loss_E), gradient = value_and_gradient(learner.values, kept, key, inputs)
        update, state = optimizer.update(gradient, learner.optimizer, learner.values)
        values = optax.apply_updates(learner.values, update)
        metrics = Metrics(value, loss_E, optax.global_norm(gradient))
        return Learner(values, state, learner.step + 1), metrics

    return step
