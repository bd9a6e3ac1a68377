"""The thresholds that calibration chooses, of any task's trace, and what is run of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ee_jax.calibration.describe import describe
from ee_jax.calibration.request import AnyTrace, Request, answer
from ee_jax.config import Calibration
from ee_jax.exits.stopping import PLAIN, Stopping
from ee_jax.results import Calibrated

Threshold = float | tuple[float, ...]  # of all exits, or of each


@dataclass(frozen=True)
class Setting:
    """A threshold to measure, and the calibrations that chose it, by their labels."""

    threshold: Threshold
    calibrated_for: tuple[str, ...] = ()


def requests(calibration: Calibration, stopping: Stopping = PLAIN) -> Iterator[Request]:
    """One for each certified method and level of the config."""
    for method in calibration.methods:
        for level in calibration.levels:
            yield Request(
                method=method,
                risk=calibration.risk,
                level=level,
                delta=calibration.delta,
                stopping=stopping,
            )


def answers(trace: AnyTrace, asked: Sequence[Request], **found_for: str) -> list[Calibrated]:
    """What each request chooses from the trace, which is of a confidence and a policy."""
    return [describe(answer(trace, request), request.risk, **found_for) for request in asked]


def settings(thresholds: Sequence[float], chosen: Sequence[Calibrated]) -> list[Setting]:
    """Every threshold once, with the labels of the calibrations that chose it."""
    labels: dict[Threshold, tuple[str, ...]] = dict.fromkeys(thresholds, ())
    for choice in chosen:
        threshold = choice.thresholds
        labels[threshold] = (*labels.get(threshold, ()), choice.label)
    return [Setting(threshold, names) for threshold, names in labels.items()]
