"""A trained classifier, or regression, as a function of texts: loaded, compiled, asked.

model = ee_jax.load("runs/quickstart/joint")
for answer in model(["Opens a file.", "Returns the sine of x."], threshold=0.9):
    answer.label, answer.probability, answer.depth
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array

from ee_jax.compilation import Program
from ee_jax.data.batches import Batch, evaluation_batches
from ee_jax.data.text import Text, TokenRow, encode, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import threshold_rule
from ee_jax.exits.stopping import Limits, Stopping, make_limits
from ee_jax.inference.early_exit import early_exit
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import EXITS, export_model, import_model, read_exits
from ee_jax.models.flops import exit_flops, static_flops
from ee_jax.models.transformer import Parameters, bind
from ee_jax.runs.trained import (
    Trained,
    read_calibration,
    write_calibration,
)
from ee_jax.tokens import Tokens

BATCH = 32  # texts in a compiled batch
AHEAD = 8  # batches that are read before their texts are put into buckets of like length


class Answer(NamedTuple):
    """What the model says of one text, and where it stopped."""

    label: str | float  # the class's name; a regression's score
    probability: float | None  # of the class at that exit; None of a score
    depth: int  # blocks that were run
    confidence: float  # by which it stopped


@dataclass
class Work:
    """What a model has done so far."""

    texts: int = 0
    blocks: int = 0  # over all texts
    flops: int = 0
    full_flops: int = 0  # had every block run
    cut: int = 0  # texts that were longer than the model's lengths, and lost their end

    def summary(self, blocks: int) -> dict[str, float]:
        """Means over the texts, of a model of so many blocks.

        The full model reads its last head alone, so the share of its FLOPs can exceed 1.
        """
        return {
            "texts": self.texts,
            "mean_depth": self.blocks / self.texts,
            "share_of_blocks": self.blocks / self.texts / blocks,
            "share_of_flops": self.flops / self.full_flops,
            "cut": self.cut,
        }


class TrainedClassifier(Trained[ExitModel]):
    """A classifier or a regression of a run, ready to answer; see `Trained`.

    Attributes:
      classes: their names; none of a regression.
      data: the name of the data set that it was trained on.
      work: what it has done so far.
    """

    def __init__(self, folder: Path, precision: str | None = None):
        self._notes = notes = read_exits(folder)
        self.precision: str = precision or notes.get("precision", "float32")
        self._model = import_model(folder, self.precision)
        self.tokenizer = load_tokenizer(folder)
        wanted = {"confidence", *Stopping._fields}
        if lacks := sorted(wanted - {*notes.get("exits", ())}):
            what = f"{folder / EXITS} does not say the exits' {', '.join(lacks)}"
            raise UserError(f"{what}: train and export it again")
        self._exits, self._lengths = notes["exits"], tuple(notes["lengths"])
        self.classes, self.exits = tuple(notes["classes"]), notes["design"].layers
        self.data: str = notes["data"]
        self._calibration = read_calibration(folder) or {"choices": []}
        self._temperature_E = np.asarray(
            self._calibration.get("temperature_E", np.ones(len(self.exits)))
        )
        self.choices = {
            choice["label"]: tuple(choice["threshold_E"] or ()) or choice["threshold"]
            for choice in self._calibration["choices"]
        }
        self.work = Work()

    def write(self, folder: Path) -> None:
        """Writes the model, its tokenizer, temperatures and chosen thresholds."""
        self.tokenizer.save(str(folder / "tokenizer.json"))
        temperatures = {"temperature_E": self._temperature_E.tolist()}
        write_calibration(folder, temperatures, self._calibration["choices"])
        notes = {name: note for name, note in self._notes.items() if name != "design"}
        export_model(self._model, folder, **{**notes, "precision": self.precision})

    def _logits(self, model: ExitModel, tokens: Tokens) -> Array:
        return model.answers(model.features(tokens)).logits

    @property
    def longest(self) -> int:
        """Tokens of a text that are read."""
        return self._lengths[-1]

    @cached_property
    def _program(self) -> Program:
        model, confidence = self._model, self._exits["confidence"]
        stopping = Stopping(*(self._exits[name] for name in Stopping._fields))

        def run(shared: tuple[Parameters, Limits], tokens: Tokens) -> Stopped:
            values, limits = shared
            rule = threshold_rule(confidence, limits, stopping)
            return early_exit(bind(model, values), tokens, rule)

        return Program(run)

    def __call__(
        self,
        texts: Sequence[Text],
        threshold: float | Sequence[float] = 1.0,
        batch: int = BATCH,
    ) -> list[Answer]:
        """The answers to a list of texts, or of pairs of texts, in their order.

        Args:
          texts: what to answer.
          threshold: an exit answers where its confidence is above it, or above its own of a
            threshold an exit; 1: all blocks run.
          batch: texts in a compiled batch.
        """
        return list(self.stream(texts, threshold, batch))

    def stream(
        self,
        texts: Iterable[Text],
        threshold: float | Sequence[float] = 1.0,
        batch: int = BATCH,
        ahead: int = AHEAD,
    ) -> Iterator[Answer]:
        """The same, of texts that come one by one: `ahead` batches are read before the next.

        Raises:
          UserError: a threshold that is none.
        """
        threshold_E = np.asarray(threshold, np.float32)
        fits = threshold_E.size in (1, len(self.exits))
        if not (fits and np.all((threshold_E >= 0) & (threshold_E <= 1))):
            raise UserError(f"threshold {threshold}: it is from 0 to 1 (all blocks run)")
        limits = make_limits(threshold_E, self.exits, self._temperature_E)
        coming = iter(texts)
        while some := list(islice(coming, ahead * batch)):
            yield from self._answers(some, limits, batch)

    def _answers(self, texts: list[Text], limits: Limits, batch: int) -> list[Answer]:
        longest = self._lengths[-1]
        rows = encode(self.tokenizer, texts, longest + 1)
        if cut := sum(len(row) > longest for row in rows):
            self.work.cut += cut
            rows = encode(self.tokenizer, texts, longest)  # which keeps the final [SEP]
        answers: dict[int, Answer] = {}
        for made in self.batches(rows, batch):
            out = self._program((self.parameters, limits), made.tokens)
            answers |= self._read(out, limits, made)
        found = [answers[number] for number in range(len(texts))]
        self._count(rows, found)
        return found

    def _count(self, rows: list[TokenRow], found: list[Answer]) -> None:
        config, design = self._model.backbone.config, self._model.design
        for row, answer in zip(rows, found, strict=True):
            exit = self.exits.index(answer.depth)
            self.work.flops += exit_flops(config, design, len(row))[exit]
            self.work.full_flops += static_flops(config, design, len(row))
        self.work.texts += len(found)
        self.work.blocks += sum(answer.depth for answer in found)

    def batches(self, rows: list[TokenRow], batch: int) -> Iterator[Batch]:
        """Texts of like length in batches, each padded to one of the model's lengths."""
        none_N = np.zeros(len(rows), np.int32)
        return evaluation_batches(rows, none_N, lengths=self._lengths, batch=batch)

    def _read(self, out: Stopped, limits: Limits, made: Batch) -> dict[int, Answer]:
        logits_BC, exit_B = np.asarray(out.logits_BC, np.float64), np.asarray(out.exit_B)
        confidence_B = np.asarray(out.confidence_B)
        temperature_B = np.asarray(limits.temperature_E)[exit_B]
        found = {}
        for b in np.flatnonzero(made.valid_B):
            said = self._say(logits_BC[b], float(temperature_B[b]))
            depth, sure = self.exits[exit_B[b]], float(confidence_B[b])
            found[int(made.index_B[b])] = Answer(*said, depth, sure)
        return found

    def _say(self, logits_C: np.ndarray, temperature: float) -> tuple[Any, float | None]:
        if not self.classes:
            return float(logits_C[0]), None
        scaled_C = (logits_C - logits_C.max()) / temperature
        p_C = np.exp(scaled_C) / np.exp(scaled_C).sum()
        return self.classes[int(logits_C.argmax())], float(p_C.max())
