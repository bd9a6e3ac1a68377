"""The thresholds of a language model's run that calibration chooses, and what they promise.

The examples are rows of text, and a row's risk is the share of its tokens that the early-exit
model predicts unlike the full model, both reading the row's own tokens. A certified threshold
keeps the mean of that over rows like those of the calibration split at or below the level, but
for delta of the calibration sets that might have been drawn. Rows count as drawn independently
of each other: rows that a model wrote are, neighbouring rows of one document are not quite. It
is no promise of what the model writes when it goes on from its own tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from ee_jax.models.parameters import Parameters
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.calibrator import Chosen, Point, answers, requests
from ee_jax.tasks.language_modeling.inputs import Rows, data_of

Key = tuple[str, str]  # confidence and policy
RISK = "consistency"


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
        """Quality is agreement with the full model, so a tolerance is a level of the risk."""
        config = self.experiment.calibration
        plain = [
            Request(method="empirical", risk=RISK, level=tolerance)
            for tolerance in config.tolerances
        ]
        return [*plain, *requests(config)]

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
    ) -> list[Chosen]:
        """One for each confidence, policy, method and level; the traces are written."""
        if not self._requests:
            return []
        return [
            {"confidence": confidence, "policy": policy, **choice}
            for (confidence, policy), trace in self._traces(name, values, passes)
            for choice in answers(trace, self._requests)
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
        return trace


def of_key(chosen: Sequence[Chosen], key: Key) -> list[Chosen]:
    """What was chosen for a confidence and a policy."""
    return [choice for choice in chosen if (choice["confidence"], choice["policy"]) == key]


def on_test(choice: Chosen, points: Sequence[Point]) -> Chosen:
    """The choice with its risk and depth on the test split, from the point that it labels."""
    own = of_key(points, (choice["confidence"], choice["policy"]))
    point = next(point for point in own if choice["label"] in point["calibrated_for"])
    found = {"test_risk": 1 - point["agreement"], "test_mean_depth": point["mean_depth"]}
    return choice | found
