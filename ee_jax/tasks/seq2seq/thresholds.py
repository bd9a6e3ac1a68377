"""The thresholds of an encoder-decoder's run that calibration chooses, on whole texts.

What is written after an early exit depends on that exit, so every threshold writes the texts of
the calibration split anew (CALM, Schuster et al. 2022, sec. 4). A text's risk is how far it is
from the full model's (textual consistency), or how much farther from its references (risk
consistency); a certified threshold keeps the mean of that over texts like those of the
calibration split at or below the level, but for delta of the calibration sets that might have
been drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.config import Experiment
from ee_jax.data.pairs import Pair
from ee_jax.display import Display
from ee_jax.evaluation.sourced import SourceReader, Written
from ee_jax.inference.methods import StaticDecoding
from ee_jax.results import Calibrated
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.calibrator import answers, risk_requests
from ee_jax.tasks.seq2seq.inputs import metrics_of, quality_of
from ee_jax.tasks.seq2seq.quality import losses
from ee_jax.tasks.seq2seq.rows import PairRows
from ee_jax.tasks.token_exits import Key, keys_of, method_of


@dataclass(frozen=True)
class TextCalibrator:
    """Chooses the thresholds of each strategy, confidence and policy of an experiment."""

    experiment: Experiment
    layers: tuple[int, ...]
    rows: PairRows
    folder: RunFolder
    display: Display

    @property
    def _threshold_K(self) -> Float[np.ndarray, " K"]:
        return np.array(sorted({1.0, *self.experiment.evaluation.thresholds}, reverse=True))

    def choose(self, name: str, reader: SourceReader) -> list[Calibrated]:
        """One for each confidence, policy, method and level; the traces are written."""
        asked = risk_requests(self.experiment.calibration)
        if not asked:
            return []
        return [
            choice
            for (confidence, policy), trace in self._traces(name, reader)
            for choice in answers(trace, asked, confidence=confidence, policy=policy)
        ]

    def _traces(self, name: str, reader: SourceReader) -> Iterator[tuple[Key, SequenceTrace]]:
        split, pairs = self.rows.splits["calibration"], self.rows.pairs["calibration"]
        batches = split.batches(self.experiment.evaluation.batch)
        keys = keys_of(self.experiment)
        threshold_K = self._threshold_K
        total = len(batches) * (1 + len(keys) * (len(threshold_K) - 1))
        with self.display.bar(f"{name}: calibration", total) as tick:
            full = reader.write(StaticDecoding(len(self.layers) - 1), None, batches, tick)
            for key in keys:
                method = method_of(self.experiment, key)
                settings = map(jnp.float32, threshold_K[1:])
                early = [reader.write(method, each, batches, tick) for each in settings]
                yield key, self._trace(name, key, [full, *early], pairs)

    def _trace(
        self, name: str, key: Key, written_K: list[Written], pairs: Sequence[Pair]
    ) -> SequenceTrace:
        """The trace of a confidence and a policy, which is written too."""
        (confidence, policy), risk = key, self.experiment.calibration.risk
        quality, full = quality_of(self.experiment), written_K[0].texts
        loss_KN = [losses(risk, quality, each.texts, full, pairs) for each in written_K]
        depth_KN = [written.mean_depths(self.layers) for written in written_K]
        header = {
            "loss": f"of the risk {risk}: 1 - {metrics_of(self.experiment)[0]}",
            "data": self.rows.record["name"],
            "split": "calibration",
            "model": name,
            "confidence": confidence,
            "policy": policy,
            "config_hash": self.folder.hash,
        }
        trace = SequenceTrace(
            self._threshold_K, np.array(loss_KN).T, np.array(depth_KN).T, header
        )
        path = self.folder.path / name / "traces" / f"calibration_{confidence}_{policy}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        trace.save(path)
        self.folder.wrote(path)
        return trace
