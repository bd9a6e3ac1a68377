"""One training step, over plain dictionaries of arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from ee_jax.losses.batch_losses import OfBatch
from ee_jax.losses.exit_losses import NLL
from ee_jax.models.exit_features import Forward
from ee_jax.models.precision import cast_to_learn
from ee_jax.models.transformer import Parameters
from ee_jax.training.optimizer import is_head
from ee_jax.training.stage import Stage


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


# (trained, kept, steps taken, key, batch) -> (loss, loss_E), differentiated by the first.
Objective = Callable[[Parameters, Parameters, Array, Array, Any], tuple[Array, Array]]


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


def make_objective(
    of_batch: OfBatch,
    stage: Stage,
    steps: int,
    dropout: float = 0.0,
    precision: str = "float32",
) -> Objective:
    """What a stage minimizes: its losses, weighted over exits, and that of its scores.

    Args:
      of_batch: the losses of a batch, for the kind of model that is trained.
      stage: which losses, weighted how.
      steps: how many steps the stage takes.
      dropout: in the backbone, where any of it learns.
      precision: what the model computes in; what learns, and its gradient, are float32.

    Returns:
      The objective; beside its value it returns the plain loss from labels at every exit.
    """
    losses = tuple(dict.fromkeys([NLL, *(term.loss for term in stage.losses)]))

    def objective(
        trained: Parameters, kept: Parameters, taken: Array, key: Array, batch: Any
    ) -> tuple[Array, Array]:
        rate = dropout if any(not is_head(path) for path in trained) else 0.0
        forward = Forward(rate, key, equilibrium=stage.equilibrium)
        if stage.drops is not None:
            drop_key, key = jax.random.split(key)
            kept_LB = kept_blocks(drop_key, stage.drops(taken, steps), examples_of(batch))
            forward = forward._replace(key=key, kept_LB=kept_LB)
        values = cast_to_learn({**kept, **trained}, precision)
        found = of_batch(values, batch, losses, stage.scores, forward)
        loss_E = dict(zip(losses, found.losses_E, strict=True))
        value = sum(
            jnp.vdot(term.weights(taken, steps), loss_E[term.loss]) for term in stage.losses
        )
        return value + found.scores, loss_E[NLL]

    return objective


def examples_of(batch: Any) -> int:
    """Rows of a batch, whose last part is their labels."""
    return len(batch[-1])


def kept_blocks(key: Array, rate_L: Float[Array, " L"], batch: int) -> Bool[Array, "L B"]:
    """Which rows run which block: each row drops each block by its own draw."""
    chex.assert_rank(rate_L, 1)
    return ~jax.random.bernoulli(key, rate_L[:, None], (len(rate_L), batch))


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
