"""Backbones from a folder in the Hugging Face layout, and their parameters to its tensors."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.families import FAMILIES
from ee_jax.models.files import read_tensors
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.models.transformer import Transformer

Tensors = dict[str, Any]  # arrays by their checkpoint's names


def read_architecture(folder: Path) -> Architecture:
    """The architecture that `config.json` describes."""
    path = folder / "config.json"
    try:
        given = json.loads(path.read_text())
        return FAMILIES[given["model_type"]].read(given)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: copy it from where the weights came from"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} does not describe a model of {sorted(FAMILIES)}: {error!r}"
        ) from None


def write_config(config: Architecture) -> dict[str, Any]:
    """The architecture in the words of a Hugging Face `config.json`."""
    return {"model_type": config.family, **FAMILIES[config.family].write(config)}


def to_tensors(config: Architecture, values: Parameters) -> Tensors:
    """A model's parameters as tensors of a checkpoint of its family."""
    family = FAMILIES[config.family]
    names = family.names(config, values)
    tensors = {
        names[path]: np.asarray(value).T if path.endswith("kernel") else np.asarray(value)
        for path, value in values.items()
    }
    packed = family.pack(tensors)
    return {name: np.ascontiguousarray(tensor) for name, tensor in packed.items()}


def from_tensors(
    config: Architecture, wanted: Parameters, tensors: Tensors, where: Path
) -> Parameters:
    """A checkpoint's tensors as parameters shaped as `wanted`.

    Raises:
      UserError: some do not fit, and which; `where` is the folder they are from.
    """
    family = FAMILIES[config.family]
    unpacked = family.unpack(tensors)
    given = {name.removeprefix(family.prefix): tensor for name, tensor in unpacked.items()}
    fitted, wrong = {}, []
    for path, name in family.names(config, wanted).items():
        name, shape = name.removeprefix(family.prefix), wanted[path].shape
        tensor = given.get(name)
        if tensor is not None and path.endswith("kernel"):
            tensor = tensor.T
        if tensor is None or tensor.shape != shape:
            found = "missing" if tensor is None else f"{tensor.shape}, not {shape}"
            wrong.append(f"{name} ({found})")
        else:
            fitted[path] = jnp.asarray(tensor, jnp.float32)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(
            f"the weights in {where} do not fit its config.json: {', '.join(wrong[:3])}{more}; "
            "take both from one model"
        )
    return fitted


def load_backbone(folder: Path) -> Transformer:
    """The backbone of a Hugging Face folder: `config.json` and safetensors."""
    config = read_architecture(folder)
    backbone = nnx.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    wanted = parameters(backbone)
    return bind(backbone, from_tensors(config, wanted, read_tensors(folder), folder))
