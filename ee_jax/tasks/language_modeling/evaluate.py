"""Judging a trained language model: each exit alone, and tokens that stop early."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from ee_jax.config import Decoding, Experiment
from ee_jax.data.batches import Split
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import Prompts, compare_speculation, prompts_of
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import DecodingMethod, StaticDecoding
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.results import ExitAlone, Point, Speculation, StrategyResults
from ee_jax.tasks.decoding_clock import timed
from ee_jax.tasks.language_modeling.inputs import data_of
from ee_jax.tasks.language_modeling.measure import METRICS, LanguageMeasurer, quality
from ee_jax.tasks.language_modeling.thresholds import LanguageCalibrator
from ee_jax.tasks.token_exits import on_test, settings_of


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
        todo = settings_of(self.experiment, chosen)
        points = list(self._measurer.measure(name, values, todo, alone[-1]))
        risks = [point.inconsistency for point in points]
        decoder = Decoder(bind(self.model, values))
        exits = [
            ExitAlone(depth=depth, metrics=quality(found, alone[-1]))
            for depth, found in zip(self.model.design.layers, alone, strict=True)
        ]
        return StrategyResults(
            full_quality=exits[-1].metrics[METRICS[0]],
            examples=len(alone[-1].loss_N),
            exits=tuple(exits),
            calibrated=tuple(on_test(choice, points, risks) for choice in chosen),
            points=tuple(self._timed(name, decoder, points)),
            speculation=tuple(self._speculation(name, decoder)),
        )

    def _prompts(self, decoding: Decoding, batch: int) -> list[Prompts]:
        return prompts_of(self.test.rows[: decoding.prompts], decoding.prompt, batch)

    def _timed(self, name: str, decoder: Decoder, points: list[Point]) -> list[Point]:
        """The points with the measured speed-ups of decoding, at each batch size."""
        decoding = self.experiment.evaluation.decoding or Decoding()

        def run(method: DecodingMethod, shared: Any, prompts: Prompts) -> Any:
            return decoder.run(method, shared, prompts, decoding.tokens)

        static = StaticDecoding(len(self.model.design.layers) - 1)
        prompts = partial(self._prompts, decoding)
        title = f"{name}: wall clock of decoding"
        return timed(self.experiment, static, points, prompts, run, self.display, title)

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
