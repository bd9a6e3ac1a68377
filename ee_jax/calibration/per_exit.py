"""One threshold for each exit: a path of candidates from one half, certified on the other.

There are too many candidates to walk through all, and a path chosen by the examples it is then
tested on would void the test. So half of the examples draw the path, from the full model down,
and any method of `methods` walks it on the other half.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.certify import certify_outcomes, check_request, risk_outcomes
from ee_jax.calibration.choice import Choice, Outcomes
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

# A step of 0.05, since a greedy path has so many times E candidates.
COARSE = np.arange(20, -1, -1) / 20

Path = Float[np.ndarray, "J E"]
# Mean risk and mean depth of any number of candidates.
Measure = Callable[[Path], tuple[Float[np.ndarray, " J"], Float[np.ndarray, " J"]]]


def greedy_path(measure: Measure, exits: int) -> Path:
    """Step by step lowers that exit's threshold which adds least risk for a block saved.

    Args:
      measure: mean risk and mean depth of candidates.
      exits: E, the number of exits.

    Returns:
      Candidates from the full model down, a threshold for each exit.
    """
    at_E = np.zeros(exits, int)  # how far down each exit's threshold is
    path = [COARSE[at_E]]
    while (at_E[:-1] < len(COARSE) - 1).any():
        open_J = np.flatnonzero(at_E[:-1] < len(COARSE) - 1)
        step_JE = at_E + np.eye(exits, dtype=int)[open_J]
        risk_J, depth_J = measure(COARSE[np.vstack([at_E, step_JE])])
        at_E = step_JE[_cheapest(risk_J[1:] - risk_J[0], depth_J[0] - depth_J[1:])]
        path.append(COARSE[at_E])
    return np.array(path)


def _cheapest(added_J: Float[np.ndarray, " J"], saved_J: Float[np.ndarray, " J"]) -> int:
    """Free steps first, then the smallest risk per block; what saves nothing costs most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        price_J = np.where(added_J <= 0, -np.inf, added_J / saved_J)
    return int(np.lexsort((-saved_J, price_J))[0])


def pareto_path(measure: Measure, exits: int, seed: int = 0) -> Path:
    """Candidates that no other beats in both risk and depth, by rising risk.

    Pareto Testing (Laufer-Goldenberg et al. 2023), with the full model in front. Beside the
    greedy path the pool has eight candidates near each of its own, and one threshold for all.

    Args:
      measure: mean risk and mean depth of candidates.
      exits: E, the number of exits.
      seed: of the candidates near the greedy path.

    Returns:
      Candidates from the full model down, a threshold for each exit.
    """
    greedy_JE = greedy_path(measure, exits)
    rng = np.random.default_rng(seed)
    near_JE = np.repeat(greedy_JE, 8, axis=0)
    near_JE = (near_JE + rng.integers(-2, 3, near_JE.shape) / 20).clip(0, 1).round(2)
    shared_JE = np.repeat(COARSE[:, None], exits, axis=1)
    pool_JE = np.vstack([greedy_JE, near_JE, shared_JE])
    pool_JE[:, -1] = 1
    risk_J, depth_J = measure(pool_JE)
    order_J = np.lexsort((depth_J, risk_J))
    best_J = np.minimum.accumulate(depth_J[order_J])
    front_J = order_J[np.append(True, np.diff(best_J) < 0)]
    return np.vstack([np.ones(exits), pool_JE[front_J]])


PATHS: dict[str, Callable[[Measure, int], Path]] = {
    "greedy": greedy_path,
    "pareto": pareto_path,
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
    if search not in PATHS:
        raise UserError(f"no search `{search}`: choose from {', '.join(PATHS)}")
    order_N = np.random.default_rng(seed).permutation(len(trace.loss_NE))
    half = len(order_N) // 2
    if not half:
        raise UserError("one example cannot be halved: calibrate one threshold for all exits")
    drawing, testing = (trace.take(part) for part in (order_N[:half], order_N[half:]))

    def measure(threshold_JE: Path) -> tuple[Float[np.ndarray, " J"], Float[np.ndarray, " J"]]:
        _, depth_JN, loss_JN = risk_outcomes(drawing, risk, threshold_JE, stopping)
        return loss_JN.mean(1), depth_JN.mean(1)

    path_JE = PATHS[search](measure, len(trace.depth_E))
    return risk_outcomes(testing, risk, path_JE, stopping)
