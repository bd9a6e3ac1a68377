"""What one family of checkpoints is: names, and how to read and write its `config.json`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ee_jax.models.architecture import Activation, Architecture

Config = dict[str, Any]  # the content of a `config.json`
Tensors = dict[str, Any]  # arrays by their checkpoint's names

# Our last name to theirs; a `kernel` is stored transposed.
LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
# Their activations to ours.
ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def _as_they_are(tensors: Tensors) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Fused:
    """A projection of a checkpoint that is several of ours: the rows of one after another.

    Or with `by_head` the rows of all parts of one head, then those of the next.
    """

    whole: str  # its name within a block
    parts: tuple[str, ...]  # query, key and value; or a gate and what it gates
    by_head: bool = False

    def split(self, config: Architecture, tensor: np.ndarray) -> list[np.ndarray] | None:
        """The parts of a weight or a bias; None of one that has other rows."""
        rows = self._rows(config)
        if tensor.ndim == 0 or tensor.shape[0] != sum(rows):
            return None
        if not self.by_head:
            return np.split(tensor, np.cumsum(rows)[:-1])
        heads = tensor.reshape(config.heads, len(rows), -1, *tensor.shape[1:])
        return [heads[:, part].reshape(-1, *tensor.shape[1:]) for part in range(len(rows))]

    def join(self, config: Architecture, parts: list[np.ndarray]) -> np.ndarray:
        """Back from what `split` gives."""
        if not self.by_head:
            return np.concatenate(parts)
        heads = [part.reshape(config.heads, -1, *part.shape[1:]) for part in parts]
        return np.concatenate(heads, axis=1).reshape(-1, *parts[0].shape[1:])

    def _rows(self, config: Architecture) -> tuple[int, ...]:
        if len(self.parts) == 2:
            return config.hidden, config.hidden
        keys = config.kv_heads * config.head_size
        return config.heads * config.head_size, keys, keys


@dataclass(frozen=True)
class Family:
    """How the checkpoints of one family are laid out.

    `read` makes an architecture of a config, raising ValueError or KeyError for one that is not
    built here, and `write` goes back. `unpack` gives a checkpoint's tensors the form of
    matrices [outputs, inputs], of which the `fused` ones hold several; and `pack` goes back.
    """

    prefix: str  # before a backbone's names in a model with a head
    modules: dict[str, str]  # our module's dotted path to theirs, outside the blocks
    stem: str  # theirs of a block, by number
    block: dict[str, str]  # ours to theirs, within a block
    read: Callable[[Config], Architecture]
    write: Callable[[Architecture], Config]
    unpack: Callable[[Tensors], Tensors] = _as_they_are
    pack: Callable[[Tensors], Tensors] = _as_they_are
    fused: tuple[Fused, ...] = ()
    output: str = "lm_head"  # theirs of a language model's projection to the vocabulary
    encoder_stem: str = ""  # of an encoder's blocks, where a decoder has one
    encoder_block: dict[str, str] = field(default_factory=dict)

    def opened(self, config: Architecture, tensors: Tensors) -> Tensors:
        """A checkpoint's tensors with a matrix for each projection."""
        tensors = self.unpack(tensors)
        for name in [*tensors] if self.fused else ():
            for fused in self.fused:
                whole = f".{fused.whole}."
                parts = fused.split(config, tensors[name]) if whole in name else None
                if parts is not None:
                    del tensors[name]
                    names = [name.replace(whole, f".{part}.") for part in fused.parts]
                    tensors |= dict(zip(names, parts, strict=True))
                    break
        return tensors

    def closed(self, config: Architecture, tensors: Tensors) -> Tensors:
        """Back from what `opened` gives."""
        for fused in self.fused:
            first = f".{fused.parts[0]}."
            for name in [name for name in tensors if first in name]:
                names = [name.replace(first, f".{part}.") for part in fused.parts]
                parts = [tensors.pop(part) for part in names]
                whole = name.replace(first, f".{fused.whole}.")
                tensors[whole] = fused.join(config, parts)
        return self.pack(tensors)

    def bare(self, name: str) -> str:
        """The tensor's name as a backbone saved alone has it, without the prefix."""
        return name.removeprefix(self.prefix)

    def names(self, config: Architecture, paths: Iterable[str]) -> dict[str, str]:
        """The tensor's name of each parameter at our dotted paths.

        What Hugging Face has no name for (exits) keeps its path.
        """
        modules = dict(self.modules)
        for index in range(config.stored_blocks):
            for ours, theirs in self.block.items():
                modules[f"blocks.{index}.{ours}"] = f"{self.stem.format(index)}.{theirs}"
        for index in range(config.encoder.stored_blocks if config.encoder else 0):
            for ours, theirs in self.encoder_block.items():
                path = f"encoder.blocks.{index}.{ours}"
                modules[path] = f"{self.encoder_stem.format(index)}.{theirs}"

        def name(path: str) -> str:
            if path == "output_bias":
                return f"{self.output}.bias"
            module, leaf = path.removeprefix("backbone.").rsplit(".", 1)
            if module == "output" and module not in modules:  # of a language model
                return f"{self.output}.{LEAVES[leaf]}"
            if module not in modules:
                return path
            return f"{self.prefix}{modules[module]}.{LEAVES[leaf]}"

        return {path: name(path) for path in paths}


def refuse_others(given: Config, **ours: Any) -> None:
    """Raises ValueError: a variant that is not built here would load and give wrong numbers."""
    for name, value in ours.items():
        if given.get(name, value) != value:
            raise ValueError(f"{name} is {given[name]!r:.40}, not {value!r}")


def check_sizes(config: Architecture) -> None:
    """Raises ValueError: sizes, each of them possible, of which no model can be built."""
    if config.width < config.heads:
        raise ValueError(f"{config.heads} heads cannot share a width of {config.width}")
    if config.heads % config.kv_heads:
        raise ValueError(f"{config.heads} heads cannot share {config.kv_heads} of keys evenly")
    ropes = [config.rope, config.local_rope or config.rope]
    turned = [rope.turned(config.head_size) for rope in ropes]
    if config.positions == "rope" and any(numbers % 2 or not numbers for numbers in turned):
        raise ValueError(
            f"a head of {config.head_size} does not turn in pairs, {turned[0]} of its numbers"
        )
    if config.max_length < 1:
        raise ValueError(f"{config.max_length} positions are left for tokens")


def read_activation(name: str, field: str = "hidden_act") -> Activation:
    """Our activation of an MLP, by what a field says; ValueError for one not built here."""
    if name not in ACTIVATIONS:
        raise ValueError(f"{field} is {name!r:.40}, not one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def write_activation(activation: Activation) -> str:
    """Its name in a config."""
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == activation)


def write_sizes(config: Architecture) -> Config:
    """A backbone's sizes, by the names that most configs have for them."""
    return {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.blocks,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "max_position_embeddings": config.max_length,
    }
