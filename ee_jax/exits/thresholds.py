"""The papers' parameters as our thresholds: the same examples stop at the same exits.

We stop where confidence > threshold. A threshold of 1 never stops.
"""

import math

import numpy as np


def entropy_threshold(nats: float, classes: int) -> float:
    """For `entropy`: DeeBERT's S (Xin et al. 2020), which stops where the entropy H < S nats.

    H < S exactly where 1 - H / log C > 1 - S / log C. An S above log C stops all but the even
    distribution, as a threshold lies in [0, 1].
    """
    return speed_threshold(nats / math.log(classes))


def speed_threshold(speed: float) -> float:
    """For `entropy`: FastBERT's (Liu et al. 2020), which stops where H / log C < speed."""
    return max(0.0, 1.0 - speed)


def uncertainty_threshold(uncertainty: float) -> float:
    """For `learned`: BERxiT's (Xin et al. 2021), which stops where its LTE's u < threshold.

    Our score is 1 - u.
    """
    return 1.0 - uncertainty


def patience_threshold(patience: int, exits: int) -> float:
    """For `patience`: PABEE's t >= 1 (Zhou et al. 2020), which stops when the streak is t."""
    return counted_threshold(patience, exits)


def votes_threshold(votes: int, exits: int) -> float:
    """For `voting`: stops when an exit's answer has so many votes, its own among them."""
    return counted_threshold(votes, exits)


def counted_threshold(count: int, exits: int) -> float:
    """Between the confidences of count - 1 and count, (count - 1) / E and count / E."""
    assert count >= 1, count
    return min((count - 0.5) / exits, 1.0)


def probability_threshold(probability: float) -> float:
    """For `max_prob`: EE-LLM's (Chen et al. 2024), which stops where log p >= log(threshold).

    It stops at the threshold too, we only above it: the next smaller number in fp32. Its
    threshold of 1, which stops where p rounds to 1, becomes ours, which never stops.
    """
    if probability >= 1.0:
        return 1.0
    return float(np.nextafter(np.float32(probability), np.float32(0)))
