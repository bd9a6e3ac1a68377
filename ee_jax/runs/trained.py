"""A trained classifier, or regression, as a function of texts: found, loaded, compiled, asked.

model = ee_jax.load("runs/quickstart/joint")
for answer in model(["Opens a file.", "Returns the sine of x."], threshold=0.9):
    answer.label, answer.probability, answer.depth

Where a trained classifier lies: in a run, in one strategy of it, or exported by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ee_jax.atomic_io import expanded, resolved
from ee_jax.compilation import Program
from ee_jax.data.batches import Batch, evaluation_batches
from ee_jax.data.registry import nearest
from ee_jax.data.text import Text, TokenRow, encode, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import threshold_rule
from ee_jax.exits.stopping import Limits, Stopping, make_limits
from ee_jax.inference.early_exit import early_exit
from ee_jax.manifest import check_files, is_sealed
from ee_jax.models.export import EXITS, check_unchanged, import_model, read_exits
from ee_jax.models.flops import exit_flops, static_flops
from ee_jax.models.precision import PRECISIONS
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.run_folder import read_object
from ee_jax.tokens import Tokens


def find_model(path: Path) -> Path:
    """The folder of the one exported classifier that a path speaks of."""
    if not path.is_dir():
        raise UserError(f"no folder {path}: give that of a run, or of an exported model")
    for folder in (path, path / "model"):
        if (folder / EXITS).is_file():
            _check_classifier(folder)
            return folder
    below = sorted(found.parent for found in path.glob(f"*/model/{EXITS}"))
    if len(below) > 1:
        names = " or ".join(str(folder.parent) for folder in below)
        raise UserError(f"{path} has several trained models: give {names}")
    if not below:
        raise UserError(
            f"{path} holds no trained model: finish its run, or give another folder"
        )
    _check_classifier(below[0])
    return below[0]


def _check_classifier(folder: Path) -> None:
    check_unchanged(folder, EXITS)
    notes = read_object(folder / EXITS, "export the model again")
    if "classes" not in {**notes.get("design", {})}:
        raise UserError(f"{folder} is a language model: ask it with `ee-jax generate`")


def read_calibration(
    folder: Path, exits: int
) -> tuple[np.ndarray, dict[str, float | tuple[float, ...]]]:
    """Temperatures and chosen thresholds that lie beside a run's model; else none."""
    path = folder / "calibration.json"
    if not path.is_file():
        return np.ones(exits), {}
    path = resolved(path)  # its manifest lists it by the folder's own name
    if is_sealed(run := path.parent.parent):
        mend = "delete results.json beside the strategy's folder, and run again"
        check_files(run, mend, [path.relative_to(run).as_posix()])
    found = read_object(path, "run its experiment again")
    choices = {
        choice["label"]: tuple(choice["threshold_E"] or ()) or choice["threshold"]
        for choice in found["choices"]
    }
    return np.asarray(found["temperature_E"]), choices


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


class TrainedClassifier:
    """A model of a run, ready to answer.

    Attributes:
      classes: their names; none of a regression.
      layers: blocks run at each exit.
      data: the name of the data set that it was trained on.
      choices: thresholds that the run's calibration chose, by label, such as `ltt 2 %`.
      precision: what it computes in.
      work: what it has done so far.
    """

    def __init__(self, folder: Path, precision: str | None = None):
        notes = read_exits(folder)
        self.precision: str = precision or notes.get("precision", "float32")
        self._model = import_model(folder, self.precision)
        self._tokenizer = load_tokenizer(folder)
        wanted = {"confidence", *Stopping._fields}
        if lacks := sorted(wanted - {*notes.get("exits", ())}):
            what = f"{folder / EXITS} does not say the exits' {', '.join(lacks)}"
            raise UserError(f"{what}: train and export it again")
        self._exits, self._lengths = notes["exits"], tuple(notes["lengths"])
        self.classes, self.layers = tuple(notes["classes"]), notes["design"].layers
        self.data: str = notes["data"]
        self._temperature_E, self.choices = read_calibration(folder.parent, len(self.layers))
        self.work = Work()

    @property
    def longest(self) -> int:
        """Tokens of a text that are read."""
        return self._lengths[-1]

    @cached_property
    def _values(self) -> Parameters:
        return parameters(self._model)

    @cached_property
    def _program(self) -> Program:
        model, confidence = self._model, self._exits["confidence"]
        stopping = Stopping(*(self._exits[name] for name in Stopping._fields))

        def run(shared: tuple[Parameters, Limits], tokens: Tokens) -> Stopped:
            values, limits = shared
            rule = threshold_rule(confidence, limits, stopping)
            return early_exit(bind(model, values), tokens, rule)

        return Program(run)

    def threshold_of(self, label: str) -> float | tuple[float, ...]:
        """The threshold that a calibration of the run chose.

        Raises:
          UserError: there is none of this label; says the nearest.
        """
        if label not in self.choices:
            known = nearest(label, [*self.choices]) if self.choices else "there is none"
            raise UserError(f"no calibration `{label}` in this run: {known}")
        return self.choices[label]

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
        fits = threshold_E.size in (1, len(self.layers))
        if not (fits and np.all((threshold_E >= 0) & (threshold_E <= 1))):
            raise UserError(f"threshold {threshold}: it is from 0 to 1 (all blocks run)")
        limits = make_limits(threshold_E, self.layers, self._temperature_E)
        coming = iter(texts)
        while some := list(islice(coming, ahead * batch)):
            yield from self._answers(some, limits, batch)

    def _answers(self, texts: list[Text], limits: Limits, batch: int) -> list[Answer]:
        longest = self._lengths[-1]
        rows = encode(self._tokenizer, texts, longest + 1)
        if cut := sum(len(row) > longest for row in rows):
            self.work.cut += cut
            rows = encode(self._tokenizer, texts, longest)  # which keeps the final [SEP]
        answers: dict[int, Answer] = {}
        for made in self._batches(rows, batch):
            out = self._program((self._values, limits), made.tokens)
            answers |= self._read(out, limits, made)
        found = [answers[number] for number in range(len(texts))]
        self._count(rows, found)
        return found

    def _count(self, rows: list[TokenRow], found: list[Answer]) -> None:
        config, design = self._model.backbone.config, self._model.design
        for row, answer in zip(rows, found, strict=True):
            exit = self.layers.index(answer.depth)
            self.work.flops += exit_flops(config, design, len(row))[exit]
            self.work.full_flops += static_flops(config, design, len(row))
        self.work.texts += len(found)
        self.work.blocks += sum(answer.depth for answer in found)

    def _batches(self, rows: list[TokenRow], batch: int) -> Iterator[Batch]:
        none_N = np.zeros(len(rows), np.int32)
        return evaluation_batches(rows, none_N, lengths=self._lengths, batch=batch)

    def _read(self, out: Stopped, limits: Limits, made: Batch) -> dict[int, Answer]:
        logits_BC, exit_B = np.asarray(out.logits_BC, np.float64), np.asarray(out.exit_B)
        confidence_B = np.asarray(out.confidence_B)
        temperature_B = np.asarray(limits.temperature_E)[exit_B]
        found = {}
        for b in np.flatnonzero(made.valid_B):
            said = self._say(logits_BC[b], float(temperature_B[b]))
            depth, sure = self.layers[exit_B[b]], float(confidence_B[b])
            found[int(made.index_B[b])] = Answer(*said, depth, sure)
        return found

    def _say(self, logits_C: np.ndarray, temperature: float) -> tuple[Any, float | None]:
        if not self.classes:
            return float(logits_C[0]), None
        scaled_C = (logits_C - logits_C.max()) / temperature
        p_C = np.exp(scaled_C) / np.exp(scaled_C).sum()
        return self.classes[int(logits_C.argmax())], float(p_C.max())


def load(path: str | Path, precision: str | None = None) -> TrainedClassifier:
    """The model of a run, or of an exported folder, as a function of texts.

    Args:
      path: a run's folder where it trained one strategy, else that of a strategy in it, or the
        folder of an exported model.
      precision: what it computes in, `float32` or `bfloat16`; None: what its run computed in,
        and so what its thresholds were chosen for.

    Returns:
      A model that is called with a list of texts, or of pairs.

    Raises:
      UserError: there is no such model, or more than one.
    """
    if precision is not None:
        _ = PRECISIONS[precision]  # raises where there is none of this name
    return TrainedClassifier(find_model(expanded(path)), precision)
