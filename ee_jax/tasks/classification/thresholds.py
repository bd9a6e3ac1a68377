"""The thresholds of a run that calibration chooses, and what they do on the test split."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.certify import risk_outcomes
from ee_jax.calibration.choice import GRID, outcomes
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.describe import describe
from ee_jax.calibration.empirical import Quality, choose_for_quality, quality_lost
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.risks import LOSS, RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.config import Experiment
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping
from ee_jax.report import metrics
from ee_jax.results import Calibrated, nan_to_none
from ee_jax.tasks.calibrator import answers, check_exits, load_record, recorded, requests


@dataclass(frozen=True)
class Calibrator:
    """Chooses thresholds as an experiment's config says.

    Tolerances are of the run's quality; levels of certified methods are of the config's risk,
    since they need a loss of each example.
    """

    experiment: Experiment
    layers: tuple[int, ...]
    quality: Quality

    def check(self, regression: bool) -> None:
        """Raises the UserError of a method that cannot do with a regression's losses."""
        for method in self.experiment.calibration.methods:
            binary = method in CONFORMAL or METHODS[method].binary
            if regression and binary:
                raise UserError(
                    f"config field `calibration.methods` has {method}, which needs a risk of 0 "
                    "or 1, and that of a regression lies between: use ltt, ucb or crc"
                )

    @cached_property
    def record(self) -> dict[str, Any] | None:
        """What `calibration.record` names, valid for these exits."""
        path = self.experiment.calibration.record
        if path is None:
            return None
        record = load_record(path)
        check_exits(record, self.layers, self.experiment.exits)
        return record

    def choose(
        self,
        strategy: str,
        calibration: Trace,
        test: Trace,
        temperature_E: Float[np.ndarray, " E"],
    ) -> list[Calibrated]:
        """One for each tolerance, for each method and level, and for the record."""
        asked = list(requests(self.experiment.calibration, self._stopping))
        chosen = [*self._empirical(calibration), *answers(calibration, asked)]
        if self.record is not None:
            chosen.append(recorded(self.record, strategy, temperature_E))
        return [self._on(test, choice) for choice in chosen]

    def _empirical(self, trace: Trace) -> Iterator[Calibrated]:
        for tolerance in self.experiment.calibration.tolerances:
            choice = choose_for_quality(trace, self.quality, tolerance, GRID, self._stopping)
            yield describe(choice, "quality")

    @property
    def _stopping(self) -> Stopping:
        return self.experiment.exits.stopping

    def _on(self, test: Trace, choice: Calibrated) -> Calibrated:
        """The choice with its risk and depth on the test split."""
        threshold_K = np.array([choice.thresholds])
        found = outcomes(test, threshold_K, self._stopping)
        if choice.risk == "quality":
            risk = float(quality_lost(test, self.quality, threshold_K, self._stopping)[0])
        elif choice.risk == "loss":
            risk = float((found.loss_KN - test.full_loss_N).mean())
        else:
            of_risk = risk_outcomes(test, choice.risk, threshold_K, self._stopping)
            risk = float(of_risk.loss_KN.mean())
        depth = float(found.depth_KN.mean())
        return replace(choice, test_risk=nan_to_none(risk), test_mean_depth=depth)


SQUARED = {
    "consistency": "(answer - the full model's)^2 / (range of the labels)^2",
    "gap": "squared error above the full model's / (range of the labels)^2",
    "signed_gap": "(squared error - the full model's) / (range of the labels)^2",
}


def risks_in_words(metric: str, regression: bool) -> dict[str, str]:
    """What each risk counts, as reports say it.

    Args:
      metric: what the quality of a tolerance is.
      regression: whether answers are numbers, not classes.
    """
    quality = f"{metrics.name(metric)} lost against the full model's"
    plain = {name: risk.words for name, risk in RISKS.items()}
    squared = SQUARED if regression else {}
    return plain | squared | {"loss": LOSS, "quality": quality}
