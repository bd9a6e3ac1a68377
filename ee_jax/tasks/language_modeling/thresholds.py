"""The thresholds of a language model's run that calibration chooses, and what they promise.

The examples are rows of text, and a row's risk is the share of its tokens that the early-exit
model predicts unlike the full model, both reading the row's own tokens. A certified threshold
keeps the mean of that over rows like those of the calibration split at or below the level, but
for delta of the calibration sets that might have been drawn. Rows count as drawn independently
of each other: rows that a model wrote are, neighbouring rows of one document are not quite. It
is no promise of what the model writes when it goes on from its own tokens.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.request import Request
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.config import Experiment
from ee_jax.data.batches import Batch, Split
from ee_jax.data.text import TokenRow
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.perplexity import EarlyExitPass, Predicted, trace_of_rows
from ee_jax.models.transformer import Parameters
from ee_jax.results import Calibrated
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.calibrator import answers, risk_requests
from ee_jax.tasks.language_modeling.inputs import data_of
from ee_jax.tasks.language_modeling.rows import Rows
from ee_jax.tasks.token_exits import Key

RISK = "consistency"
MEANING = (
    "the share of a row's tokens that are predicted unlike the full model, on the row's own "
    "text, not on what the model would write itself; its mean over rows like those of the "
    "calibration split, drawn independently of each other"
)


@dataclass(frozen=True)
class LanguageCalibrator:
    """Chooses the thresholds of each strategy, confidence and policy of an experiment.

    Raises:
      UserError: the calibration split has no whole row.
    """

    experiment: Experiment
    layers: tuple[int, ...]
    rows: Rows
    folder: RunFolder
    display: Display

    def __post_init__(self) -> None:
        if self._requests and not self._whole:
            length = data_of(self.experiment).length
            raise UserError(
                f"the calibration split has no row of {length} tokens: "
                "take more text, shorter rows (config field `data.length`), or no "
                "`calibration.methods` and `calibration.tolerances`"
            )

    @cached_property
    def _requests(self) -> list[Request]:
        return risk_requests(self.experiment.calibration)

    @cached_property
    def _whole(self) -> list[TokenRow]:
        """Rows of one length: the rest of a text, which is shorter, is not like the others."""
        split = self.rows.splits["calibration"]
        whole = [row for row in split.rows if len(row) == split.lengths[-1]]
        return whole[: self.experiment.calibration.rows]

    @cached_property
    def _batches(self) -> list[Batch]:
        split = self.rows.splits["calibration"]
        rows = Split(self._whole, split.label_N[: len(self._whole)], split.lengths)
        return rows.batches(self.experiment.evaluation.batch)

    @property
    def _threshold_K(self) -> Float[np.ndarray, " K"]:
        return np.array(sorted({1.0, *self.experiment.evaluation.thresholds}, reverse=True))

    def choose(
        self, name: str, values: Parameters, passes: Mapping[Key, EarlyExitPass]
    ) -> list[Calibrated]:
        """One for each confidence, policy, method and level; the traces are written."""
        if not self._requests:
            return []
        return [
            choice
            for (confidence, policy), trace in self._traces(name, values, passes)
            for choice in answers(trace, self._requests, confidence=confidence, policy=policy)
        ]

    def _traces(
        self, name: str, values: Parameters, passes: Mapping[Key, EarlyExitPass]
    ) -> Iterator[tuple[Key, SequenceTrace]]:
        total = len(passes) * len(self._threshold_K)
        with self.display.bar(f"{name}: calibration", total) as tick:
            for key, early in passes.items():
                found_K = []
                for threshold in self._threshold_K:
                    found_K.append(early(values, threshold, self._batches))
                    tick()
                yield key, self._trace(name, key, found_K)

    def _trace(self, name: str, key: Key, found_K: list[Predicted]) -> SequenceTrace:
        """The trace of a confidence and a policy, which is written too."""
        confidence, policy = key
        trace = trace_of_rows(
            found_K,
            self._threshold_K,
            self.layers,
            len(self._whole),
            loss="share of a row's tokens predicted unlike the full model, on given text",
            data=self.rows.record["name"],
            split="calibration",
            model=name,
            confidence=confidence,
            policy=policy,
            config_hash=self.folder.hash,
        )
        path = self.folder.path / name / "traces" / f"calibration_{confidence}_{policy}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        trace.save(path)
        self.folder.wrote(path)
        return trace
