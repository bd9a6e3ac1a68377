"""What a threshold on a confidence reaches: depth, disagreement, and the speed that follows.

`evaluation.diagnosis` bounds what any rule can do. Here one rule is tried as it would be used:
one threshold for all exits, chosen on one half of the tokens and measured on the other. What a
token costs that stops at each exit is given, counted or measured, and the speed-up is the
static decoder's cost over the mean.
"""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Bool, Float, Int

GRID = 512  # thresholds that are tried


class Reach(NamedTuple):
    """What a confidence reaches where a share of the tokens may disagree."""

    allowed: float  # disagreement on the half on which the threshold is chosen, at most
    threshold: float
    disagreement: float  # on the other half, as all that follows
    exit_count_E: tuple[int, ...]
    mean_depth: float


def exits_at(
    confidence_EN: Float[np.ndarray, "E N"], threshold: float
) -> Int[np.ndarray, " N"]:
    """The number of the first exit whose confidence is above the threshold; else the last.

    Args:
      confidence_EN: of each exit on each of N tokens.
      threshold: the same for all exits.

    Returns:
      An exit for each token.
    """
    stops_EN = confidence_EN > threshold
    stops_EN[-1] = True
    return stops_EN.argmax(0)


def reach(
    confidence_EN: Float[np.ndarray, "E N"],
    agrees_NE: Bool[np.ndarray, "N E"],
    depth_E: Int[np.ndarray, " E"],
    allowed: float,
) -> Reach:
    """The least mean depth of one threshold, and what it does on tokens that it has not seen.

    Args:
      confidence_EN: of each exit on each of N tokens.
      agrees_NE: where an exit's top token is the full model's.
      depth_E: blocks run at each exit.
      allowed: the share of tokens that may disagree, in [0, 1].

    Returns:
      The threshold that lets the first half of the tokens stop earliest with no more of them
      in disagreement, and what becomes of the second half. At 1 no token stops early.
    """
    exits, tokens = confidence_EN.shape
    chex.assert_shape(agrees_NE, (tokens, exits))
    chex.assert_shape(depth_E, (exits,))
    half = tokens // 2
    seen_EN, agree_NE = confidence_EN[:, :half], agrees_NE[:half]
    best = 1.0, float(depth_E[-1])
    for threshold in _grid(seen_EN):
        exit_N = exits_at(seen_EN, threshold)
        wrong, depth = _wrong(agree_NE, exit_N), float(depth_E[exit_N].mean())
        if wrong <= allowed and depth < best[1]:
            best = float(threshold), depth
    exit_N = exits_at(confidence_EN[:, half:], best[0])
    count_E = np.bincount(exit_N, minlength=exits)
    wrong, depth = _wrong(agrees_NE[half:], exit_N), float(depth_E[exit_N].mean())
    return Reach(allowed, best[0], wrong, tuple(count_E.tolist()), depth)


def _grid(confidence_EN: Float[np.ndarray, "E N"]) -> Float[np.ndarray, " G"]:
    """Thresholds between which as many confidences of early exits lie."""
    shares = np.linspace(0, 1, GRID)
    return np.unique(np.append(np.quantile(confidence_EN[:-1], shares, method="lower"), 0.0))


def _wrong(agrees_NE: Bool[np.ndarray, "N E"], exit_N: Int[np.ndarray, " N"]) -> float:
    return float(1 - agrees_NE[np.arange(len(exit_N)), exit_N].mean())


def predicted_speedup(
    exit_count_E: tuple[int, ...], cost_E: Float[np.ndarray, " E"], static: float
) -> float:
    """How much faster tokens come that stop so, one row at a time.

    Args:
      exit_count_E: tokens that stop at each exit.
      cost_E: of a token that stops at each, whatever it asked on the way included.
      static: of a token of the decoder without exits.

    Returns:
      static / mean cost; what later tokens make up for skipped blocks is not in it.
    """
    chex.assert_equal(len(exit_count_E), len(cost_E))
    return static / float(np.average(cost_E, weights=exit_count_E))
