"""The methods that walk down a grid of candidates, by the names that the command line knows.

Each says of every candidate whether it is accepted, from its losses alone; `choice` walks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ee_jax.calibration import crc, ltt, ucb
from ee_jax.calibration.empirical import SLACK
from ee_jax.errors import UserError
from ee_jax.registry import Registry

HIGH_PROBABILITY = "P(risk > level) <= delta, over calibration sets"
IN_THE_MEAN = "mean risk <= level, over calibration sets and the next example"
MOST = 10**6  # examples that anybody might have

Risks = Float[np.ndarray, "K N"]
Accepted = Bool[np.ndarray, "..."]
# Of means over n examples, which may have any leading axes: (mean, n, level, delta).
OfMeans = Callable[[Float[np.ndarray, "..."], int, float, float], Accepted]
# Of the losses themselves, in a random order: (risk_KN, level, delta).
OfLosses = Callable[[Risks, float, float], Accepted]


@dataclass(frozen=True)
class Method:
    """What is promised, and which candidates are accepted for it."""

    promise: str
    of_means: OfMeans | None = None
    of_losses: OfLosses | None = None
    rising: bool = False  # judges each example's largest loss so far, see `crc.rising`
    binary: bool = False  # needs losses of 0 or 1

    @property
    def has_delta(self) -> bool:
        """True where the promise is of each calibration set, but for delta of them."""
        return self.promise == HIGH_PROBABILITY

    def prepare(self, risk_KN: Risks) -> Risks:
        """The losses that the method judges."""
        if self.binary and not np.isin(risk_KN, (0, 1)).all():
            raise UserError("clopper_pearson needs a risk of 0 or 1: use ltt for one between")
        return crc.rising(risk_KN) if self.rising else risk_KN

    def accepts(self, prepared_KN: Risks, level: float, delta: float) -> Accepted:
        """Which candidates pass."""
        if self.of_losses:
            return self.of_losses(prepared_KN, level, delta)
        assert self.of_means
        return self.of_means(prepared_KN.mean(1), prepared_KN.shape[1], level, delta)

    def fewest_examples(self, level: float, delta: float) -> int | None:
        """With how many examples a candidate without any loss passes; None beyond `MOST`."""
        low, high = 0, 1
        while not self.accepts(np.zeros((1, high)), level, delta).all():
            low, high = high, 2 * high
            if high > MOST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            passes = self.accepts(np.zeros((1, middle)), level, delta).all()
            low, high = (low, middle) if passes else (middle, high)
        return high


def _test(p_value: Callable[..., Float[np.ndarray, "..."]]) -> OfMeans:
    return lambda mean, n, level, delta: p_value(mean, n, level) <= delta


METHODS: Registry[Method] = Registry(
    "method",
    empirical=Method("nothing", lambda mean, n, level, delta: mean <= level + SLACK),
    ltt=Method(HIGH_PROBABILITY, _test(ltt.hoeffding_bentkus)),
    ltt_hoeffding=Method(HIGH_PROBABILITY, _test(ltt.hoeffding)),
    clopper_pearson=Method(HIGH_PROBABILITY, _test(ltt.binomial), binary=True),
    ucb=Method(HIGH_PROBABILITY, of_losses=ucb.accepts),
    crc=Method(
        IN_THE_MEAN, lambda mean, n, level, delta: crc.accepts(mean, n, level), rising=True
    ),
)
