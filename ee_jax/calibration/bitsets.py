"""Many candidates on many examples at once: sets of examples, a bit an example.

Who stops where is a set for each candidate and exit. Depths and risks of few values are means
of counts, and a compiled program counts many examples by one instruction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real, UInt8, UInt32

from ee_jax.calibration.choice import exits_taken
from ee_jax.calibration.descent import Means
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import PLAIN, Stopping, begin, decide, make_limits

Words = UInt32[np.ndarray, "..."]
Rows = Int[np.ndarray, " M"]

PLANES = 8  # values of a risk that are counted each on its own
WORDS = 2**19  # that are worked on together, so that they stay in a core's cache


def pack(member_N: Bool[np.ndarray, "*J N"]) -> Words:
    """Sets as words of 32 examples; what is beyond the last example is in no set.

    Args:
      member_N: which examples are in each set.

    Returns:
      Words; the last axis holds a set.
    """
    *sets, examples = member_N.shape
    byte_B = np.zeros((*sets, 4 * -(-examples // 32)), np.uint8)
    byte_B[..., : -(-examples // 8)] = np.packbits(member_N, axis=-1)
    return byte_B.view(np.uint32)


def count(word_W: Words) -> Int[np.ndarray, "..."]:
    """How many examples are in each set."""
    return np.asarray(np.bitwise_count(word_W).sum(-1, dtype=np.int64))


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

    def means(
        self,
        sure_EGW: Words,
        place_JE: Int[np.ndarray, "J E"],
        among_W: Words | None = None,
    ) -> Means:
        """Mean risk and mean depth, where an example stops at the first exit that has it.

        Args:
          sure_EGW: sets of who may stop at each exit; the last exit has everybody.
          place_JE: the number of each candidate's set, at each exit.
          among_W: the examples that count; all, if not given.

        Returns:
          Two means for each candidate.
        """
        if among_W is None:
            among_W = pack(np.ones(self.examples, bool))
        # Few sizes, since each is compiled.
        candidates, most = len(place_JE), max(1, WORDS // (len(sure_EGW) * len(among_W)))
        some = min(most, 1 << (candidates - 1).bit_length())
        padded_JE = np.pad(place_JE, ((0, -candidates % some), (0, 0)))
        sure_EJW, found = np.empty((len(sure_EGW), some, len(among_W)), np.uint32), []
        for start in range(0, candidates, some):
            place_EJ = padded_JE[start : start + some].T
            for sure_GW, place_J, sure_JW in zip(sure_EGW, place_EJ, sure_EJW, strict=True):
                sure_GW.take(place_J, axis=0, out=sure_JW, mode="clip")
            found.append(self._totals(sure_EJW, among_W))
        risk_J, depth_J = (np.concatenate(column) for column in zip(*found, strict=True))
        examples = count(among_W)
        return risk_J[:candidates] / examples, depth_J[:candidates] / examples

    def _totals(self, sure_EJW: Words, among_W: Words) -> Means:
        depth_J, count_VJ = map(
            np.asarray, _counts(sure_EJW, among_W, self.plane_VEW, np.diff(self.depth_E))
        )
        depth_J = depth_J + float(self.depth_E[0]) * count(among_W)
        if self.value_V is None:
            return self._risk_of_many_values(np.array(_stops(sure_EJW, among_W))), depth_J
        risk_J = np.zeros(len(depth_J))
        for value, count_J in zip(self.value_V, count_VJ, strict=True):
            risk_J += value * count_J
        return risk_J, depth_J

    def _risk_of_many_values(self, stops_EJW: Words) -> Float[np.ndarray, " J"]:
        risk_J = np.zeros(stops_EJW.shape[1])
        for stops_JW, risk_N in zip(stops_EJW, self.risk_EN, strict=True):
            bit_JN = np.unpackbits(stops_JW.view(np.uint8), axis=-1, count=self.examples)
            risk_J += bit_JN.astype(float) @ risk_N
        return risk_J


def _stops_in_turn(sure_EJW: Array, among_W: Array) -> list[Array]:
    left_JW, found = jnp.broadcast_to(among_W[None], sure_EJW.shape[1:]), []
    for sure_JW in sure_EJW[:-1]:
        found.append(sure_JW & left_JW)
        left_JW &= ~sure_JW
    return [*found, left_JW]


@jax.jit
def _stops(sure_EJW: UInt32[Array, "E J W"], among_W: UInt32[Array, " W"]) -> Array:
    """Who stops at each exit."""
    return jnp.stack(_stops_in_turn(sure_EJW, among_W))


@jax.jit
def _counts(
    sure_EJW: UInt32[Array, "E J W"],
    among_W: UInt32[Array, " W"],
    plane_VEW: UInt32[Array, "V E W"],
    blocks_E: Int[Array, " E-1"],
) -> tuple[Int[Array, " J"], Int[Array, "V J"]]:
    """Blocks that all examples run below the first exit, and how many have each risk."""
    stops, ran_JW = _stops_in_turn(sure_EJW, among_W), jnp.zeros(sure_EJW.shape[1:], jnp.int32)
    left_JW = jnp.broadcast_to(among_W[None], ran_JW.shape)
    for stops_JW, blocks in zip(stops[:-1], blocks_E, strict=True):
        left_JW ^= stops_JW
        ran_JW += blocks * lax.population_count(left_JW).astype(jnp.int32)
    counts = []
    for plane_EW in plane_VEW:
        at_J = [
            stops_JW & plane_W[None] for stops_JW, plane_W in zip(stops, plane_EW, strict=True)
        ]
        counts.append(
            lax.population_count(reduce(jnp.bitwise_or, at_J)).astype(jnp.int32).sum(-1)
        )
    count_VJ = jnp.stack(counts) if counts else jnp.zeros((0, len(ran_JW)), jnp.int32)
    return ran_JW.sum(-1), count_VJ


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

    @property
    def exits(self) -> int:
        """E."""
        return len(self.risk_EN)

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

    def measure(
        self,
        threshold_JE: Float[np.ndarray, "J E"],
        among_N: Bool[np.ndarray, " N"] | None = None,
    ) -> Means:
        """Mean risks and mean depths.

        Args:
          threshold_JE: candidates; every threshold is of the list.
          among_N: the examples that count; all, if not given.
        """
        if self.place_EN is None:
            some = self if among_N is None else self.take(among_N.nonzero()[0])
            depth_JN = self.trace.depth_E[some._exits(threshold_JE)]
            return some.risks(threshold_JE).mean(1), depth_JN.mean(1)
        among_W = None if among_N is None else pack(among_N)
        return self._counter.means(self._sure_EGW, self._places(threshold_JE), among_W)

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
