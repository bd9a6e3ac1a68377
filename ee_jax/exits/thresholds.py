"""The papers' parameters as our thresholds: the same examples stop at the same exits.

We stop where confidence > threshold. A threshold of 1 never stops.
"""

import math


def entropy_threshold(nats: float, classes: int) -> float:
    """For `entropy`: DeeBERT's S (Xin et al. 2020), which stops where the entropy H < S nats.

    H < S exactly where 1 - H / log C > 1 - S / log C. An S above log C stops all but the even
    distribution, as a threshold lies in [0, 1].

    Args:
      nats: S.
      classes: C.

    Returns:
      A threshold in [0, 1].
    """
    return speed_threshold(nats / math.log(classes))


def speed_threshold(speed: float) -> float:
    """For `entropy`: FastBERT's (Liu et al. 2020), which stops where H / log C < speed.

    Args:
      speed: the paper's, in [0, 1]; higher is faster.

    Returns:
      A threshold in [0, 1].
    """
    return max(0.0, 1.0 - speed)


def uncertainty_threshold(uncertainty: float) -> float:
    """For `learned`: BERxiT's (Xin et al. 2021), which stops where its LTE's u < threshold.

    Our score is 1 - u.

    Args:
      uncertainty: the LTE's threshold, in [0, 1].

    Returns:
      A threshold in [0, 1].
    """
    return 1.0 - uncertainty


def patience_threshold(patience: int, exits: int) -> float:
    """For `patience`: PABEE's t >= 1 (Zhou et al. 2020), which stops when the streak is t.

    Between the confidences of t - 1 and t, (t - 1) / E and t / E.

    Args:
      patience: t.
      exits: E, the number of exits.

    Returns:
      A threshold in [0, 1].
    """
    assert patience >= 1, patience
    return min((patience - 0.5) / exits, 1.0)
