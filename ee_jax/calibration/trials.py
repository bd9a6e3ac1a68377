"""What a method does on examples that it was not calibrated on, over many random splits.

The risk of the rest is not the true risk: it has noise of its own, and what the calibration
part has too little of the rest has too much of. So it lies above the level more often than a
method's promise, which is of the true risk, would let it.

A split is a row of zeros and ones, so the sums of all splits over all candidates are one
product of matrices, and the sums over the rest are the totals less those. Splits are drawn and
judged by the block, so that memory does not grow with their number.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from ee_jax.calibration.choice import Outcomes
from ee_jax.calibration.empirical import within
from ee_jax.calibration.methods import METHODS, to_unit
from ee_jax.errors import UserError

BLOCK = 100  # splits that are judged together
SPAN = 8192  # examples that are summed together
MOST_TRIALS = 10**6

Part = Bool[np.ndarray, " N"]
Parts = Bool[np.ndarray, "S N"]
Levels = Sequence[float]
T = TypeVar("T")
U = TypeVar("U")


class Trials(NamedTuple):
    """S random splits: what was chosen on one part, and the means over the other."""

    threshold_S: Float[np.ndarray, " S *E"]
    risk_S: Float[np.ndarray, " S"]
    depth_S: Float[np.ndarray, " S"]


@dataclass(frozen=True)
class Splits:
    """Random splits of the examples in two, of the same sizes in all trials.

    Attributes:
      examples: how many there are.
      trials: how many splits.
      share: of the examples, what is calibrated on, between 0 and 1.
      seed: of the draw.
    """

    examples: int
    trials: int
    share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= MOST_TRIALS:
            raise UserError(f"trials is {self.trials}: ask for 1 to {MOST_TRIALS:,}")
        if not 0 < self.share < 1:
            raise UserError(f"share is {self.share}: calibrate on more than 0, less than 1")
        if not 0 < self.calibrated_on < self.examples:
            parts = f"{self.calibrated_on} of {self.examples} examples"
            raise UserError(
                f"share is {self.share}, which calibrates on {parts}: leave none of the two "
                "parts empty"
            )

    @property
    def calibrated_on(self) -> int:
        """Examples of the part that thresholds are chosen on."""
        return round(self.share * self.examples)

    @property
    def held_out(self) -> int:
        """Examples of the rest, on which they are tried."""
        return self.examples - self.calibrated_on

    def blocks(self, rows: int = BLOCK) -> Iterator[Parts]:
        """Which examples are calibrated on, so many splits at a time; always the same."""
        rng = np.random.default_rng(self.seed)
        first_N = np.arange(self.examples) < self.calibrated_on
        for start in range(0, self.trials, rows):
            some = min(rows, self.trials - start)
            yield rng.permuted(np.tile(first_N, (some, 1)), axis=1)

    def __iter__(self) -> Iterator[Part]:
        for part_SN in self.blocks():
            yield from part_SN


def in_threads(function: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """The function of each item, in order; NumPy lets threads run side by side."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))


def trials_of_outcomes(
    candidates: Outcomes, method: str, levels: Levels, delta: float, splits: Splits
) -> list[Trials]:
    """A method of `METHODS` on each split's one part, and risk and depth of the other.

    Args:
      candidates: losses and depths of every example at every candidate.
      method: a name in METHODS.
      levels: the risks allowed.
      delta: the chance of more than that.
      splits: which examples are calibrated on.

    Returns:
      Thresholds, risks and depths of each split, at each level.
    """
    how, low = METHODS[method], candidates.low
    prepared_KN = how.prepare(candidates.loss_KN, low)
    units = [float(to_unit(level, low)) for level in levels]
    order_N = np.random.default_rng(0).permutation(splits.examples)  # see `certify`
    ordered_KN = prepared_KN if how.of_means else prepared_KN.take(order_N, axis=1)
    walk = how.walk(ordered_KN, delta)

    def of_part(part_N: Part) -> Int[np.ndarray, " L"]:
        return walk(part_N[order_N].nonzero()[0], units)

    def choose(part_SN: Parts, found: "Sums") -> Int[np.ndarray, "L S"]:
        if how.of_means is None:
            return np.array(in_threads(of_part, part_SN)).T
        sum_SK = (
            found.loss_SK if prepared_KN is candidates.loss_KN else sums(part_SN, prepared_KN)
        )
        n = splits.calibrated_on
        return np.array([how.last(how.of_means(sum_SK / n, n, q, delta)) for q in units])

    return over_splits(candidates, splits, choose)


def trials_of_budgets(candidates: Outcomes, depths: Levels, splits: Splits) -> list[Trials]:
    """The same of mean depths to keep to.

    Args:
      candidates: losses and depths of every example at every candidate.
      depths: the budgets, in blocks.
      splits: which examples thresholds are chosen on.

    Returns:
      Thresholds, risks and depths of each split, at each budget.
    """

    def choose(part_SN: Parts, found: Sums) -> Int[np.ndarray, "L S"]:
        mean_SK = found.depth_SK / splits.calibrated_on
        return np.array([within(mean_SK, depth) for depth in depths])

    return over_splits(candidates, splits, choose)


class Sums(NamedTuple):
    """Over one part of each split, at every candidate."""

    loss_SK: Float[np.ndarray, "S K"]
    depth_SK: Float[np.ndarray, "S K"]


def over_splits(
    candidates: Outcomes,
    splits: Splits,
    choose: Callable[[Parts, Sums], Int[np.ndarray, "L S"]],
) -> list[Trials]:
    """What is chosen on one part of each split does so on the other."""
    values = candidates.loss_KN, candidates.depth_KN
    whole = [sums(np.ones((1, splits.examples), bool), value_KN) for value_KN in values]
    blocks: list[list[Trials]] = []
    for part_SN in splits.blocks():
        found, rows_S = Sums(*(sums(part_SN, v) for v in values)), np.arange(len(part_SN))
        blocks.append([])
        for choice_S in choose(part_SN, found):
            rest = (
                (all_1K[0] - part_SK)[rows_S, choice_S] / splits.held_out
                for all_1K, part_SK in zip(whole, found, strict=True)
            )
            blocks[-1].append(Trials(candidates.threshold_K[choice_S], *rest))
    return joined(blocks)


def joined(blocks: list[list[Trials]]) -> list[Trials]:
    """From blocks of splits, each with all levels, to levels, each with all splits."""
    return [
        Trials(*map(np.concatenate, zip(*of_level, strict=True)))
        for of_level in zip(*blocks, strict=True)
    ]


def of_levels(found: Sequence[tuple[np.ndarray, ...]]) -> list[Trials]:
    """From what each split has at all levels to what each level has in all splits."""
    threshold_S, risk_S, depth_S = (np.array(column) for column in zip(*found, strict=True))
    levels = range(risk_S.shape[1])
    return [Trials(threshold_S[:, q], risk_S[:, q], depth_S[:, q]) for q in levels]


def sums(part_SN: Parts, value_KN: Real[np.ndarray, "K N"]) -> Float[np.ndarray, "S K"]:
    """The sum over each part: splits and candidates in products of matrices.

    Args:
      part_SN: which examples are summed, of each split.
      value_KN: of each example at each candidate.

    Returns:
      Sums, exact where values are whole and their sums below 2^53.
    """
    total_SK = np.zeros((len(part_SN), len(value_KN)))
    for start in range(0, part_SN.shape[1], SPAN):
        span = slice(start, start + SPAN)
        total_SK += part_SN[:, span].astype(float) @ value_KN[:, span].astype(float).T
    return total_SK
