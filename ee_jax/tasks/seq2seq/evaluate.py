"""Judging an encoder-decoder by what it writes: all blocks, each exit alone, early exits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ee_jax.config import Decoding, Experiment
from ee_jax.data.batches import Batch, Split
from ee_jax.data.pairs import Pair
from ee_jax.display import Display
from ee_jax.evaluation.metrics import exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.sourced import SourceReader, Written
from ee_jax.inference.flops import decoding_flops_speedup
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.results import ExitAlone, Point, StrategyResults
from ee_jax.tasks.calibrator import Setting
from ee_jax.tasks.decoding_clock import timed
from ee_jax.tasks.seq2seq.inputs import data_of, metrics_of, quality_of
from ee_jax.tasks.seq2seq.quality import mean_risk, qualities
from ee_jax.tasks.seq2seq.rows import PairRows
from ee_jax.tasks.seq2seq.thresholds import TextCalibrator
from ee_jax.tasks.token_exits import Key, exiting_of, method_of, on_test, settings_of


class Judged(NamedTuple):
    """A setting on the test split."""

    point: Point
    risk: float  # the mean of that of the calibration


@dataclass(frozen=True)
class TextEvaluator:
    """Judges the strategies of one experiment on the test split."""

    experiment: Experiment
    model: LanguageModel  # shapes only
    rows: PairRows
    calibrator: TextCalibrator
    display: Display

    def evaluate(self, name: str, values: Parameters) -> StrategyResults:
        """What `results.json` holds of a strategy."""
        decoder = SourceDecoder(bind(self.model, values), stops=self.rows.ends)
        tokens = data_of(self.experiment).target_length
        reader = SourceReader(decoder, self.rows.tokenizer, self.rows.opening, tokens)
        alone = self._alone(name, reader)
        chosen = self.calibrator.choose(name, reader)
        todo = settings_of(self.experiment, chosen)
        points, risks = zip(*self._judge(name, reader, todo, alone[-1]), strict=True)
        exits = [
            ExitAlone(depth=depth, metrics=self._quality(written))
            for depth, written in zip(self.model.design.layers, alone, strict=True)
        ]
        return StrategyResults(
            full_quality=exits[-1].metrics[metrics_of(self.experiment)[0]],
            examples=len(self._pairs),
            exits=tuple(exits),
            calibrated=tuple(on_test(choice, points, risks) for choice in chosen),
            points=tuple(self._timed(name, reader, points)),
        )

    @property
    def _pairs(self) -> Sequence[Pair]:
        return self.rows.pairs["test"]

    @cached_property
    def _all(self) -> list[Batch]:
        return self.rows.splits["test"].batches(self.experiment.evaluation.batch)

    def _alone(self, name: str, reader: SourceReader) -> list[Written]:
        """What each exit writes, had it to say every token."""
        exits = range(len(self.model.design.layers))
        with self.display.bar(f"{name}: each exit", len(exits) * len(self._all)) as tick:
            return [reader.write(StaticDecoding(e), None, self._all, tick) for e in exits]

    def _quality(self, written: Written) -> dict[str, float]:
        return qualities(metrics_of(self.experiment), written.texts, self._pairs)

    def _judge(
        self,
        name: str,
        reader: SourceReader,
        todo: Sequence[tuple[Key, Setting]],
        full: Written,
    ) -> Iterator[Judged]:
        """What is written at each setting, and how good it is."""
        risk, quality = self.experiment.calibration.risk, quality_of(self.experiment)
        with self.display.bar(f"{name}: early exits", len(todo) * len(self._all)) as tick:
            for key, setting in todo:
                method = method_of(self.experiment, key)
                shared = jnp.float32(setting.threshold)
                written = reader.write(method, shared, self._all, tick)
                found = mean_risk(risk, quality, written.texts, full.texts, self._pairs)
                yield Judged(self._point(key, setting, written, full), found)

    def _point(self, key: Key, setting: Setting, written: Written, full: Written) -> Point:
        layers = self.model.design.layers
        counts_E = exit_counts(written.exits, len(layers))
        metrics = self._quality(written)
        quality = quality_of(self.experiment)
        apart = mean_risk("consistency", quality, written.texts, full.texts, self._pairs)
        confidence, policy = key
        return Point(
            confidence=confidence,
            policy=policy,
            threshold=float(np.min(setting.threshold)),
            calibrated_for=setting.calibrated_for,
            quality=metrics[metrics_of(self.experiment)[0]],
            metrics=metrics,
            inconsistency=apart,
            mean_depth=mean_depth(counts_E, layers),
            ideal_speedup=ideal_speedup(counts_E, layers),
            flops_speedup=self._flops_speedup(key, written),
            exit_counts=tuple(counts_E.tolist()),
        )

    def _flops_speedup(self, key: Key, written: Written) -> float:
        """Of decoding each row by itself, once its source is read."""
        (confidence, policy), first = key, len(self.rows.opening) - 1
        exiting = exiting_of(self.experiment, confidence)
        asked = self.model.backbone.config, self.model.design, exiting, policy
        return decoding_flops_speedup(*asked, written.exit_NT, first, self._source_N)

    @cached_property
    def _source_N(self) -> Int[np.ndarray, " N"]:
        return np.array([len(row.source_S) for row in self.rows.splits["test"].rows])

    def _timed(self, name: str, reader: SourceReader, points: Sequence[Point]) -> list[Point]:
        """The points with measured speed-ups of reading sources and writing, together."""
        decoding = self.experiment.evaluation.decoding or Decoding()

        test = self.rows.splits["test"]
        apart = max(1, len(test.rows) // decoding.prompts)  # short sources stand before long
        some = Split(test.rows[::apart], test.label_N[::apart], test.lengths)

        static = StaticDecoding(len(self.model.design.layers) - 1)
        title = f"{name}: wall clock of decoding"
        return timed(
            self.experiment, static, points, some.batches, reader.run, self.display, title
        )
