"""Judging a trained language model: each exit alone, and tokens that stop early."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from ee_jax.config import Decoding, Experiment
from ee_jax.data.batches import Split
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import (
    Prompts,
    compare_speculation,
    early_exit_speedups,
    prompts_of,
)
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.results import Calibrated, ExitAlone, Point, Speculation, StrategyResults
from ee_jax.tasks.calibrator import Setting, settings
from ee_jax.tasks.language_modeling.inputs import data_of
from ee_jax.tasks.language_modeling.measure import METRICS, LanguageMeasurer, quality
from ee_jax.tasks.language_modeling.thresholds import Key, LanguageCalibrator, of_key, on_test


def method_of(experiment: Experiment, key: Key) -> EarlyExitDecoding:
    """How tokens stop early while decoding, by a confidence and a policy."""
    confidence, policy = key
    exiting = Exiting(confidence, experiment.exits.stopping)
    return EarlyExitDecoding(exiting.rule_at, policy)


@dataclass(frozen=True)
class LanguageEvaluator:
    """Judges the strategies of one experiment on the test split.

    Raises:
      UserError: it has too few rows for a batch of prompts.
    """

    experiment: Experiment
    model: LanguageModel  # shapes only
    test: Split
    calibrator: LanguageCalibrator
    display: Display

    def __post_init__(self):
        evaluation, rows = self.experiment.evaluation, len(self.test.rows)
        if evaluation.decoding and rows < (most := max(evaluation.batches)):
            length = data_of(self.experiment).length
            raise UserError(
                f"config field `evaluation.batches` asks for {most} prompts at a time, but the "
                f"test split has {rows} rows of {length} tokens: take smaller batches, more "
                "text, or no evaluation.decoding"
            )

    @cached_property
    def _measurer(self) -> LanguageMeasurer:
        return LanguageMeasurer(self.experiment, self.model, self.test, self.display)

    def evaluate(self, name: str, values: Parameters) -> StrategyResults:
        """What `results.json` holds of a strategy."""
        alone = self._measurer.alone(values)
        chosen = self.calibrator.choose(name, values, self._measurer.passes)
        todo = self._settings(chosen)
        points = list(self._measurer.measure(name, values, todo, alone[-1]))
        decoder = Decoder(bind(self.model, values))
        exits = [
            ExitAlone(depth=depth, metrics=quality(found, alone[-1]))
            for depth, found in zip(self.model.design.layers, alone, strict=True)
        ]
        return StrategyResults(
            full_quality=exits[-1].metrics[METRICS[0]],
            examples=len(alone[-1].loss_N),
            exits=tuple(exits),
            calibrated=tuple(on_test(choice, points) for choice in chosen),
            points=tuple(self._timed(name, decoder, points)),
            speculation=tuple(self._speculation(name, decoder)),
        )

    def _prompts(self, decoding: Decoding, batch: int) -> list[Prompts]:
        return prompts_of(self.test.rows[: decoding.prompts], decoding.prompt, batch)

    def _timed(self, name: str, decoder: Decoder, points: list[Point]) -> list[Point]:
        """The points with the measured speed-ups of decoding, at each batch size."""
        evaluation = self.experiment.evaluation
        decoding, keys = evaluation.decoding, list(self._measurer.passes)
        if decoding is None:
            return points
        found: dict[int, dict[int, float]] = {n: {} for n in range(len(points))}
        todo = list(itertools.product(evaluation.batches, keys))
        with self.display.bar(f"{name}: wall clock of decoding", len(todo)) as tick:
            for batch, (confidence, policy) in todo:
                own = [
                    n
                    for n, p in enumerate(points)
                    if (p.confidence, p.policy) == (confidence, policy)
                ]
                method = method_of(self.experiment, (confidence, policy))
                thresholds = [points[n].threshold for n in own]
                prompts = self._prompts(decoding, batch)
                asked = (prompts, decoding.tokens, evaluation.rounds)
                speedups = early_exit_speedups(decoder, method, thresholds, *asked)
                for n, value in zip(own, speedups, strict=True):
                    found[n][batch] = value
                tick()
        return [replace(point, measured_speedup=found[n]) for n, point in enumerate(points)]

    def _speculation(self, name: str, decoder: Decoder) -> Iterator[Speculation]:
        """Nothing where the experiment asks for none."""
        evaluation = self.experiment.evaluation
        config, decoding = evaluation.speculation, evaluation.decoding
        if config is None or decoding is None:
            return
        asked = list(itertools.product(evaluation.batches, config.depths, config.drafted))
        with self.display.bar(f"{name}: speculation", len(asked)) as tick:
            for batch, depth, drafted in asked:
                rest = (self._prompts(decoding, batch), decoding.tokens, evaluation.rounds)
                yield compare_speculation(decoder, depth, drafted, *rest)
                tick()

    def _settings(self, chosen: list[Calibrated]) -> list[tuple[Key, Setting]]:
        """Each threshold of the config, and 1 where calibration fell back to it."""
        thresholds = self.experiment.evaluation.thresholds
        return [
            (key, setting)
            for key in self._measurer.passes
            for setting in settings(thresholds, of_key(chosen, key))
        ]
