"""Many candidates on many examples at once: sets of examples, a bit an example.

Who stops where is a set for each candidate and exit. Depths and risks of few values are means
of counts, and 64 examples are counted by one instruction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real, UInt8, UInt64

from ee_jax.calibration.choice import at_exits, exits_taken
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import PLAIN, Stopping, begin, decide, make_limits

Words = UInt64[np.ndarray, "..."]
Rows = Int[np.ndarray, " M"]
Means = tuple[Float[np.ndarray, " J"], Float[np.ndarray, " J"]]

PLANES = 8  # values of a risk that are counted each on its own
WORDS = 2**16  # that are worked on together, so that they stay in a core's cache


def pack(member_N: Bool[np.ndarray, "*J N"]) -> Words:
    """Sets as words of 64 examples; what is beyond the last example is in no set.

    Args:
      member_N: which examples are in each set.

    Returns:
      Words; the last axis holds a set.
    """
    *sets, examples = member_N.shape
    byte_B = np.zeros((*sets, 8 * -(-examples // 64)), np.uint8)
    byte_B[..., : -(-examples // 8)] = np.packbits(member_N, axis=-1)
    return byte_B.view(np.uint64)


def count(word_W: Words) -> Int[np.ndarray, "..."]:
    """How many examples are in each set."""
    return np.asarray(np.bitwise_count(word_W).sum(-1, dtype=np.int64))


def may_stop(trace: Trace, stopping: Stopping) -> Bool[np.ndarray, "E N"] | None:
    """Where an example may stop if it is confident, and the last exit, where it must.

    None for an exit rule of one's own, which may say something else at each threshold.
    """
    if stopping.rule != PLAIN.rule:
        return None
    prediction_NE = trace.prediction_NE if stopping.patience else None
    if prediction_NE is None:
        prediction_NE = np.zeros(trace.confidence_NE.shape, np.int32)
    layers = tuple(trace.depth_E.tolist())
    may_EN = np.array(_may_stop(jnp.asarray(prediction_NE.T), layers, stopping))
    may_EN[-1] = True
    return may_EN


def _may_stop_at(
    prediction_EN: Real[Array, "E N"], exit_layers: tuple[int, ...], stopping: Stopping
) -> Bool[Array, "E N"]:
    limits, progress = make_limits(-1.0, exit_layers), begin(stopping, prediction_EN[0])
    sure_N, may = jnp.zeros(prediction_EN.shape[1]), []
    for exit, prediction_N in enumerate(prediction_EN):
        stop_N, progress = decide(
            stopping, limits, jnp.asarray(exit), sure_N, prediction_N, progress
        )
        may.append(stop_N)
    return jnp.stack(may)


_may_stop: Callable[..., Array] = jax.jit(_may_stop_at, static_argnums=(1, 2))


@dataclass(frozen=True)
class Counter:
    """Mean risk and mean depth of candidates, from who is confident enough where."""

    examples: int
    depth_E: Int[np.ndarray, " E"]
    value_V: Float[np.ndarray, " V"] | None  # risks other than 0; None: too many to count
    plane_VEW: Words  # where the risk is each of them
    risk_EN: Float[np.ndarray, "E N"]

    @classmethod
    def of(cls, risk_EN: Float[np.ndarray, "E N"], depth_E: Int[np.ndarray, " E"]) -> "Counter":
        """Counts these examples' risks."""
        value_V = np.unique(risk_EN)
        value_V = value_V[value_V != 0]
        few = len(value_V) <= PLANES
        plane_VEW = pack(risk_EN == (value_V if few else value_V[:0])[:, None, None])
        return cls(risk_EN.shape[1], depth_E, value_V if few else None, plane_VEW, risk_EN)

    def means(self, sure_EJW: Words, among_W: Words | None = None) -> Means:
        """Mean risk and mean depth, where an example stops at the first exit that has it.

        Args:
          sure_EJW: who may stop at each exit, of each candidate; the last exit has everybody.
          among_W: the examples that count; all, if not given.

        Returns:
          Two means for each candidate.
        """
        _, candidates, words = sure_EJW.shape
        some = max(1, WORDS // (len(sure_EJW) * words))
        found = [
            self._totals(sure_EJW[:, start : start + some], among_W)
            for start in range(0, candidates, some)
        ]
        examples = self.examples if among_W is None else count(among_W)
        risk_J, depth_J = (np.concatenate(column) for column in zip(*found, strict=True))
        return risk_J / examples, depth_J / examples

    def _totals(self, sure_EJW: Words, among_W: Words | None) -> Means:
        left_JW, stops_EJW = np.empty_like(sure_EJW[0]), np.empty_like(sure_EJW)
        left_JW[:] = ~np.uint64(0) if among_W is None else among_W
        for sure_JW, stops_JW in zip(sure_EJW, stops_EJW, strict=True):
            np.bitwise_and(sure_JW, left_JW, out=stops_JW)
            left_JW ^= stops_JW
        depth_J = self.depth_E.astype(float) @ count(stops_EJW)
        if self.value_V is None:
            return self._risk_of_many_values(stops_EJW), depth_J
        risk_J = np.zeros(sure_EJW.shape[1])
        for value, plane_EW in zip(self.value_V, self.plane_VEW, strict=True):
            bad_EJW = np.bitwise_and(stops_EJW, plane_EW[:, None], out=sure_EJW)
            risk_J += value * count(bad_EJW).sum(0)
        return risk_J, depth_J

    def _risk_of_many_values(self, stops_EJW: Words) -> Float[np.ndarray, " J"]:
        risk_J = np.zeros(stops_EJW.shape[1])
        for stops_JW, risk_N in zip(stops_EJW, self.risk_EN, strict=True):
            bit_JN = np.unpackbits(stops_JW.view(np.uint8), axis=-1, count=self.examples)
            risk_J += bit_JN.astype(float) @ risk_N
        return risk_J


@dataclass(frozen=True)
class Sample:
    """Examples on which candidates are measured whose thresholds are all of one list."""

    trace: Trace
    risk_EN: Float[np.ndarray, "E N"]
    threshold_G: Float[np.ndarray, " G"]  # that list, falling
    stopping: Stopping
    place_EN: UInt8[np.ndarray, "E N"] | None  # of the first at which each would stop; else G

    @classmethod
    def of(
        cls,
        trace: Trace,
        risk_NE: Float[np.ndarray, "N E"],
        threshold_G: Float[np.ndarray, " G"],
        stopping: Stopping = PLAIN,
    ) -> "Sample":
        """All of a trace's examples, by this risk."""
        may_EN, place_EN = may_stop(trace, stopping), None
        if may_EN is not None:
            rising_G = threshold_G[::-1].astype(np.float32)
            below_EN = np.searchsorted(rising_G, trace.confidence_NE.T, side="left")
            place_EN = (len(rising_G) - np.where(may_EN, below_EN, 0)).astype(np.uint8)
            place_EN[-1] = 0  # the last exit has everybody
        return cls(trace, np.ascontiguousarray(risk_NE.T), threshold_G, stopping, place_EN)

    @property
    def examples(self) -> int:
        """N."""
        return self.risk_EN.shape[1]

    def take(self, rows_M: Rows) -> "Sample":
        """Some of the examples."""
        place_EN = None if self.place_EN is None else self.place_EN.take(rows_M, axis=1)
        trace = self.trace if place_EN is not None else self.trace.take(rows_M)
        risk_EN = self.risk_EN.take(rows_M, axis=1)
        return replace(self, trace=trace, risk_EN=risk_EN, place_EN=place_EN)

    @cached_property
    def _sure_EGW(self) -> Words:
        """Who may stop at each exit, at each threshold of the list."""
        assert self.place_EN is not None
        place_G = np.arange(len(self.threshold_G), dtype=np.uint8)
        return pack(self.place_EN[:, None] <= place_G[:, None])

    @cached_property
    def _counter(self) -> Counter:
        return Counter.of(self.risk_EN, self.trace.depth_E)

    def _places(self, threshold_JE: Float[np.ndarray, "J E"]) -> Int[np.ndarray, "J E"]:
        last = len(self.threshold_G) - 1
        return last - np.searchsorted(self.threshold_G[::-1], threshold_JE)

    def measure(self, threshold_JE: Float[np.ndarray, "J E"]) -> Means:
        """Mean risks and mean depths.

        Args:
          threshold_JE: candidates; every threshold is of the list.
        """
        if self.place_EN is None:
            depth_JN = self.trace.depth_E[self._exits(threshold_JE)]
            return self.risks(threshold_JE).mean(1), depth_JN.mean(1)
        exit_E1 = np.arange(threshold_JE.shape[1])[:, None]
        return self._counter.means(self._sure_EGW[exit_E1, self._places(threshold_JE).T])

    def risks(self, threshold_JE: Float[np.ndarray, "J E"]) -> Float[np.ndarray, "J N"]:
        """The risk of each example at each candidate."""
        exit_JN = self._exits(threshold_JE)
        return self.risk_EN.take(exit_JN * self.examples + np.arange(self.examples))

    def _exits(self, threshold_JE: Float[np.ndarray, "J E"]) -> Int[np.ndarray, "J N"]:
        """Where each example stops: the smallest number of an exit that lets it."""
        if self.place_EN is None:
            return exits_taken(self.trace, threshold_JE, self.stopping)
        last, place_JE = len(self.place_EN) - 1, self._places(threshold_JE).astype(np.uint8)
        exit_JN = np.full((len(place_JE), self.examples), last, np.uint8)
        for row_N, place_E in zip(exit_JN, place_JE, strict=True):
            for exit, place_N in enumerate(self.place_EN[:-1]):
                later_N = (place_N > place_E[exit]).view(np.uint8)
                np.minimum(row_N, exit + (last - exit) * later_N, out=row_N)
        return exit_JN.astype(np.intp)


class ThresholdEvaluator:
    """Mean risk and depth of any thresholds on some of a trace's examples."""

    def __init__(
        self, trace: Trace, risk_NE: Float[np.ndarray, "N E"], stopping: Stopping = PLAIN
    ):
        """Judges by this risk.

        Args:
          trace: what every exit said.
          risk_NE: what an answer costs.
          stopping: exit rule, least depth and patience.
        """
        self._trace, self._stopping, self._risk_NE = trace, stopping, risk_NE
        self._may_EN = may_stop(trace, stopping)
        self._confidence_EN = np.ascontiguousarray(trace.confidence_NE.T)
        self._counter = Counter.of(np.ascontiguousarray(risk_NE.T), trace.depth_E)

    def __call__(
        self, threshold_J: Float[np.ndarray, " J *E"], among_N: Bool[np.ndarray, " N"]
    ) -> Means:
        """Two means for each of the thresholds.

        Args:
          threshold_J: of all exits, or [J, E] of each.
          among_N: the examples that count.
        """
        if self._may_EN is None:
            return self._by_rule(threshold_J, among_N)
        exits = len(self._confidence_EN)
        threshold_JE = np.asarray(threshold_J, np.float32).reshape(len(threshold_J), -1)
        threshold_JE = np.broadcast_to(threshold_JE, (len(threshold_J), exits)).copy()
        threshold_JE[:, -1] = -1  # the last exit has everybody
        sure_EJW = [
            pack((confidence_N > threshold_J[:, None]) & may_N)
            for confidence_N, threshold_J, may_N in zip(
                self._confidence_EN, threshold_JE.T, self._may_EN, strict=True
            )
        ]
        return self._counter.means(np.stack(sure_EJW), pack(among_N))

    def _by_rule(self, threshold_J: np.ndarray, among_N: Bool[np.ndarray, " N"]) -> Means:
        exit_JN = exits_taken(self._trace, threshold_J, self._stopping)[:, among_N]
        risk_JN = at_exits(self._risk_NE[among_N], exit_JN)
        return risk_JN.mean(1), self._trace.depth_E[exit_JN].mean(1)
