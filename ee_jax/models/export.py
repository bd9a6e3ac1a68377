"""A model with its exits as safetensors and JSON, and back.

The backbone keeps its Hugging Face names, so that other tools can read the folder; the exits'
tensors follow ours, and `exits.json` says how they are put together.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flax import nnx
from safetensors.numpy import save_file

from ee_jax.checks import is_rising
from ee_jax.errors import UserError
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.files import WEIGHTS, read_tensors
from ee_jax.models.heads import HEADS, ExitDesign
from ee_jax.models.huggingface import (
    from_tensors,
    read_architecture,
    to_tensors,
    write_config,
)
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.parameters import bind, parameters
from ee_jax.models.transformer import Transformer

EXITS = "exits.json"


def export_model(model: ExitModel | LanguageModel, folder: Path, **notes: Any) -> None:
    """Writes `config.json`, `model.safetensors` and `exits.json` with `notes` beside it.

    The weights come last and in one move: a folder that has them is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = model.backbone.config
    tensors = to_tensors(config, parameters(model))
    design = dataclasses.asdict(model.design)
    (folder / EXITS).write_text(json.dumps({"design": design, **notes}, indent=1) + "\n")
    described = {**write_config(config), **_labels(notes.get("classes", ()))}
    (folder / "config.json").write_text(json.dumps(described, indent=1) + "\n")
    part = folder / f"{WEIGHTS}.part"
    save_file(tensors, part, metadata={"format": "pt"})
    os.replace(part, folder / WEIGHTS)


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
    try:
        given = json.loads(path.read_text())
        design = {**given["design"], "layers": tuple(given["design"]["layers"])}
        if not is_rising(design["layers"]):
            raise ValueError(f"its layers do not rise: {design['layers']}")
        return {**given, "design": kind(**design)}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: only an exported model has exits") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not describe exits ({error!r}): export again") from None


def import_model(folder: Path) -> ExitModel:
    """The model that `export_model` wrote."""
    config, design = read_architecture(folder), read_exits(folder)["design"]
    if design.head not in HEADS or design.layers[-1] != config.blocks:
        raise UserError(f"{folder / EXITS} does not belong to its config.json: export again")

    def make() -> ExitModel:
        rngs = nnx.Rngs(0)
        return ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)

    model = nnx.eval_shape(make)
    wanted = parameters(model)
    return bind(model, from_tensors(config, wanted, read_tensors(folder), folder))
