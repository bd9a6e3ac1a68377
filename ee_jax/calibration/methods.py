"""The methods that walk down a grid of candidates, by the names that the command line knows.

Each says of every candidate whether it is accepted, from its losses alone; `choice` walks. Two
rules have a form in the literature that differs from the one that keeps its promise on any
losses; both stand here, each under its own name:

- `crc` judges each example's largest loss so far, so that its promise holds for any losses;
  `crc_paper` is conformal risk control to the letter, on the losses as they are.
- `empirical` stops before the first candidate that fails; `naive` goes on, and takes the lowest
  candidate that passes, whatever failed above it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.calibration import crc, ltt, ucb
from ee_jax.calibration.choice import last_accepted, lowest_accepted
from ee_jax.calibration.empirical import SLACK
from ee_jax.errors import UserError
from ee_jax.registry import Registry

HIGH_PROBABILITY = "P(risk > level) <= delta, over calibration sets"
IN_THE_MEAN = "mean risk <= level, over calibration sets and the next example"
NOTHING = "nothing"
MOST = 10**6  # examples that anybody might have

Risks = Float[np.ndarray, "K N"]
Accepted = Bool[np.ndarray, "..."]
Rows = Int[np.ndarray, " M"]
# Of means over n examples, which may have any leading axes: (mean, n, level, delta).
OfMeans = Callable[[Float[np.ndarray, "..."], int, float, float], Accepted]
# Of the losses themselves, in a random order: (risk_KN, level, delta).
OfLosses = Callable[[Risks, float, float], Accepted]
# The candidate taken on some examples, in this order, at several levels.
Walk = Callable[[Rows, Sequence[float]], Int[np.ndarray, " L"]]


@dataclass(frozen=True)
class Method:
    """What is promised, and which candidates are accepted for it; one of three says so.

    Attributes:
      promise: HIGH_PROBABILITY, IN_THE_MEAN or NOTHING.
      of_means: from mean losses.
      of_losses: from the losses, of one set of examples at one level.
      walks: from the losses, where many sets of examples and levels are faster together:
        (risk_KN, delta) to a Walk.
      rising: judges each example's largest loss so far, see `crc.rising`.
      monotone: promises nothing where an example's loss falls from a candidate to the next.
      anywhere: takes the lowest candidate that passes, not the one before the first failure.
      binary: needs losses of 0 or 1.
      source: where the rule is from.
    """

    promise: str
    of_means: OfMeans | None = None
    of_losses: OfLosses | None = None
    walks: Callable[[Risks, float], Walk] | None = None
    rising: bool = False
    monotone: bool = False
    anywhere: bool = False
    binary: bool = False
    source: str = ""

    @property
    def has_delta(self) -> bool:
        """True where the promise is of each calibration set, but for delta of them."""
        return self.promise == HIGH_PROBABILITY

    def prepare(self, risk_KN: Risks, low: float = 0.0) -> Risks:
        """The losses that the method judges, brought from [low, 1] to [0, 1].

        Raises:
          UserError: a loss is out of range, or neither 0 nor 1 where they must be.
        """
        if not (risk_KN.min() >= low and risk_KN.max() <= 1):
            found = f"from {risk_KN.min():g} to {risk_KN.max():g}"
            raise UserError(f"risks lie {found}: a risk must lie in [{low:g}, 1]")
        if self.binary and (low or not np.isin(risk_KN, (0, 1)).all()):
            raise UserError("clopper_pearson needs a risk of 0 or 1: use ltt for any other")
        risk_KN = to_unit(risk_KN, low) if low else risk_KN
        return crc.rising(risk_KN) if self.rising else risk_KN

    def last(self, ok_K: Accepted) -> Int[np.ndarray, "*S"]:
        """The candidate that is taken of those that pass."""
        return lowest_accepted(ok_K) if self.anywhere else last_accepted(ok_K)

    def walk(self, prepared_KN: Risks, delta: float) -> Walk:
        """The candidate that is taken on any of the examples, at any levels.

        Args:
          prepared_KN: what `prepare` returned.
          delta: the chance of more than the level.

        Returns:
          From numbers of examples, in an order that their losses did not choose, and levels to
          numbers of candidates; 0 is the full model.
        """
        if self.walks:
            return self.walks(prepared_KN, delta)

        def one(rows_M: Rows, level_L: Sequence[float]) -> Int[np.ndarray, " L"]:
            whole = self.of_means is not None and len(rows_M) == prepared_KN.shape[1]
            risk_KM = prepared_KN if whole else prepared_KN.take(rows_M, axis=1)
            return self.last(np.array([self.accepts(risk_KM, q, delta) for q in level_L]))

        return one

    def accepts(self, prepared_KN: Risks, level: float, delta: float) -> Accepted:
        """Which candidates pass; the full model always does where they are counted in a row."""
        candidates, n = prepared_KN.shape
        if self.walks:
            last = self.walks(prepared_KN, delta)(np.arange(n), [level])
            return np.arange(candidates) <= last
        if self.of_losses:
            return self.of_losses(prepared_KN, level, delta)
        assert self.of_means
        return self.of_means(prepared_KN.mean(1), n, level, delta)

    def suffice(self, examples: int, level: float, delta: float, loss: float = 0.0) -> bool:
        """Whether a candidate passes that costs every one of so many examples this `loss`."""
        return bool(self.accepts(np.full((2, examples), loss), level, delta)[1])

    def fewest_examples(self, level: float, delta: float, loss: float = 0.0) -> int | None:
        """With how many examples such a candidate passes; None beyond `MOST`."""
        low, high = 0, 1
        while not self.suffice(high, level, delta, loss):
            low, high = high, 2 * high
            if high > MOST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            passes = self.suffice(middle, level, delta, loss)
            low, high = (low, middle) if passes else (middle, high)
        return high


def to_unit(value: Float[np.ndarray, "..."] | float, low: float) -> Float[np.ndarray, "..."]:
    """From [low, 1] to [0, 1], for risks and levels alike.

    A mean lies at most at the level where both so moved do: what is proved of losses in [0, 1]
    is proved of these.
    """
    return np.asarray((np.asarray(value, float) - low) / (1 - low))


def _test(p_value: Callable[..., Float[np.ndarray, "..."]]) -> OfMeans:
    return lambda mean, n, level, delta: p_value(mean, n, level) <= delta


def _below(mean: Float[np.ndarray, "..."], n: int, level: float, delta: float) -> Accepted:
    return mean <= level + SLACK


def _crc(mean: Float[np.ndarray, "..."], n: int, level: float, delta: float) -> Accepted:
    return crc.accepts(mean, n, level)


LTT = "Angelopoulos et al. 2021, Learn then Test"
METHODS: Registry[Method] = Registry(
    "method",
    empirical=Method(NOTHING, _below, source="the walk of Schuster et al. 2022 without a test"),
    naive=Method(
        NOTHING, _below, anywhere=True, source="Jazbec et al. 2024, the naive threshold"
    ),
    ltt=Method(
        HIGH_PROBABILITY,
        _test(ltt.hoeffding_bentkus),
        source=f"{LTT}, with the p-values of Hoeffding and Bentkus",
    ),
    ltt_hoeffding=Method(
        HIGH_PROBABILITY, _test(ltt.hoeffding), source=f"{LTT}, with Hoeffding's p-values"
    ),
    clopper_pearson=Method(
        HIGH_PROBABILITY,
        _test(ltt.binomial),
        binary=True,
        source=f"{LTT}, with Clopper and Pearson's exact test of 1934",
    ),
    ucb=Method(
        HIGH_PROBABILITY,
        walks=ucb.Walk,
        source="Waudby-Smith and Ramdas 2023, the betting bound, as in Bates et al. 2021",
    ),
    crc=Method(
        IN_THE_MEAN,
        _crc,
        rising=True,
        source="Angelopoulos et al. 2022, conformal risk control, on each example's largest "
        "loss so far",
    ),
    crc_paper=Method(
        IN_THE_MEAN,
        _crc,
        monotone=True,
        anywhere=True,
        source="Angelopoulos et al. 2022, conformal risk control, eq. 4, on losses as they are",
    ),
)
