"""What one family of checkpoints is: names, and how to read and write its `config.json`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ee_jax.models.architecture import Activation, Architecture

Config = dict[str, Any]  # the content of a `config.json`
Tensors = dict[str, Any]  # arrays by their checkpoint's names

# Our last name to theirs; a `kernel` is stored transposed.
LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
# Their activations to ours.
ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "gelu_new": "gelu_tanh"}


def _as_they_are(tensors: Tensors) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Family:
    """How the checkpoints of one family are laid out.

    `read` makes an architecture of a config, raising ValueError or KeyError for one that is not
    built here, and `write` goes back. `unpack` gives a checkpoint's tensors the form of one
    matrix [outputs, inputs] for each projection, and `pack` goes back.
    """

    prefix: str  # before a backbone's names in a model with a head
    modules: dict[str, str]  # our module's dotted path to theirs, outside the blocks
    stem: str  # theirs of a block, by number
    block: dict[str, str]  # ours to theirs, within a block
    read: Callable[[Config], Architecture]
    write: Callable[[Architecture], Config]
    unpack: Callable[[Tensors], Tensors] = _as_they_are
    pack: Callable[[Tensors], Tensors] = _as_they_are

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

        def name(path: str) -> str:
            module, leaf = path.removeprefix("backbone.").rsplit(".", 1)
            if module == "output" and module not in modules:  # of a language model
                return f"lm_head.{LEAVES[leaf]}"
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
    if config.positions == "rope" and config.head_size % 2:
        raise ValueError(f"a head of {config.head_size} does not turn in pairs")
    if config.max_length < 1:
        raise ValueError(f"{config.max_length} positions are left for tokens")


def read_activation(name: str) -> Activation:
    """Our activation of a plain MLP; ValueError for one that is not built here."""
    if name not in ACTIVATIONS:
        raise ValueError(f"hidden_act is {name!r}, not one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def write_activation(activation: Activation) -> str:
    """Its name in a config."""
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == activation)
