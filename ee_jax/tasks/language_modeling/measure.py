"""Measuring settings of a language model on the test split, in parallel passes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from ee_jax.config import Experiment
from ee_jax.data.batches import Batch, Split
from ee_jax.display import Display
from ee_jax.evaluation.metrics import exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.perplexity import (
    EarlyExitPass,
    ExitPass,
    Predicted,
    agreement,
    by_row,
    perplexity,
)
from ee_jax.inference.flops import decoding_flops_speedup
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters
from ee_jax.results import Point
from ee_jax.tasks.calibrator import Setting
from ee_jax.tasks.token_exits import Key, exiting_of, keys_of

METRICS = ("perplexity", "agreement")  # the first is called the quality


def passes_of(experiment: Experiment, model: LanguageModel) -> dict[Key, EarlyExitPass]:
    """By confidence and policy; each serves all thresholds."""
    return {
        (confidence, policy): EarlyExitPass(model, exiting_of(experiment, confidence), policy)
        for confidence, policy in keys_of(experiment)
    }


@dataclass(frozen=True)
class LanguageMeasurer:
    """The compiled passes of one model, which serve all its strategies and settings."""

    experiment: Experiment
    model: LanguageModel  # shapes only
    test: Split
    display: Display

    @cached_property
    def passes(self) -> dict[Key, EarlyExitPass]:
        """See `passes_of`."""
        return passes_of(self.experiment, self.model)

    @cached_property
    def _exits(self) -> ExitPass:
        return ExitPass(self.model)

    @cached_property
    def _batches(self) -> list[Batch]:
        config, test = self.experiment.evaluation, self.test
        rows = test.rows[: config.rows]
        return Split(rows, test.label_N[: config.rows], test.lengths).batches(config.batch)

    def alone(self, values: Parameters) -> list[Predicted]:
        """What each exit predicts of all tokens."""
        return self._exits(values, self._batches)

    def measure(
        self,
        name: str,
        values: Parameters,
        settings: Sequence[tuple[Key, Setting]],
        full: Predicted,
    ) -> Iterator[Point]:
        """A point for each setting."""
        with self.display.bar(f"{name}: early exits", len(settings)) as tick:
            for key, setting in settings:
                threshold = np.asarray(setting.threshold)
                found = self.passes[key](values, threshold, self._batches)
                yield self._point(key, setting, found, full)
                tick()

    def _point(self, key: Key, setting: Setting, found: Predicted, full: Predicted) -> Point:
        layers = self.model.design.layers
        counts_E = exit_counts(found.exit_N, len(layers))
        confidence, policy = key
        metrics = quality(found, full)
        return Point(
            confidence=confidence,
            policy=policy,
            threshold=float(np.min(setting.threshold)),
            calibrated_for=setting.calibrated_for,
            quality=metrics[METRICS[0]],
            metrics=metrics,
            inconsistency=1 - metrics["agreement"],
            mean_depth=mean_depth(counts_E, layers),
            ideal_speedup=ideal_speedup(counts_E, layers),
            flops_speedup=self._flops_speedup(confidence, policy, found),
            exit_counts=tuple(counts_E.tolist()),
        )

    def _flops_speedup(self, confidence: str, policy: str, found: Predicted) -> float:
        """Of decoding each row by itself, from its first token on."""
        config, design = self.model.backbone.config, self.model.design
        exit_BT = by_row(found.exit_N, self._length_B)
        exiting = exiting_of(self.experiment, confidence)
        return decoding_flops_speedup(config, design, exiting, policy, exit_BT)

    @cached_property
    def _length_B(self) -> Int[np.ndarray, " B"]:
        """Tokens that each row predicts."""
        rows = self.test.rows[: self.experiment.evaluation.rows]
        return np.array([len(row) - 1 for row in rows])


def quality(found: Predicted, full: Predicted) -> dict[str, float]:
    """Perplexity, and the share of tokens predicted like the full model."""
    return {
        "perplexity": perplexity(found.loss_N),
        "agreement": agreement(found.prediction_N, full.prediction_N),
    }
