"""Wall clock, honestly: all sides compiled before, interleaved in one process, medians."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

Thunk = Callable[[], Any]


def seconds_of(thunk: Thunk) -> float:
    """Seconds of one call, until its results are there."""
    start = time.perf_counter()
    jax.block_until_ready(thunk())
    return time.perf_counter() - start


def interleave(
    sides: dict[str, Thunk],
    rounds: int,
    warmup: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Float[np.ndarray, " R"]]:
    """Times each side once a round, in turn, beginning with another side each round.

    `tick` is called after each round.

    Returns:
        Seconds of each side, an array of `rounds`; the warm-up rounds are left out.
    """
    names = list(sides)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(seconds_of(sides[name]))
        tick()
    return {name: np.array(seconds[warmup:]) for name, seconds in taken.items()}


def interleave_over(
    sides: dict[str, Callable[[Any], Any]],
    batches: Sequence[Any],
    rounds: int,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Float[np.ndarray, " R"]]:
    """Times each side on every batch: the seconds of whole passes, an array of `rounds`.

    The sides take turns batch by batch, so that a machine that slows down slows all of them.
    Each has run once on each shape before. `tick` is called after each batch.
    """
    for batch in {shapes(batch): batch for batch in batches}.values():
        interleave({name: partial(side, batch) for name, side in sides.items()}, rounds=1)
    totals = {name: np.zeros(rounds) for name in sides}
    for batch in batches:
        thunks = {name: partial(side, batch) for name, side in sides.items()}
        for name, seconds in interleave(thunks, rounds, warmup=0).items():
            totals[name] += seconds
        tick()
    return totals


def shapes(batch: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of a batch's arrays: what decides which compiled program it runs."""
    return tuple(leaf.shape for leaf in jax.tree.leaves(batch))


def speedup(slow_R: Float[np.ndarray, " R"], fast_R: Float[np.ndarray, " R"]) -> float:
    """The median over rounds of one side's seconds / the other's."""
    return float(np.median(slow_R / fast_R))


def milliseconds(seconds_R: Float[np.ndarray, " R"]) -> float:
    """The median over rounds, in milliseconds."""
    return 1e3 * float(np.median(seconds_R))
