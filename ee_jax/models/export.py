"""A model with its exits as safetensors and JSON, and back.

The backbone keeps its Hugging Face names, so that other tools can read the folder; the exits'
tensors follow ours, and `exits.json` says how they are put together.

Language models on disk: weights without exits, and our own folders with them.
"""

import dataclasses
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from ee_jax.atomic_io import replacing, write_json
from ee_jax.checks import check_types, is_rising
from ee_jax.errors import UserError
from ee_jax.manifest import MANIFEST, check_files, is_sealed, seal
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import ExitModel, exit_model_shapes
from ee_jax.models.files import WEIGHTS
from ee_jax.models.heads import HEADS, POOLINGS, ExitDesign
from ee_jax.models.huggingface import (
    from_tensors,
    read_checkpoint,
    to_tensors,
    write_config,
)
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.token_heads import TOKEN_HEADS, make_heads
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters

EXITS = "exits.json"
AnyModel = TypeVar("AnyModel", ExitModel, LanguageModel)
OF_EXITS = ("exits.", "heads.", "scores.")  # how the names of their tensors begin
EXPORT_AGAIN = (
    "copy the whole folder again, export the model again, or, if the change is yours, delete "
    f"{MANIFEST} beside it"
)


def export_model(
    model: ExitModel | LanguageModel,
    folder: Path,
    ends: Sequence[int] = (),
    opening: Sequence[int] = (),
    **notes: Any,
) -> None:
    """Writes `config.json`, `model.safetensors` and `exits.json`.

    The manifest comes last, of these and whatever else the folder holds, such as a tokenizer.

    Args:
      model: what is written.
      folder: where; it is made.
      ends: tokens that end a text, of which the config speaks.
      opening: one or two with which every text of a decoder with an encoder begins; likewise.
      **notes: what stands in `exits.json` beside the design.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = model.backbone.config
    tensors = to_tensors(config, parameters(model))
    write_exits(folder, model.design, **notes)
    described = {**write_config(config), **_labels(notes.get("classes", ()))}
    if ends:
        described["eos_token_id"] = list(ends)
    names = ("decoder_start_token_id", "forced_bos_token_id")
    described |= dict(zip(names, opening, strict=False))
    write_json(folder / "config.json", described)
    with replacing(folder / WEIGHTS) as part:
        save_file(tensors, part, metadata={"format": "pt"})
    seal(folder)


def write_exits(folder: Path, design: ExitDesign | LanguageDesign, **notes: Any) -> None:
    """Writes `exits.json`: the design, and what else a reader must know."""
    write_json(folder / EXITS, {"design": dataclasses.asdict(design), **notes})


def check_unchanged(folder: Path, *names: str) -> None:
    """Raises the UserError of files of the folder, or any, that its manifest tells changed."""
    if is_sealed(folder):
        check_files(folder, EXPORT_AGAIN, names or None)


def _labels(classes: Sequence[str]) -> dict[str, Any]:
    """The classes as Hugging Face's configs name them."""
    if not classes:
        return {}
    id2label = {str(number): name for number, name in enumerate(classes)}
    return {"id2label": id2label, "label2id": {name: int(n) for n, name in id2label.items()}}


def read_exits(
    folder: Path, kind: type[ExitDesign] | type[LanguageDesign] = ExitDesign
) -> dict[str, Any]:
    """The content of `exits.json`, its `design` as a `kind`."""
    path = folder / EXITS
    check_unchanged(folder, EXITS)
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        design = {**given["design"], "layers": tuple(given["design"]["layers"])}
        if not is_rising(design["layers"]):
            raise ValueError(f"its layers do not rise: {design['layers']}")
        made = kind(**design)
        check_types(made, "design.")
        if isinstance(made, LanguageDesign):
            _ = TOKEN_HEADS[made.head]  # raises where there is none of this name
            if made.head_width is not None and made.head_width < 1:
                raise ValueError(f"no head is {made.head_width} wide")
        if isinstance(made, ExitDesign) and (made.classes < 1 or made.pooling not in POOLINGS):
            raise ValueError(f"no model has {made.classes} classes, or pools {made.pooling!r}")
        return {**given, "design": made}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: only an exported model has exits") from None
    except (ValueError, KeyError, TypeError, OSError, RecursionError, UserError) as error:
        raise UserError(f"{path} does not describe exits ({error!r}): export again") from None


def import_model(folder: Path, precision: str = "float32") -> ExitModel:
    """The model that `export_model` wrote; where there is a manifest, its files are checked."""
    check_unchanged(folder)
    (config, tensors), design = read_checkpoint(folder), read_exits(folder)["design"]
    if design.head not in HEADS or design.layers[-1] != config.blocks:
        raise UserError(f"{folder / EXITS} does not belong to its config.json: export again")

    return _with_values(exit_model_shapes(config, design), tensors, folder, precision)


def _with_values(
    model: AnyModel, tensors: dict[str, np.ndarray], folder: Path, precision: str
) -> AnyModel:
    """The model with the tensors of a folder, which are its own and no more."""
    wanted = parameters(model)
    surplus = [name for name in tensors if name.startswith(OF_EXITS) and name not in wanted]
    if surplus:
        raise UserError(
            f"{folder / EXITS} has no place for {surplus[0]}, which the weights have: export "
            "again"
        )
    config = model.backbone.config
    values = from_tensors(config, wanted, tensors, folder, precision=precision)
    return bind(model, values)


def check_causal(config: Architecture) -> None:
    """Raises: UserError if the architecture is not a language model's."""
    if not config.causal:
        raise UserError(f"a {config.family} is no language model: give a decoder's weights")


@lru_cache(maxsize=8)
def shapes_of(config: Architecture, design: LanguageDesign) -> LanguageModel:
    """A model as shapes only, to be bound to parameters; one for all who ask for the same.

    Raises:
      UserError: the architecture is not a language model's, or has other blocks.
    """
    check_causal(config)
    if design.layers[-1] != config.blocks:
        raise UserError(
            f"the last exit is after block {design.layers[-1]}, but the model has "
            f"{config.blocks} blocks: take both from one model"
        )

    def make() -> LanguageModel:
        rngs = nnx.Rngs(0)
        return LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs)

    return nnx.eval_shape(make)


def add_exits(config: Architecture, values: Parameters, design: LanguageDesign) -> Parameters:
    """The parameters of the model with exits before they have learned anything.

    A head starts as the logit lens, its last norm as the final one, where there is a final one;
    a learned confidence as undecided.
    """
    wanted = parameters(shapes_of(config, design))
    rngs = nnx.Rngs(0)
    heads = nnx.List(make_heads(config, design.head, design.head_width, design.layers, rngs))
    made = {f"heads.{path}": value for path, value in parameters(heads).items()}

    def start(path: str, shape: jax.Array) -> jax.Array:
        owner, name = path.rsplit(".", 1)
        final = f"backbone.final_norm.{name}"  # where blocks do not end in a norm
        if owner.startswith("heads.") and owner.endswith(".out_norm") and final in values:
            return values[final].copy()
        if path in made:
            return made[path]
        assert path.startswith("scores."), f"{path} is missing: it is no exit's own"
        return jnp.zeros(shape.shape)

    return {path: values[path] if path in values else start(path, shape)
            for path, shape in wanted.items()}  # fmt: skip


def with_exits(
    config: Architecture, values: Parameters, design: LanguageDesign
) -> LanguageModel:
    """The model whose parameters `add_exits` gives."""
    return bind(shapes_of(config, design), add_exits(config, values, design))


def import_language(folder: Path, precision: str = "float32") -> LanguageModel:
    """The model that `export_model` wrote; where there is a manifest, its files are checked."""
    check_unchanged(folder)
    config, tensors = read_checkpoint(folder)
    check_causal(config)
    design = read_exits(folder, LanguageDesign)["design"]
    if design.layers[-1] != config.blocks:
        raise UserError(f"{folder / EXITS} does not belong to its config.json: export again")
    return _with_values(shapes_of(config, design), tensors, folder, precision)
