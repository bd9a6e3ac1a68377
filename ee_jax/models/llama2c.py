"""Checkpoints of llama2.c (Karpathy 2023) in its first format, fp32 without a version."""

from dataclasses import replace
from math import prod
from pathlib import Path
from struct import Struct

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ee_jax.atomic_io import expanded
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import check_sizes
from ee_jax.models.families.llama import llama
from ee_jax.models.files import has_weights
from ee_jax.models.huggingface import check_finite
from ee_jax.models.transformer import Parameters

# D, F, L, N, K, V and T; V is below 0 where the output projection is not the embedding.
HEADER = Struct("<7i")
Shapes = dict[str, tuple[int, ...]]


def read_llama2c(path: Path) -> tuple[Architecture, Parameters]:
    """The architecture, and the parameters of a language model on it that has no exits.

    Raises:
      UserError: there is no such file, or it is another format's.
    """
    try:
        config = _architecture(path)
        content = path.read_bytes() if config else b""
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): give a llama2.c .bin file") from None
    if config is None:
        raise UserError(
            f"{path} is not as long as its header says, or not of llama2.c's first format: "
            "fetch it again, export it with --version 0, or give the folder of safetensors"
        )
    tensors = _split(content, _shapes(config))
    del tensors["rotations"]  # computed here instead
    for name, own in tensors.items():
        check_finite(own, name, path)
    return config, _parameters(config, tensors)


def find_llama2c(source: str) -> Path | None:
    """The llama2.c checkpoint that a path names: a file, or the only one in a folder.

    A folder with weights of another kind is none, whatever else lies in it.

    Raises:
      UserError: there are several.
    """
    path = expanded(source)
    if path.is_file():
        return path
    if not path.is_dir() or has_weights(path):
        return None
    files = (file for file in sorted(path.glob("*.bin")) if file.is_file())
    found = [file for file in files if _architecture(file)]
    if len(found) > 1:
        raise UserError(f"{path} holds several models: give {' or '.join(map(str, found))}")
    return found[0] if found else None


def _architecture(path: Path) -> Architecture | None:
    """What the header says; None where it makes no sense, or the file is not as long."""
    with path.open("rb") as file:
        content = file.read(HEADER.size)
    if len(content) < HEADER.size:
        return None
    width, hidden, blocks, heads, kv_heads, vocabulary, time = HEADER.unpack(content)
    sizes = (abs(vocabulary), width, blocks, heads, kv_heads, hidden, time)
    if min(sizes) < 1 or width % heads:
        return None
    config = replace(llama(*sizes), tied_output=vocabulary > 0)
    try:
        check_sizes(config)
    except ValueError:
        return None
    numbers = sum(map(prod, _shapes(config).values()))
    return config if path.stat().st_size == HEADER.size + 4 * numbers else None


def _shapes(config: Architecture) -> Shapes:
    """The tensors in the file's order: ours by name, those of all blocks together."""
    D, F, L, V = config.width, config.hidden, config.blocks, config.vocabulary
    inner, kv_inner = config.heads * config.head_size, config.kv_heads * config.head_size
    shapes: Shapes = {
        "embedding.tokens.embedding": (V, D),
        "attention_norm.scale": (L, D),
        "attention.query.kernel": (L, inner, D),
        "attention.key.kernel": (L, kv_inner, D),
        "attention.value.kernel": (L, kv_inner, D),
        "attention.out.kernel": (L, D, inner),
        "mlp_norm.scale": (L, D),
        "mlp.gate.kernel": (L, F, D),
        "mlp.down.kernel": (L, D, F),
        "mlp.up.kernel": (L, F, D),
        "final_norm.scale": (D,),
        "rotations": (2, config.max_length, config.head_size // 2),
    }
    return shapes if config.tied_output else {**shapes, "output.kernel": (V, D)}


def _split(content: bytes, shapes: Shapes) -> dict[str, np.ndarray]:
    numbers = np.frombuffer(content, "<f4", offset=HEADER.size)
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    parts = np.split(numbers, ends[:-1])
    return {
        name: part.reshape(shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def _parameters(config: Architecture, tensors: dict[str, np.ndarray]) -> Parameters:
    values: Parameters = {}
    for name, tensor in tensors.items():
        if name == "output.kernel":
            values[name] = jnp.asarray(tensor.T)
        elif name.startswith(("embedding.", "final_norm.")):
            values[f"backbone.{name}"] = jnp.asarray(tensor)
        else:
            for index, own in enumerate(tensor):
                values[f"backbone.blocks.{index}.{name}"] = _block_value(config, name, own)
    return values


def _block_value(config: Architecture, name: str, tensor: np.ndarray) -> jnp.ndarray:
    if name.startswith(("attention.query.", "attention.key.")):
        tensor = halves(tensor, config.head_size)
    return jnp.asarray(tensor.T if name.endswith("kernel") else tensor)


def halves(weight_FD: Float[np.ndarray, "F D"], head_size: int) -> Float[np.ndarray, "F D"]:
    """The outputs of each head that turn together, moved from beside each other to halves.

    llama2.c rotates outputs 2i and 2i + 1 as a pair (Su et al. 2021, eq. 34), we i and i + H/2.
    """
    heads, width = weight_FD.shape[0] // head_size, weight_FD.shape[1]
    pairs = weight_FD.reshape(heads, head_size // 2, 2, width)
    return pairs.swapaxes(1, 2).reshape(weight_FD.shape)
