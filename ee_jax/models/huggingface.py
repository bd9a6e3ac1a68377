"""Backbones from a folder in the Hugging Face layout, and their parameters to its tensors."""

import dataclasses
import json
from pathlib import Path
from typing import Any

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
from ee_jax.models.families.fields import check_fields
from ee_jax.models.files import read_tensors
from ee_jax.models.precision import dtype_of
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters

# Masks and tables that older checkpoints keep in their blocks, and that nothing learns.
BUFFERS = (
    *(f".{attention}.{mask}" for attention in ("attn", "attention")
      for mask in ("bias", "masked_bias")),
    ".rotary_emb.inv_freq",
)  # fmt: skip


def read_architecture(folder: Path) -> Architecture:
    """The architecture that `config.json` describes."""
    path = folder / "config.json"
    try:
        return describe(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: copy it from where the weights came from"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the file again") from None
    except (ValueError, KeyError, RecursionError) as error:
        lacks = isinstance(error, KeyError)
        what = f"it has no `{error.args[0]}`; fetch the file again" if lacks else str(error)
        raise UserError(f"{path} describes no model that is built here: {what}") from None


def describe(given: Any) -> Architecture:
    """The architecture of a config's content.

    Raises:
      ValueError or KeyError: no model that is built here.
    """
    if not isinstance(given, dict):
        raise ValueError("it is no object of names and values")
    refuse_others(given, quantization_config=None)
    check_fields(given)
    if given["model_type"] not in FAMILIES:
        raise ValueError(FAMILIES.unknown(given["model_type"]))
    config = FAMILIES[given["model_type"]].read(given)
    for part in (config, config.encoder or config):
        check_sizes(part)
    return config


def read_checkpoint(folder: Path) -> tuple[Architecture, Tensors]:
    """What `config.json` describes, and the tensors beside it, unpacked and without prefix.

    Nothing is built of a config before the tensors have been read, which bound its blocks.

    Raises:
      UserError: one of the two cannot be read, they are of two models, or a tensor holds what
        is no number.
    """
    config, tensors = read_architecture(folder), read_tensors(folder)
    for name, own in tensors.items():
        if not name.endswith(BUFFERS):
            check_finite(own, name, folder)
    family = FAMILIES[config.family]
    given = {family.bare(name): own for name, own in family.opened(config, tensors).items()}
    check_blocks(config, family, given, folder / "config.json")
    return _settle_output(config, given)


def check_blocks(config: Architecture, family: Family, tensors: Tensors, path: Path) -> None:
    """Raises UserError: the file at `path` describes more blocks than there are tensors of."""
    parts = [(config, family.stem), (config.encoder, family.encoder_stem)]
    for part, stem in ((part, stem) for part, stem in parts if part is not None):
        last = f"{stem.format(part.stored_blocks - 1)}."
        there = any(name.startswith(last) for name in tensors)
        if not there or part.stored_blocks > len(tensors):
            raise UserError(
                f"{path} describes {part.blocks} blocks, but of {len(tensors)} tensors with it "
                f"none is {last}...: take both from one model"
            )


def check_finite(tensor: np.ndarray, name: str, where: Path) -> None:
    """Raises UserError: the tensor has a NaN or, as fp32, an infinite number."""
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        return
    with np.errstate(over="ignore"):
        wrong = int(np.sum(~np.isfinite(np.asarray(tensor, np.float32))))
    if wrong:
        raise UserError(
            f"{name} in {where} holds {wrong} numbers that are NaN or infinite, of "
            f"{tensor.size}: no model computes with these; take another checkpoint"
        )


def _settle_output(config: Architecture, tensors: Tensors) -> tuple[Architecture, Tensors]:
    """Where the output is said to be the token embedding: whether it is.

    A model may be saved with either of the two, as they share their memory. Where both are
    there and differ they are not tied, whatever the config says, as in transformers 5.
    """
    family, path = FAMILIES[config.family], "embedding.tokens.embedding"
    output = f"{family.output}.weight"
    if not (config.causal and config.tied_output) or output not in tensors:
        return config, tensors
    table = family.bare(family.names(config, [path])[path])
    if table not in tensors:
        return config, {**tensors, table: tensors[output]}
    same = np.array_equal(tensors[table], tensors[output])
    return dataclasses.replace(config, tied_output=same), tensors


def write_config(config: Architecture) -> Config:
    """The architecture in the words of a Hugging Face `config.json`."""
    return {"model_type": config.family, **FAMILIES[config.family].write(config)}


def to_tensors(config: Architecture, values: Parameters) -> Tensors:
    """A model's parameters as tensors of a checkpoint of its family."""
    family = FAMILIES[config.family]
    names = family.names(config, values)
    tensors = {names[path]: _turned(path, np.asarray(value)) for path, value in values.items()}
    closed = family.closed(config, tensors)
    # In C order, which `ascontiguousarray` would give a number an axis for.
    return {name: np.asarray(own, order="C") for name, own in closed.items()}


def from_tensors(
    config: Architecture,
    wanted: Parameters,
    tensors: Tensors,
    where: Path,
    family: Family | None = None,
    precision: str = "float32",
) -> Parameters:
    """A checkpoint's tensors, as `read_checkpoint` gives them, shaped as `wanted`.

    Args:
      config: what they are the tensors of.
      wanted: the parameters, or their shapes.
      tensors: by their names; each is asked for its numbers once, and let go.
      where: the folder or file they are from.
      family: whose names they have; None: the architecture's.
      precision: that of the model; no tensor has a copy in another on the way.

    Raises:
      UserError: some do not fit, and which.
    """
    family = family or FAMILIES[config.family]
    names = {path: family.bare(name) for path, name in family.names(config, wanted).items()}
    there = {path: name for path, name in names.items() if name in tensors}
    values = {path: _turned(path, tensors[name]) for path, name in there.items()}
    if wrong := _misfits(wanted, values, names) + _surplus(family, tensors, names):
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        described = "header" if where.is_file() else "config.json"
        raise UserError(
            f"the weights in {where} do not fit its {described}: {', '.join(wrong[:3])}"
            f"{more}; take both from one model"
        )
    return {p: jnp.asarray(value, dtype_of(p, precision)) for p, value in values.items()}


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
    stems = [stem for stem in (family.stem, family.encoder_stem) if stem]
    blocks = tuple(stem.split("{}")[0] for stem in stems)
    return [
        f"{name} (surplus)"
        for name in sorted(given.keys() - set(names.values()))
        if name.startswith(blocks) and not name.endswith(BUFFERS)
    ]


def load_backbone(folder: Path) -> Transformer:
    """The backbone of a Hugging Face folder: `config.json` and safetensors."""
    config, tensors = read_checkpoint(folder)
    backbone = nnx.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    wanted = parameters(backbone)
    return bind(backbone, from_tensors(config, wanted, tensors, folder))
