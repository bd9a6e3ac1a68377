"""Conformal risk control (Angelopoulos et al. 2022): the mean risk of the next example.

    E[risk of the chosen threshold on example n + 1] <= level,

the mean taken over calibration sets and the next example together, all exchangeable. It
promises nothing of any one calibration set: about half may come out above the level.

The proof needs losses that rise as the threshold falls, example by example. An early exit may
be right where a later one is wrong, so theirs do not; `rising` makes them, and what holds of
the larger losses holds of the true ones. The method `crc` judges those; `crc_paper` judges the
losses as they are, and promises something only where they rise by themselves.

The condition stays the same if losses and level are moved alike from [low, 1] to [0, 1], so it
holds for a signed loss too: the proof asks for an upper bound alone.
"""

import numpy as np
from jaxtyping import Bool, Float

# (n + 1) level - 1 should be 0 at n = 19 and level 0.05, and is 2e-16.
ROUNDING = 1e-9


def rising(risk_KN: Float[np.ndarray, "K N"]) -> Float[np.ndarray, "K N"]:
    """The largest loss of an example at this candidate or any before it.

    Args:
      risk_KN: of each example at candidates from the full model down.

    Returns:
      Risks that rise from candidate to candidate.
    """
    return np.maximum.accumulate(risk_KN, axis=0)


def accepts(mean: Float[np.ndarray, "..."], n: int, level: float) -> Bool[np.ndarray, "..."]:
    """n / (n + 1) mean + 1 / (n + 1) <= level, of means of `rising` losses in [0, 1].

    The 1 stands for the next example's loss at its worst.

    Args:
      mean: of the risks of n examples.
      n: how many examples.
      level: the risk allowed.

    Returns:
      Which candidates pass.
    """
    return np.asarray(n * np.asarray(mean) + 1 <= (n + 1) * level + ROUNDING)
