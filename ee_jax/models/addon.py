"""Exits apart from their model: a folder of some KB or MB that names its base and knows it.

Where training leaves the backbone as it was, a run keeps what the exits learned and nothing
else: `exits.safetensors`, and in `exits.json` where the base lies and the fingerprint of its
files. Whoever reads the exits reads the base, which must still be the same.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from ee_jax.atomic_io import expanded, replacing
from ee_jax.errors import UserError
from ee_jax.manifest import entry_of, seal
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import (
    EXITS,
    OF_EXITS,
    check_unchanged,
    import_language,
    read_exits,
    shapes_of,
    write_exits,
)
from ee_jax.models.files import ADDON, is_addon
from ee_jax.models.huggingface import check_finite, from_tensors, to_tensors
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import HuggingFaceFolder, LanguageSource, find_language
from ee_jax.models.transformer import Parameters, bind, parameters


class Base(NamedTuple):
    """The model that exits were trained on."""

    weights: str  # what `find_language` takes
    sha256: str  # of its files


def base_of(weights: str) -> Base:
    """The base of this name, as it is now.

    Args:
      weights: what `find_language` takes; a path is kept as an absolute one.

    Raises:
      UserError: there is none.
    """
    path = expanded(weights)
    return Base(str(path.resolve()) if path.exists() else weights, _fingerprint(weights))


def _fingerprint(weights: str) -> str:
    files = sorted(find_language(weights).files(), key=lambda file: file.name)
    digests = [f"{file.name} {entry_of(file).sha256}\n" for file in files]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def export_addon(model: LanguageModel, base: Base, folder: Path, **notes: Any) -> None:
    """Writes what the exits of a model have of their own; the manifest comes last.

    Args:
      model: whose backbone is the base's.
      base: from `base_of`.
      folder: where; it is made.
      **notes: what stands in `exits.json` beside the design and the base.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_exits(folder, model.design, base=base._asdict(), **notes)
    tensors = to_tensors(model.backbone.config, _own(parameters(model)))
    with replacing(folder / ADDON) as part:
        save_file(tensors, part, metadata={"format": "pt"})
    seal(folder)


def _own(values: Parameters) -> Parameters:
    return {path: value for path, value in values.items() if path.startswith(OF_EXITS)}


def read_base(folder: Path) -> LanguageSource:
    """The model that the exits of a folder were trained on.

    Raises:
      UserError: it cannot be found, or its files are no longer those of then.
    """
    given: Any = read_exits(folder, LanguageDesign).get("base")
    try:
        base = Base(**given)
        source = find_language(str(base.weights))
    except (TypeError, UserError) as error:
        raise UserError(
            f"{folder / EXITS} names a base that is not there ({error}): put it there, or "
            "train the exits again"
        ) from None
    if _fingerprint(base.weights) != base.sha256:
        raise UserError(
            f"the exits in {folder} were trained on {base.weights} as it was then, and its "
            "files have changed: fetch those of then, or train the exits again"
        )
    return source


class Addon(HuggingFaceFolder):
    """The base under exits that are kept apart; its tokenizer lies with the exits."""

    def weights(self, precision: str = "float32") -> tuple[Architecture, Parameters]:
        """Those of the base."""
        return read_base(self.path).weights(precision)

    @property
    def reads_sources(self) -> bool:
        """As the base does."""
        return read_base(self.path).reads_sources

    def tokenizer(self, vocabulary: int) -> Tokenizer:
        """Of the run, where it kept one; else the base's."""
        if (self.path / "tokenizer.json").is_file():
            return super().tokenizer(vocabulary)
        return read_base(self.path).tokenizer(vocabulary)

    def ends(self) -> list[int]:
        """Those of the base."""
        return read_base(self.path).ends()

    def opening(self, vocabulary: int) -> list[int]:
        """That of the base."""
        return read_base(self.path).opening(vocabulary)

    def files(self) -> list[Path]:
        """The base's and the exits'."""
        return [*read_base(self.path).files(), self.path / EXITS, self.path / ADDON]


def read_language(folder: Path, precision: str = "float32") -> LanguageModel:
    """The language model of an exported folder, whole or exits alone.

    Args:
      folder: from `export_model` or `export_addon`.
      precision: in which it computes.

    Raises:
      UserError: it cannot be read, or what belongs together does not.
    """
    if not is_addon(folder):
        return import_language(folder, precision)
    check_unchanged(folder)
    design = read_exits(folder, LanguageDesign)["design"]
    config, values = read_base(folder).weights(precision)
    model = shapes_of(config, design)
    return bind(model, {**values, **_read_own(folder, config, parameters(model), precision)})


def _read_own(
    folder: Path, config: Architecture, wanted: Parameters, precision: str
) -> Parameters:
    path = folder / ADDON
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): train the exits again") from None
    for name, tensor in tensors.items():
        check_finite(tensor, name, folder)
    own = _own(wanted)
    if surplus := sorted(tensors.keys() - own.keys()):
        raise UserError(f"{folder / EXITS} has no place for {surplus[0]}: export again")
    return from_tensors(config, own, tensors, folder, precision=precision)
