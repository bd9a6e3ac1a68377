"""The task of writing one text of another: translation, summaries, answers to questions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ee_jax.compilation import Planned
from ee_jax.config import ScratchT5
from ee_jax.data.batches import Split
from ee_jax.data.pairs import checksum
from ee_jax.data.text import SourcedRow
from ee_jax.models.transformer import Parameters
from ee_jax.results import StrategyResults
from ee_jax.tasks.inputs import checksums, exits_in_words, fingerprints, promises_in_words
from ee_jax.tasks.seq2seq.evaluate import TextEvaluator
from ee_jax.tasks.seq2seq.inputs import check, data_of, metrics_of, pairs_of, source_of
from ee_jax.tasks.seq2seq.programs import evaluation_programs
from ee_jax.tasks.seq2seq.quality import RISKS
from ee_jax.tasks.seq2seq.rows import lengths_of, make_rows
from ee_jax.tasks.seq2seq.thresholds import TextCalibrator
from ee_jax.tasks.token_exits import weights_of
from ee_jax.tasks.writing import Writing
from ee_jax.training.fit import Examples


class Seq2Seq(Writing):
    """An encoder reads a source, a decoder with exits writes the target."""

    def check(self) -> dict[str, str]:
        """Reads the weights and the pairs."""
        experiment = self.experiment
        self.take(check(experiment))
        self._pairs = pairs_of(experiment)
        config = self.weights.config
        assert config.encoder is not None
        counts = {split: len(pairs) for split, pairs in self._pairs.items()}
        told = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        read = f"{config.family}, an encoder of {config.encoder.blocks} blocks, a decoder of"
        return {
            "weights": f"{weights_of(experiment)}: {read} {exits_in_words(self.layout.layers)}",
            "data": f"{data_of(experiment).name}: pairs: {told}",
            "calibration": promises_in_words(experiment.calibration, counts["calibration"]),
        }

    def inputs(self) -> dict[str, str]:
        """The files of the weights, and the pairs."""
        source = source_of(self.experiment)
        files = fingerprints(source.files()) if source is not None else {}
        digests = {split: checksum(pairs) for split, pairs in self._pairs.items()}
        return files | checksums({"name": data_of(self.experiment).name, "checksum": digests})

    def prepare(self) -> None:
        """Makes rows of the pairs; the tokenizer is kept in the run's folder."""
        experiment, display = self.experiment, self.display
        model: Any = source_of(experiment)
        if model is None:
            model = experiment.model
        vocabulary = self.weights.config.vocabulary
        given = model if isinstance(model, ScratchT5) else (model, vocabulary)
        self._rows = make_rows(data_of(experiment), self._pairs, given, self.folder)
        layers = self.layout.layers
        calibrator = TextCalibrator(experiment, layers, self._rows, self.folder, display)
        self._evaluator = TextEvaluator(experiment, self.model, self._rows, calibrator, display)

    @property
    def train(self) -> Split:
        """Pairs, none of them too long."""
        return self._rows.splits["train"]

    @property
    def ends(self) -> list[int]:
        """The tokens that end a text."""
        return [*self._rows.ends]

    @property
    def opening(self) -> Sequence[int]:
        """The tokens from which a text is written."""
        return self._rows.opening

    def programs(self) -> Iterator[Planned]:
        """Training steps, encoders and decoders."""
        data = data_of(self.experiment)
        lengths, stretch = lengths_of(data), data.target_length / data.source_length
        rows = [
            SourcedRow(np.zeros(n, np.int32), np.zeros(1, np.int32), stretch) for n in lengths
        ]
        examples = Examples(rows, np.zeros(len(rows), np.int32), lengths)
        yield from self.training_steps(lambda stage: examples, len(self._pairs["train"]))
        source = source_of(self.experiment)
        ends = [0] if source is None else source.ends()
        values = self.values_to_answer
        yield from evaluation_programs(self.experiment, self.model, values, ends, self.mesh)

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """Exits, thresholds, texts and wall clock; traces are written."""
        return self._evaluator.evaluate(strategy, values)

    def describe(self) -> dict[str, Any]:
        """Data, model, metrics, and what the risk counts."""
        risk = self.experiment.calibration.risk
        return {
            "metrics": metrics_of(self.experiment),
            "risks": {risk: RISKS[risk]},
            "data": self._rows.record,
            "model": self.model_record,
        }
