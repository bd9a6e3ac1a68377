"""A model with its exits as safetensors and JSON, and back.

The backbone keeps its Hugging Face names, so that other tools can read the folder; the exits'
tensors follow ours, and `exits.json` says how they are put together.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.heads import HEADS, ExitDesign
from ee_jax.models.huggingface import WEIGHTS, fit_tensors, read_architecture, read_tensors
from ee_jax.models.names import module_names, tensor_name
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.models.transformer import Transformer

EXITS = "exits.json"


def write_config(config: Architecture) -> dict[str, Any]:
    """The architecture in the words of a Hugging Face `config.json`."""
    common = {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.blocks,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "max_position_embeddings": config.max_length,
    }
    if config.causal:
        rope = {"rope_theta": config.rope_theta, "rope_type": "default"}
        return {
            "model_type": "llama",
            "num_key_value_heads": config.kv_heads,
            "rms_norm_eps": config.norm_eps,
            "rope_parameters": rope,
            **common,
        }
    return {
        "model_type": "bert",
        "type_vocab_size": config.token_types,
        "layer_norm_eps": config.norm_eps,
        **common,
    }


def _names(config: Architecture, wanted: Parameters) -> dict[str, str]:
    modules = module_names(config)
    inner = {path: path.removeprefix("backbone.") for path in wanted}
    return {
        path: tensor_name(inner[path], modules) if path.startswith("backbone.") else path
        for path in wanted
    }


def export_model(model: ExitModel, folder: Path, **notes: Any) -> None:
    """Writes `config.json`, `model.safetensors` and `exits.json` with `notes` beside it.

    The weights come last and in one move: a folder that has them is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = parameters(model)
    config = model.backbone.config
    names = _names(config, values)
    tensors = {
        names[path]: np.ascontiguousarray(value.T if path.endswith("kernel") else value)
        for path, value in values.items()
    }
    design = dataclasses.asdict(model.design)
    (folder / EXITS).write_text(json.dumps({"design": design, **notes}, indent=1) + "\n")
    (folder / "config.json").write_text(json.dumps(write_config(config), indent=1) + "\n")
    part = folder / f"{WEIGHTS}.part"
    save_file(tensors, part, metadata={"format": "pt"})
    os.replace(part, folder / WEIGHTS)


def read_exits(folder: Path) -> dict[str, Any]:
    """The content of `exits.json`, its `design` as an `ExitDesign`."""
    path = folder / EXITS
    try:
        given = json.loads(path.read_text())
        design = {**given["design"], "layers": tuple(given["design"]["layers"])}
        return {**given, "design": ExitDesign(**design)}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: only an exported model has exits") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not describe exits ({error!r}): export again") from None


def import_model(folder: Path) -> ExitModel:
    """The model that `export_model` wrote."""
    config, design = read_architecture(folder), read_exits(folder)["design"]
    if design.head not in HEADS or design.layers[-1:] != (config.blocks,):
        raise UserError(f"{folder / EXITS} does not belong to its config.json: export again")

    def make() -> ExitModel:
        rngs = nnx.Rngs(0)
        return ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)

    model = nnx.eval_shape(make)
    wanted = parameters(model)
    return bind(
        model, fit_tensors(wanted, _names(config, wanted), read_tensors(folder), folder)
    )
