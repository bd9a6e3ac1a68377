"""A stage of training: which parameters learn, from which losses, weighted how."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ee_jax.losses.exit_losses import Loss
from ee_jax.losses.learned_confidence import ScoreLoss
from ee_jax.training.optimizer import OptimizerConfig, is_head

# From the number of steps taken, which may be traced, and of all steps, to a number for each
# exit or block.
Schedule = Callable[[ArrayLike, int], Float[Array, " N"]]
Trains = Callable[[str], bool]  # a parameter's dotted path -> does it learn?


class Term(NamedTuple):
    """One loss, and how much it counts at each exit, step by step."""

    loss: Loss
    weights: Schedule


def everything(path: str) -> bool:
    """Says of every parameter that it learns."""
    return True


@dataclass(frozen=True)
class Stage:
    """One optimization: what learns, from a weighted sum of losses."""

    name: str
    fit: OptimizerConfig
    losses: tuple[Term, ...]
    trains: Trains = everything
    scores: ScoreLoss | None = None  # what a learned confidence adds to the loss
    drops: Schedule | None = None  # how often each block is dropped
    equilibrium: bool = False  # is a block's gradient the mean of the exits' after it?


class ExitLayout(NamedTuple):
    """What a strategy must know of the exits that it trains."""

    layers: tuple[int, ...]  # blocks run at each exit; the last is L
    own_last: bool = True  # has the last exit parts of its own, as a classifier's has a head?
    shared: bool = False  # do all exits share one head?

    @property
    def count(self) -> int:
        """The number of exits, E."""
        return len(self.layers)


def always(weight_E: np.ndarray) -> Schedule:
    """The same weights at every step."""
    return lambda step, steps: jnp.asarray(weight_E, jnp.float32)


def in_turn(first_E: np.ndarray, second_E: np.ndarray) -> Schedule:
    """`first_E` at the first step, `second_E` at the second, and so on."""
    pair_2E = np.stack([first_E, second_E]).astype(np.float32)
    return lambda step, steps: jnp.asarray(pair_2E)[jnp.asarray(step) % 2]


def last(exits: int) -> Float[np.ndarray, " E"]:
    """1 for the last exit, 0 for the early ones."""
    return np.eye(exits)[-1]


def lower(exits: int) -> Float[np.ndarray, " E"]:
    """1 for the early exits, 0 for the last: their sum."""
    return 1 - last(exits)


def lower_mean(exits: int) -> Float[np.ndarray, " E"]:
    """1 / (E - 1) for the early exits, 0 for the last: their mean."""
    return lower(exits) / max(exits - 1, 1)


def is_head_of(exit: int, path: str) -> bool:
    """True for the parameters of exit number `exit`'s own head."""
    return path.startswith((f"exits.heads.{exit}.", f"heads.{exit}."))


def is_score(path: str) -> bool:
    """True for the parameters of learned confidences."""
    return path.startswith(("exits.scores.", "scores."))


def trains_backbone(stage: Stage, paths: list[str]) -> bool:
    """Does any parameter learn that is not an exit's own?"""
    return any(stage.trains(path) and not is_head(path) for path in paths)
