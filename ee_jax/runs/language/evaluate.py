"""Judging a trained language model: each exit alone, and tokens that stop early."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ee_jax.config.language import LanguageExperiment
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.perplexity import perplexity
from ee_jax.evaluation.speculation import compare, prompts_of
from ee_jax.inference.generator import Decoder
from ee_jax.models.language import LanguageModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.runs.inputs import Split
from ee_jax.runs.language.measure import LanguageMeasurer, quality
from ee_jax.runs.language.thresholds import Key, LanguageCalibrator, of_key, on_test
from ee_jax.runs.measure import Setting
from ee_jax.runs.thresholds import Chosen, settings

Entry = dict[str, Any]


@dataclass(frozen=True)
class LanguageEvaluator:
    """Judges the strategies of one experiment on the test split.

    Raises:
      UserError: it has too few rows for a batch of prompts.
    """

    experiment: LanguageExperiment
    model: LanguageModel  # shapes only
    test: Split
    calibrator: LanguageCalibrator
    display: Display

    def __post_init__(self):
        config, rows = self.experiment.evaluation.speculation, len(self.test.rows)
        if config and rows < (most := max(config.batches)):
            raise UserError(
                f"config field `evaluation.speculation.batches` asks for {most} prompts at a "
                f"time, but the test split has {rows} rows of {self.experiment.data.length} "
                "tokens: take smaller batches, or more text"
            )

    @cached_property
    def _measurer(self) -> LanguageMeasurer:
        return LanguageMeasurer(self.experiment, self.model, self.test, self.display)

    def evaluate(self, name: str, values: Parameters) -> Entry:
        """What `results.json` holds of a strategy."""
        alone = self._measurer.alone(values)
        chosen = self.calibrator.choose(name, values, self._measurer.passes)
        todo = self._settings(chosen)
        points = list(self._measurer.measure(name, values, todo, alone[-1]))
        return {
            "full_perplexity": perplexity(alone[-1].loss_N),
            "tokens": len(alone[-1].loss_N),
            "exits": [
                {"depth": depth, **quality(found, alone[-1])}
                for depth, found in zip(self.model.design.layers, alone, strict=True)
            ],
            "calibrated": [on_test(choice, points) for choice in chosen],
            "points": points,
            "speculation": list(self._speculation(name, values)),
        }

    def _speculation(self, name: str, values: Parameters) -> Iterator[Entry]:
        """Nothing where the experiment asks for none."""
        config = self.experiment.evaluation.speculation
        if config is None:
            return
        decoder = Decoder(bind(self.model, values))
        rows = self.test.rows[: config.prompts]
        asked = list(itertools.product(config.batches, config.depths, config.drafted))
        with self.display.bar(f"{name}: speculation", len(asked)) as tick:
            for batch, depth, drafted in asked:
                prompts = prompts_of(rows, config.prompt, batch)
                rest = (prompts, config.tokens, config.rounds)
                yield compare(decoder, depth, drafted, *rest)
                tick()

    def _settings(self, chosen: list[Chosen]) -> list[tuple[Key, Setting]]:
        """Each threshold of the config, and 1 where calibration fell back to it."""
        thresholds = self.experiment.evaluation.thresholds
        return [
            (key, setting)
            for key in self._measurer.passes
            for setting in settings(thresholds, of_key(chosen, key))
        ]
