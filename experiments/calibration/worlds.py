"""Three worlds whose true risks are known, to draw calibration sets from."""

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import Outcomes
from ee_jax.calibration.trace import Trace

# How often an exit's answer is unlike the full model's where its confidence is 0.
BAD_E = np.array([0.9, 0.6, 0.3, 0.0])
# Risk and depth of candidates that need no exits, the full model first.
WAVES = np.where(np.arange(60) % 3 == 2, 0.056, 0.03)
WAVES[0] = 0
CLIFF = np.array([0, 0.01, 0.2, 0.2])
GRIDS = {"waves": WAVES, "cliff": CLIFF}


def exits(examples: int, rng: np.random.Generator) -> Trace:
    """Confidences c are uniform, and the answer at an exit is bad with chance BAD_E (1 - c)."""
    confidence_NE = rng.random((examples, len(BAD_E)), np.float32)
    bad_NE = rng.random(confidence_NE.shape) < BAD_E * (1 - confidence_NE)
    return Trace(
        confidence_NE=confidence_NE,
        loss_NE=bad_NE.astype(float),
        depth_E=np.arange(1, len(BAD_E) + 1),
        prediction_NE=bad_NE.astype(np.int32),
    )


def exits_risk(threshold: float | Float[np.ndarray, " E"]) -> float:
    """The true risk: that an example stops at a bad exit.

    It gets to an exit with the product of the thresholds before it, and stops there, badly,
    with the integral of BAD_E (1 - c) from the exit's threshold to 1.
    """
    threshold_E = np.broadcast_to(threshold, BAD_E.shape)
    arrives_E = np.append(1, np.cumprod(threshold_E[:-1]))
    return float(np.sum(arrives_E * BAD_E * (1 - threshold_E) ** 2 / 2))


def any_bad() -> float:
    """The chance that an example has a bad exit."""
    return float(1 - np.prod(1 - BAD_E / 2))


def grid(risk_K: Float[np.ndarray, " K"], examples: int, rng: np.random.Generator) -> Outcomes:
    """Losses of 0 or 1 at each candidate, with the true risks `risk_K`."""
    loss_KN = (rng.random((len(risk_K), examples)) < risk_K[:, None]).astype(float)
    return Outcomes(np.linspace(1, 0, len(risk_K)), np.ones(loss_KN.shape, int), loss_KN)
