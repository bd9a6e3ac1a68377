"""The thresholds that calibration chooses, of any task's trace, and what is run of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ee_jax.calibration.describe import to_json
from ee_jax.calibration.request import AnyTrace, Request, answer
from ee_jax.config import Calibration
from ee_jax.exits.stopping import PLAIN, Stopping

Chosen = dict[str, Any]  # of `calibration.describe.to_json`
Point = dict[str, Any]  # what a setting gave on the test split
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


def answers(trace: AnyTrace, asked: Sequence[Request]) -> list[Chosen]:
    """What each request chooses from the trace."""
    return [to_json(answer(trace, request), request.risk) for request in asked]


def threshold_of(choice: Chosen) -> Threshold:
    """A number for all exits, or one for each."""
    each = choice.get("threshold_E")
    return choice["threshold"] if each is None else tuple(each)


def settings(thresholds: Sequence[float], chosen: Sequence[Chosen]) -> list[Setting]:
    """Every threshold once, with the labels of the calibrations that chose it."""
    labels: dict[Threshold, tuple[str, ...]] = dict.fromkeys(thresholds, ())
    for choice in chosen:
        threshold = threshold_of(choice)
        labels[threshold] = (*labels.get(threshold, ()), choice["label"])
    return [Setting(threshold, names) for threshold, names in labels.items()]
