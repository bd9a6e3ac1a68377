"""Judging a trained language model: each exit alone, and tokens that stop early."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from ee_jax.config.language import LanguageExperiment
from ee_jax.data.batches import Batch
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.language import (
    EarlyExitPass,
    ExitPass,
    Predicted,
    agreement,
    by_row,
    perplexity,
)
from ee_jax.evaluation.quality import exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.speculation import compare, prompts_of
from ee_jax.generation.cost import decoding_flops_speedup
from ee_jax.generation.decoder import Decoder
from ee_jax.generation.rules import Exiting
from ee_jax.models.language import LanguageModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.runs.inputs import Split

Entry = dict[str, Any]


@dataclass(frozen=True)
class LanguageJudge:
    """Judges the strategies of one experiment on the test split.

    Raises:
      UserError: it has too few rows for a batch of prompts.
    """

    experiment: LanguageExperiment
    model: LanguageModel  # shapes only
    test: Split
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
    def _batches(self) -> list[Batch]:
        config, test = self.experiment.evaluation, self.test
        rows = test.rows[: config.rows]
        return Split(rows, test.label_N[: config.rows], test.lengths).batches(config.batch)

    @cached_property
    def _exits(self) -> ExitPass:
        return ExitPass(self.model)

    @cached_property
    def _passes(self) -> dict[tuple[str, str], EarlyExitPass]:
        """By confidence and policy; they serve all strategies and thresholds."""
        config = self.experiment
        return {
            (confidence, policy): EarlyExitPass(self.model, confidence, policy)
            for confidence in config.exits.confidences
            for policy in config.evaluation.policies
        }

    def judge(self, name: str, values: Parameters) -> Entry:
        """What `results.json` holds of a strategy."""
        alone = self._exits(values, self._batches)
        return {
            "full_perplexity": perplexity(alone[-1].loss_N),
            "tokens": len(alone[-1].loss_N),
            "exits": [
                {"depth": depth, **self._quality(found, alone[-1])}
                for depth, found in zip(self.model.design.layers, alone, strict=True)
            ],
            "points": list(self._points(name, values, alone[-1])),
            "speculation": list(self._speculation(name, values)),
        }

    def _speculation(self, name: str, values: Parameters) -> Iterator[Entry]:
        """Nothing where the experiment asks for none."""
        config = self.experiment.evaluation.speculation
        if config is None:
            return
        decoder = Decoder(bind(self.model, values))
        rows = self.test.rows[: config.prompts]
        settings = list(itertools.product(config.batches, config.depths, config.drafted))
        with self.display.bar(f"{name}: speculation", len(settings)) as tick:
            for batch, depth, drafted in settings:
                prompts = prompts_of(rows, config.prompt, batch)
                asked = (prompts, config.tokens, config.rounds)
                yield compare(decoder, depth, drafted, *asked)
                tick()

    def _points(self, name: str, values: Parameters, full: Predicted) -> Iterator[Entry]:
        layers = self.model.design.layers
        thresholds = self.experiment.evaluation.thresholds
        total = len(self._passes) * len(thresholds)
        with self.display.bar(f"{name}: early exits", total) as tick:
            for (confidence, policy), early in self._passes.items():
                for threshold in thresholds:
                    found = early(values, threshold, self._batches)
                    counts_E = exit_counts(found.exit_N, len(layers))
                    yield {
                        "confidence": confidence,
                        "policy": policy,
                        "threshold": threshold,
                        **self._quality(found, full),
                        "mean_depth": mean_depth(counts_E, layers),
                        "ideal_speedup": ideal_speedup(counts_E, layers),
                        "flops_speedup": self._flops_speedup(confidence, policy, found),
                        "exit_counts": counts_E.tolist(),
                    }
                    tick()

    def _flops_speedup(self, confidence: str, policy: str, found: Predicted) -> float:
        """Of decoding each row by itself, from its first token on."""
        config, layers = self.model.backbone.config, self.model.design.layers
        exit_BT = by_row(found.exit_N, self._length_B)
        return decoding_flops_speedup(config, layers, Exiting(confidence), policy, exit_BT)

    @cached_property
    def _length_B(self) -> Int[np.ndarray, " B"]:
        """Tokens that each row predicts."""
        rows = self.test.rows[: self.experiment.evaluation.rows]
        return np.array([len(row) - 1 for row in rows])

    @staticmethod
    def _quality(found: Predicted, full: Predicted) -> dict[str, float]:
        return {
            "perplexity": perplexity(found.loss_N),
            "agreement": agreement(found.prediction_N, full.prediction_N),
        }
