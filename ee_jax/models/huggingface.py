"""Backbones from a folder in the Hugging Face layout, and their parameters to its tensors."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.families import FAMILIES
from ee_jax.models.families.family import (
    Config,
    Family,
    Tensors,
    check_sizes,
    refuse_others,
)
from ee_jax.models.files import read_tensors
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters

# Masks and tables that older checkpoints keep in their blocks, and that nothing learns.
BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


def read_architecture(folder: Path) -> Architecture:
    """The architecture that `config.json` describes."""
    path = folder / "config.json"
    try:
        given = json.loads(path.read_text())
        refuse_others(given, quantization_config=None)
        if given["model_type"] not in FAMILIES:
            raise ValueError(FAMILIES.unknown(given["model_type"]))
        config = FAMILIES[given["model_type"]].read(given)
        check_sizes(config)
        return config
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: copy it from where the weights came from"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise UserError(
            f"{path} does not describe a model of {sorted(FAMILIES)}: {error!r}"
        ) from None


def write_config(config: Architecture) -> Config:
    """The architecture in the words of a Hugging Face `config.json`."""
    return {"model_type": config.family, **FAMILIES[config.family].write(config)}


def to_tensors(config: Architecture, values: Parameters) -> Tensors:
    """A model's parameters as tensors of a checkpoint of its family."""
    family = FAMILIES[config.family]
    names = family.names(config, values)
    tensors = {names[path]: _turned(path, np.asarray(value)) for path, value in values.items()}
    return {name: np.ascontiguousarray(own) for name, own in family.pack(tensors).items()}


def from_tensors(
    config: Architecture, wanted: Parameters, tensors: Tensors, where: Path
) -> Parameters:
    """A checkpoint's tensors as parameters shaped as `wanted`, in fp32.

    Raises:
      UserError: some do not fit, and which; `where` is the folder they are from.
    """
    family = FAMILIES[config.family]
    given = {family.bare(name): own for name, own in family.unpack(tensors).items()}
    names = {path: family.bare(name) for path, name in family.names(config, wanted).items()}
    values = {path: _turned(path, given[name]) for path, name in names.items() if name in given}
    if wrong := _misfits(wanted, values, names) + _surplus(family, given, names):
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(
            f"the weights in {where} do not fit its config.json: {', '.join(wrong[:3])}{more}; "
            "take both from one model"
        )
    return {path: jnp.asarray(value, jnp.float32) for path, value in values.items()}


def _turned(path: str, tensor: np.ndarray) -> np.ndarray:
    """A kernel of ours is [inputs, outputs], theirs the other way round."""
    return tensor.T if path.endswith("kernel") else tensor


def _misfits(wanted: Parameters, values: Tensors, names: dict[str, str]) -> list[str]:
    """The tensors that are missing or of another kind, each with what is wrong."""
    wrong = []
    for path, value in wanted.items():
        if path not in values:
            wrong.append(f"{names[path]} (missing)")
        elif values[path].shape != value.shape:
            wrong.append(f"{names[path]} ({values[path].shape}, not {value.shape})")
        elif not jnp.issubdtype(values[path].dtype, jnp.floating):
            wrong.append(f"{names[path]} ({values[path].dtype}, no floats)")
    return wrong


def _surplus(family: Family, given: Tensors, names: dict[str, str]) -> list[str]:
    """Tensors of blocks that the architecture has no place for: a bias, a block more."""
    blocks = family.stem.split("{}")[0]
    return [
        f"{name} (surplus)"
        for name in sorted(given.keys() - set(names.values()))
        if name.startswith(blocks) and not name.endswith(BUFFERS)
    ]


def load_backbone(folder: Path) -> Transformer:
    """The backbone of a Hugging Face folder: `config.json` and safetensors."""
    config = read_architecture(folder)
    backbone = nnx.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    wanted = parameters(backbone)
    return bind(backbone, from_tensors(config, wanted, read_tensors(folder), folder))
