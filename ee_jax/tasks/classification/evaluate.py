"""Judging a trained model: traces, temperatures, thresholds, quality and wall clock."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ee_jax.calibration.choice import GRID, outcomes, predictions
from ee_jax.calibration.empirical import Quality
from ee_jax.calibration.trace import Trace
from ee_jax.config import Experiment
from ee_jax.data.batches import Split
from ee_jax.display import Display
from ee_jax.evaluation.metrics import METRICS, exit_table
from ee_jax.evaluation.traces import ForwardPass, fit_temperatures, trace_of
from ee_jax.exits.output import ExitOutput
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.transformer import Parameters
from ee_jax.results import CurvePoint, ExitAlone, StrategyResults, nan_to_none, to_json
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.calibrator import settings
from ee_jax.tasks.classification.inputs import Corpus
from ee_jax.tasks.classification.measure import Measurer
from ee_jax.tasks.classification.thresholds import Calibrator


@dataclass(frozen=True)
class Evaluator:
    """Judges the strategies of one experiment."""

    experiment: Experiment
    model: ExitModel  # shapes only
    corpus: Corpus
    forward: ForwardPass
    measurer: Measurer
    folder: RunFolder
    display: Display

    def __post_init__(self) -> None:
        # What is wrong with them is found before any training.
        _ = self._calibrator.record
        self._calibrator.check(self.corpus.label_range is not None)

    @cached_property
    def _calibrator(self) -> Calibrator:
        return Calibrator(self.experiment, self.model.design.layers, self._metric)

    @property
    def _metric(self) -> Quality:
        return METRICS[self.corpus.metrics[0]]

    @property
    def _fits_temperatures(self) -> bool:
        return bool(self.experiment.calibration.temperature and self.corpus.classes)

    @property
    def traced(self) -> list[Split]:
        """The splits of which all exits' answers are asked for."""
        names = ["validation"] if self._fits_temperatures else []
        return [self.corpus.splits[name] for name in (*names, "calibration", "test")]

    def evaluate(self, name: str, values: Parameters) -> StrategyResults:
        """What `results.json` holds of a strategy; its traces and thresholds are written."""
        traces, temperature_E = self._traces(name, values)
        test = traces["test"]
        chosen = self._calibrator.choose(name, traces["calibration"], test, temperature_E)
        self.folder.write(
            f"{name}/calibration.json",
            {"temperature_E": temperature_E.tolist(), "choices": [*map(to_json, chosen)]},
        )
        todo = settings(self.experiment.evaluation.thresholds, chosen)
        points = self.measurer.measure(name, values, temperature_E, todo, test)
        exits = self._exits(test, temperature_E)
        return StrategyResults(
            full_quality=exits[-1].metrics[self.corpus.metrics[0]],
            exits=exits,
            curve=self._curve(test),
            calibrated=tuple(chosen),
            points=tuple(points),
            examples=len(self.corpus.splits["test"].rows),
        )

    def _traces(self, name: str, values: Parameters) -> tuple[dict[str, Trace], np.ndarray]:
        """Traces of the calibration and test splits; temperatures of the validation split."""
        temperature_E = np.ones(len(self.model.design.layers))
        if self._fits_temperatures:
            answer = self._answers(name, values, "validation")
            temperature_E = fit_temperatures(answer, self.corpus.splits["validation"].label_N)
        traces = {
            split: self._trace(name, split, self._answers(name, values, split), temperature_E)
            for split in ("calibration", "test")
        }
        return traces, temperature_E

    def _trace(
        self, name: str, split: str, answer: ExitOutput, temperature_E: np.ndarray
    ) -> Trace:
        """The trace of a split, which is written too."""
        trace = trace_of(
            answer,
            self.corpus.splits[split].label_N,
            self.model.design.layers,
            self.experiment.exits.confidence,
            temperature_E,
            self.corpus.label_range,
            tolerance=self.experiment.exits.tolerance,
            data=self.corpus.record["name"],
            split=split,
            model=name,
            config_hash=self.folder.hash,
            temperatures=temperature_E.tolist(),
        )
        path = self.folder.path / name / "traces" / f"{split}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        trace.save(path)
        self.folder.wrote(path)
        return trace

    def _answers(self, name: str, values: Parameters, split: str) -> ExitOutput:
        rows = self.corpus.splits[split]
        batches = rows.batches(self.forward.batch)
        with self.display.bar(f"{name}: trace of {split}", len(batches)) as tick:
            features = self.forward.features(values, batches, len(rows.rows), tick)
        return self.forward.answers(values, features)

    def _exits(self, test: Trace, temperature_E: np.ndarray) -> tuple[ExitAlone, ...]:
        rows = exit_table(test, self._metric)
        return tuple(
            ExitAlone(
                depth=row.depth,
                metrics={self.corpus.metrics[0]: nan_to_none(row.quality)},
                ece=nan_to_none(row.ece),
                auroc=nan_to_none(row.auroc),
                temperature=float(temperature),
            )
            for row, temperature in zip(rows, temperature_E, strict=True)
        )

    def _curve(self, test: Trace) -> tuple[CurvePoint, ...]:
        rule = (GRID, self.experiment.exits.stopping)
        depth_K = outcomes(test, *rule).depth_KN.mean(1)
        prediction_KN = predictions(test, *rule)
        assert test.label_N is not None
        return tuple(
            CurvePoint(
                threshold=float(threshold),
                quality=nan_to_none(self._metric(prediction_N, test.label_N)),
                mean_depth=float(depth),
            )
            for threshold, prediction_N, depth in zip(GRID, prediction_KN, depth_K, strict=True)
        )
