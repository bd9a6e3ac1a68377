"""Walks down a grid of thresholds, exit by exit, by sums that each step only corrects.

Where a threshold falls by a step, those examples stop that would from there on and have not
stopped before. What a step at each exit would change is kept as a sum over such examples, for
every exit and place of the grid; as an example moves, its share of its own cells is corrected.
It moves at most once an exit, so a whole walk costs what its moves do, not a count of all
examples at each step. Walks go side by side, each on as many examples of its own.
"""

import numpy as np
from jaxtyping import Float, Int, Real, UInt8

Means = tuple[Float[np.ndarray, " J"], Float[np.ndarray, " J"]]
# What a step down at each exit but the last adds to the mean risk, and saves of the mean depth.
Changes = tuple[Float[np.ndarray, "S X"], Float[np.ndarray, "S X"]]


class Descent:
    """S walks over X = E - 1 exits; the last has no threshold.

    Risks are rounded to multiples of a power of two so small that sums of them are exact: what
    is added and taken away again leaves nothing, and a step without effect is exactly free.
    """

    def __init__(
        self,
        place_SEN: UInt8[np.ndarray, "S E N"],
        risk_SEN: Float[np.ndarray, "S E N"],
        depth_E: Int[np.ndarray, " E"],
        places: int,
    ):
        """Begins at the top of the grid.

        Args:
          place_SEN: the first place of the grid at which each example stops at each exit;
            `places` where it never does.
          risk_SEN: what stopping there costs.
          depth_E: blocks of each exit.
          places: of the grid.
        """
        walks, exits, self._examples = place_SEN.shape
        self._exit_X, self._places = np.arange(exits - 1), places
        self._first_SX = np.arange(walks * (exits - 1)).reshape(walks, -1) * (places + 1)
        place_SXN, first_S11 = place_SEN[:, :-1], np.arange(walks)[:, None, None]
        # M = S N examples of all walks in a row; and in the order in which they may stop.
        self._cell_MX = self._in_a_row(place_SXN + self._first_SX[:, :, None])
        self._order_SXN = place_SXN.argsort(-1, kind="stable") + first_S11 * self._examples
        in_cell_SXG = np.bincount(self._cell_MX.ravel(), minlength=self._cells)
        end_SXG = in_cell_SXG.reshape(walks, exits - 1, places + 1).cumsum(-1)
        self._end_SXG = np.pad(end_SXG, ((0, 0), (0, 0), (1, 0)))
        unit = 2.0 ** (self._examples.bit_length() - 52)
        self._risk_ME = (self._in_a_row(risk_SEN) / unit).round() * unit
        self._depth_E = depth_E.astype(float)
        self._begin()

    def _in_a_row(self, value_SEN: Real[np.ndarray, "S E N"]) -> Real[np.ndarray, "M E"]:
        walks, exits, examples = value_SEN.shape
        return value_SEN.transpose(0, 2, 1).reshape(walks * examples, exits)

    @property
    def _cells(self) -> int:
        return self._first_SX.size * (self._places + 1)

    def _begin(self) -> None:
        """From the last exit, where all examples run to, down to the top of the grid."""
        walks, last = self._first_SX.shape
        self._exit_M, self._now_M = (
            np.full(len(self._risk_ME), last),
            self._risk_ME[:, -1].copy(),
        )
        self._risk_S = self._now_M.reshape(walks, -1).sum(1)
        self._depth_S = np.full(walks, self._depth_E[-1] * self._examples)
        less_MX = np.broadcast_to(self._depth_E[-1] - self._depth_E[:-1], self._cell_MX.shape)
        self._saved_C = self._sums(self._cell_MX, less_MX)
        more_MX = self._risk_ME[:, :-1] - self._now_M[:, None]
        self._added_C = self._sums(self._cell_MX, more_MX)
        self._at_SX = np.full((walks, last), -1)
        for exit in range(last):
            self._lower(np.full(walks, exit))

    def __call__(self, at_SE: Int[np.ndarray, "S E"]) -> Changes:
        """What a step down at each exit would change; nan where there is none.

        Args:
          at_SE: the places of each walk: the top of the grid, or one step, at one exit, from
            those of the call before.
        """
        down_SX = at_SE[:, :-1] > self._at_SX
        if down_SX.any():
            self._lower(down_SX.argmax(1))
        end_SX, next_SX = self._at_SX == self._places - 1, self._first_SX + self._at_SX + 1
        # The difference of means, as they would be measured, and not the mean difference.
        risk_S1, depth_S1 = self._risk_S[:, None], self._depth_S[:, None]
        risk_SX, depth_SX = risk_S1 + self._added_C[next_SX], depth_S1 - self._saved_C[next_SX]
        n = self._examples
        added_SX, saved_SX = risk_SX / n - risk_S1 / n, depth_S1 / n - depth_SX / n
        added_SX[end_SX] = saved_SX[end_SX] = np.nan
        return added_SX, saved_SX

    def _lower(self, exit_S: Int[np.ndarray, " S"]) -> None:
        """A step down at an exit of each walk: who runs deeper and would stop there does."""
        walk_S = np.arange(len(exit_S))
        self._at_SX[walk_S, exit_S] += 1
        at_S = self._at_SX[walk_S, exit_S]
        cell_S = self._first_SX[walk_S, exit_S] + at_S
        self._risk_S += self._added_C[cell_S]
        self._depth_S -= self._saved_C[cell_S]
        bounds = zip(
            self._order_SXN[walk_S, exit_S],
            self._end_SXG[walk_S, exit_S, at_S],
            self._end_SXG[walk_S, exit_S, at_S + 1],
            strict=True,
        )
        rows = [order_N[start:end] for order_N, start, end in bounds]
        row_M, exit_M = np.concatenate(rows), exit_S.repeat([len(row_M) for row_M in rows])
        deeper_M = self._exit_M.take(row_M) > exit_M
        self._move(row_M[deeper_M], exit_M[deeper_M])

    def _move(self, row_M: Int[np.ndarray, " M"], exit_M: Int[np.ndarray, " M"]) -> None:
        """These examples now stop at these exits, which changes what all steps do to them.

        A step to an exit above the old one would have brought them there from the old one; now
        it does so from the new one, or not at all if it lies below that.
        """
        from_M, now_M = self._exit_M.take(row_M), self._now_M.take(row_M)
        cell_MX, risk_ME = self._cell_MX.take(row_M, axis=0), self._risk_ME.take(row_M, axis=0)
        above_MX, exit_M1 = self._exit_X < from_M[:, None], exit_M[:, None]
        to_M = risk_ME.ravel().take(np.arange(len(row_M)) * risk_ME.shape[1] + exit_M)
        to_MX = np.where(self._exit_X < exit_M1, to_M[:, None], risk_ME[:, :-1])
        self._added_C += self._sums(cell_MX, (now_M[:, None] - to_MX) * above_MX)
        to_MX = self._depth_E[np.maximum(self._exit_X, exit_M1)]
        self._saved_C -= self._sums(cell_MX, (self._depth_E[from_M, None] - to_MX) * above_MX)
        self._exit_M[row_M], self._now_M[row_M] = exit_M, to_M

    def _sums(
        self, cell_MX: Int[np.ndarray, "M X"], value_MX: Float[np.ndarray, "M X"]
    ) -> Float[np.ndarray, " C"]:
        sum_C = np.bincount(cell_MX.ravel(), value_MX.ravel(), self._cells)
        return sum_C.astype(float, copy=False)  # of nothing it is whole numbers
