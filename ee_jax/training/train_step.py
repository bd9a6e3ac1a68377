"""One training step, over plain dictionaries of arrays."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ee_jax.config import OptimizerConfig
from ee_jax.losses.exit_losses import exit_losses
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.training.strategies import Stage, is_head


class TrainState(NamedTuple):
    """What a stage changes. Parameters that it keeps are not in it."""

    values: Parameters
    optimizer: optax.OptState
    step: Array


class Metrics(NamedTuple):
    """What a step reports, before its update."""

    loss: Float[Array, ""]
    loss_E: Float[Array, " E"]
    gradient_norm: Float[Array, ""]


# (trained, kept, steps taken, key, inputs) -> (loss, loss_E), differentiated by the first.
Objective = Callable[[Parameters, Parameters, Array, Array, Any], tuple[Array, Array]]


def schedule(peak: float, warmup: int, steps: int) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup` steps, then linear to 0 at `steps`."""
    rise = optax.linear_schedule(0.0, peak, warmup)
    fall = optax.linear_schedule(peak, 0.0, steps - warmup)
    return optax.join_schedules([rise, fall], [warmup])


def make_optimizer(fit: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter 2019), clipped, at one rate for the backbone, one for heads.

    Weights decay, biases and norms do not.
    """
    warmup = round(fit.warmup * steps)

    def adamw(peak: float) -> optax.GradientTransformation:
        rate = schedule(peak, warmup, steps)
        return optax.adamw(rate, weight_decay=fit.weight_decay, mask=_are_matrices)

    rates: dict[Hashable, Any] = {
        "backbone": adamw(fit.learning_rate),
        "exits": adamw(fit.head_learning_rate),
    }
    return optax.chain(optax.clip_by_global_norm(fit.clip), optax.partition(rates, _groups))


def _groups(values: Parameters) -> dict[str, str]:
    return {path: "exits" if is_head(path) else "backbone" for path in values}


def _are_matrices(values: Parameters) -> Any:
    # Partition masks the other group's leaves, which have no dimensions.
    return jax.tree.map(lambda value: value.ndim > 1, values)


def partition(
    values: Parameters, trains: Callable[[str], bool]
) -> tuple[Parameters, Parameters]:
    """The parameters that a stage trains, and those it keeps.

    The kept ones never meet the optimizer: it has no state for them, and not even a zero is
    added to them (which would turn -0.0 into 0.0).
    """
    trained = {path: value for path, value in values.items() if trains(path)}
    kept = {path: value for path, value in values.items() if path not in trained}
    return trained, kept


def start_training(values: Parameters, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before its first step."""
    return TrainState(values, optimizer.init(values), jnp.int32(0))


def exit_objective(model: ExitModel, stage: Stage, dropout: float) -> Objective:
    """The objective of a stage of a classifier.

    The inputs are tokens and target_B where the backbone learns, and otherwise
    feature_EBD, which the heads read, and target_B.
    """

    def loss(
        trained: Parameters, kept: Parameters, taken: Array, key: Array, inputs: Any
    ) -> tuple[Array, Array]:
        bound = bind(model, {**kept, **trained})
        if stage.backbone:
            tokens, target_B = inputs
            feature_EBD = bound.features(tokens, dropout, key, stage.equilibrium)
        else:
            feature_EBD, target_B = inputs
        answer = bound.answers(feature_EBD)
        value = stage.loss(answer, target_B, stage.weights(taken))
        if stage.scores is not None:
            value += stage.scores(answer, target_B)
        return value, exit_losses(answer.logits, target_B)

    return loss


def make_step(
    objective: Objective, optimizer: optax.GradientTransformation
) -> Callable[[TrainState, Parameters, Array, Any], tuple[TrainState, Metrics]]:
    """A step: (state, kept parameters, key, inputs) -> (state, metrics)."""

    def step(state: TrainState, kept: Parameters, key: Array, inputs: Any) -> Any:
        key = jax.random.fold_in(key, state.step)
        value_and_gradient = jax.value_and_grad(objective, has_aux=True)
        (value, loss_E), gradient = value_and_gradient(
            state.values, kept, state.step, key, inputs
        )
        update, moments = optimizer.update(gradient, state.optimizer, state.values)
        values: Any = optax.apply_updates(state.values, update)
        metrics = Metrics(value, loss_E, optax.tree.norm(gradient))
        return TrainState(values, moments, state.step + 1), metrics

    return step
