"""One threshold for each exit: a path of candidates from one half, certified on the other.

There are too many candidates to walk through all, and a path chosen by the examples it is then
tested on would void the test. So half of the examples draw the path, from the full model down,
and any method of `methods` walks it on the other half.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from ee_jax.calibration.bitsets import Sample
from ee_jax.calibration.certify import certify_outcomes, check_request, risk_outcomes
from ee_jax.calibration.choice import Choice, Outcomes
from ee_jax.calibration.descent import Changes, Descent, Means
from ee_jax.calibration.methods import METHODS, Method, to_unit
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Parts, Splits, Trials, in_threads, of_levels
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

# A step of 0.05, since a greedy path has so many times E candidates.
COARSE = np.arange(20, -1, -1) / 20
WALKS = 8  # that go side by side; more take no less time each, but more memory

Path = Float[np.ndarray, "J E"]
# Mean risk and mean depth of any number of candidates.
Measure = Callable[[Path], Means]
# What a step down at each exit would change, at the places of S walks on the coarse grid.
Steps = Callable[[Int[np.ndarray, "S E"]], Changes]
BOTTOM = len(COARSE) - 1


def steps_of(measure: Measure) -> Steps:
    """Measures every step of one walk anew."""

    def steps(at_1E: Int[np.ndarray, "1 E"]) -> Changes:
        open_J = np.flatnonzero(at_1E[0, :-1] < BOTTOM)
        step_JE = at_1E + np.eye(at_1E.shape[1], dtype=int)[open_J]
        risk_J, depth_J = measure(COARSE[np.vstack([at_1E, step_JE])])
        added_SX, saved_SX = np.full((2, 1, at_1E.shape[1] - 1), np.nan)
        added_SX[0, open_J], saved_SX[0, open_J] = (
            risk_J[1:] - risk_J[0],
            depth_J[0] - depth_J[1:],
        )
        return added_SX, saved_SX

    return steps


def greedy_paths(steps: Steps, walks: int, exits: int) -> Float[np.ndarray, "S J E"]:
    """Step by step lowers that exit's threshold which adds least risk for a block saved.

    Args:
      steps: what a step down at each exit would change.
      walks: S, how many go side by side.
      exits: E, the number of exits.

    Returns:
      Candidates from the full model down, a threshold for each exit, of each walk.
    """
    at_SE, walk_S = np.zeros((walks, exits), int), np.arange(walks)
    path = [COARSE[at_SE]]
    for _ in range((exits - 1) * BOTTOM):
        at_SE[walk_S, _cheapest(*steps(at_SE))] += 1
        path.append(COARSE[at_SE])
    return np.stack(path, axis=1)


def _cheapest(
    added_SX: Float[np.ndarray, "S X"], saved_SX: Float[np.ndarray, "S X"]
) -> Int[np.ndarray, " S"]:
    """Free steps first, then the smallest risk per block; what saves nothing costs most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        price_SX = np.where(added_SX <= 0, -np.inf, added_SX / saved_SX)
    best_SX = price_SX == np.nanmin(price_SX, axis=1, keepdims=True)
    return np.where(best_SX, saved_SX, -np.inf).argmax(1)


def pareto_path(measure: Measure, greedy_GE: Float[np.ndarray, "G E"], seed: int = 0) -> Path:
    """Candidates that no other beats in both risk and depth, by rising risk.

    Pareto Testing (Laufer-Goldenberg et al. 2023), with the full model in front. Beside the
    greedy path the pool has eight candidates near each of its own, and one threshold for all.

    Args:
      measure: mean risk and mean depth of candidates.
      greedy_GE: the greedy path on the same examples.
      seed: of the candidates near the greedy path.

    Returns:
      Candidates from the full model down, a threshold for each exit.
    """
    exits, rng = greedy_GE.shape[1], np.random.default_rng(seed)
    near_JE = np.repeat(greedy_GE, 8, axis=0)
    near_JE = (near_JE + rng.integers(-2, 3, near_JE.shape) / 20).clip(0, 1).round(2)
    shared_JE = np.repeat(COARSE[:, None], exits, axis=1)
    pool_JE = np.vstack([greedy_GE, near_JE, shared_JE])
    pool_JE[:, -1] = 1
    risk_J, depth_J = measure(pool_JE)
    order_J = np.lexsort((depth_J, risk_J))
    best_J = np.minimum.accumulate(depth_J[order_J])
    front_J = order_J[np.append(True, np.diff(best_J) < 0)]
    return np.vstack([np.ones(exits), pool_JE[front_J]])


def greedy(samples: Sequence[Sample]) -> list[Path]:
    """The greedy path on each of some samples of the same size."""
    first, places = samples[0], [one.place_EN for one in samples if one.place_EN is not None]
    if not places:  # an exit rule of one's own
        return [greedy_paths(steps_of(one.measure), 1, first.exits)[0] for one in samples]
    risk_SEN = np.stack([one.risk_EN for one in samples])
    descent = Descent(np.stack(places), risk_SEN, first.trace.depth_E, len(COARSE))
    return list(greedy_paths(descent, len(samples), first.exits))


def pareto(samples: Sequence[Sample]) -> list[Path]:
    """The Pareto path on each of some samples of the same size."""
    pairs = zip(samples, greedy(samples), strict=True)
    return [pareto_path(sample.measure, path_JE) for sample, path_JE in pairs]


PATHS: dict[str, Callable[[Sequence[Sample]], list[Path]]] = {
    "greedy": greedy,
    "pareto": pareto,
}


def certify_per_exit(
    trace: Trace,
    method: str,
    risk: str,
    level: float,
    delta: float = 0.05,
    search: str = "greedy",
    stopping: Stopping = PLAIN,
    seed: int = 0,
) -> Choice:
    """Thresholds for each exit, with the method's promise; `search` is of `PATHS`.

    Args:
      trace: of examples like those to come; half of them draw the path.
      method: a name in METHODS.
      risk: a name in RISKS.
      level: the risk allowed.
      delta: the chance of more than that.
      search: a name in PATHS.
      stopping: exit rule, least depth and patience.
      seed: of the halves.

    Returns:
      Thresholds for each exit, and what they do on the other half.
    """
    check_request(method, risk, level, delta)
    if method not in METHODS:
        raise UserError(f"{method} walks no path: choose from {', '.join(METHODS)}")
    candidates = path_outcomes(trace, risk, search, stopping, seed)
    return certify_outcomes(candidates, method, level, delta)


def path_outcomes(
    trace: Trace,
    risk: str,
    search: str = "greedy",
    stopping: Stopping = PLAIN,
    seed: int = 0,
) -> Outcomes:
    """The path that one half of the examples draws, on the other half."""
    check_search(search)
    drawing_N, testing_N = halves(len(trace.loss_NE), seed)
    sample = Sample.of(trace, RISKS[risk](trace), COARSE, stopping)
    (path_JE,) = PATHS[search]([sample.take(drawing_N)])
    return risk_outcomes(trace.take(testing_N), risk, path_JE, stopping)


def check_search(search: str) -> None:
    """Raises the UserError of a name that is not in PATHS."""
    if search not in PATHS:
        raise UserError(f"no search `{search}`: choose from {', '.join(PATHS)}")


def halves(examples: int, seed: int = 0) -> tuple[Int[np.ndarray, " D"], Int[np.ndarray, " T"]]:
    """Numbers of examples: of those that draw the path, and of those it is tested on."""
    order_N = np.random.default_rng(seed).permutation(examples)
    half = len(order_N) // 2
    if not half:
        raise UserError("one example cannot be halved: calibrate one threshold for all exits")
    return order_N[:half], order_N[half:]


def per_exit_trials(
    trace: Trace,
    method: str,
    risk: str,
    levels: Sequence[float],
    delta: float,
    splits: Splits,
    search: str = "greedy",
    stopping: Stopping = PLAIN,
) -> list[Trials]:
    """`certify_per_exit` on each split's one part, and risk and depth of the other.

    One path a split serves all levels.

    Args:
      trace: what every exit said.
      method: a name in METHODS.
      risk: a name in RISKS.
      levels: the risks allowed.
      delta: the chance of more than that.
      splits: which examples are calibrated on.
      search: a name in PATHS.
      stopping: exit rule, least depth and patience.

    Returns:
      Thresholds, risks and depths of each split, at each level.
    """
    check_search(search)
    how, low = METHODS[method], RISKS[risk].low
    risk_NE = RISKS[risk](trace)
    how.prepare(risk_NE, low)  # refuses a risk that is out of range
    sample = Sample.of(trace, risk_NE, COARSE, stopping)
    units = [float(to_unit(level, low)) for level in levels]

    def some(part_SN: Parts) -> list[tuple[np.ndarray, ...]]:
        rows = [part_N.nonzero()[0] for part_N in part_SN]
        drawing_N, testing_N = halves(len(rows[0]))
        paths = PATHS[search]([sample.take(row_M[drawing_N]) for row_M in rows])
        found = []
        for part_N, row_M, path_JE in zip(part_SN, rows, paths, strict=True):
            testing = sample.take(row_M[testing_N])
            threshold_LE = path_JE[_choices(how, testing, path_JE, units, delta, low)]
            found.append((threshold_LE, *sample.measure(threshold_LE, ~part_N)))
        return found

    return of_levels([one for found in in_threads(some, splits.blocks(WALKS)) for one in found])


def _choices(
    how: Method, testing: Sample, path_JE: Path, units: list[float], delta: float, low: float
) -> Int[np.ndarray, " L"]:
    """The candidates that a method takes of a path; means do for most methods."""
    n = testing.examples
    if how.of_means is None or how.rising:
        prepared_JN = how.prepare(testing.risks(path_JE), low)
        order_N = np.random.default_rng(0).permutation(n)  # see `certify`
        return how.walk(prepared_JN, delta)(order_N, units)
    mean_J = to_unit(testing.measure(path_JE)[0], low)
    return how.last(np.array([how.of_means(mean_J, n, q, delta) for q in units]))
