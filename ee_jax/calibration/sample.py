"""Examples of a trace on which candidates are measured, by counting who stops where."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real, UInt8

from ee_jax.calibration.bitsets import Counter, Words, pack
from ee_jax.calibration.choice import at_exits, exits_taken
from ee_jax.calibration.descent import Means
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import PLAIN, Stopping, begin, decide, make_limits

Rows = Int[np.ndarray, " M"]


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
        place_JE = np.repeat(np.arange(len(threshold_JE))[:, None], exits, axis=1)
        return self._counter.means(np.stack(sure_EJW), place_JE, pack(among_N))

    def _by_rule(self, threshold_J: np.ndarray, among_N: Bool[np.ndarray, " N"]) -> Means:
        exit_JN = exits_taken(self._trace, threshold_J, self._stopping)[:, among_N]
        risk_JN = at_exits(self._risk_NE[among_N], exit_JN)
        return risk_JN.mean(1), self._trace.depth_E[exit_JN].mean(1)
