"""Language models on disk: weights without exits, and our own folders with them."""

from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import EXITS, read_exits
from ee_jax.models.files import find_weights, read_tensors
from ee_jax.models.huggingface import from_tensors, read_architecture
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.llama2c import read_llama2c
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.models.transformer import Transformer


def check_causal(config: Architecture) -> None:
    """Raises: UserError if the architecture is not a language model's."""
    if not config.causal:
        raise UserError(f"a {config.family} is no language model: give a decoder's weights")


def shapes_of(config: Architecture, design: LanguageDesign) -> LanguageModel:
    """A model as shapes only, to be bound to parameters.

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


def read_language(source: str) -> tuple[Architecture, Parameters]:
    """Architecture and parameters of a model without exits.

    Args:
      source: a llama2.c file, or whatever `find_weights` takes.

    Raises:
      UserError: no weights there, or not those of a language model.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return read_llama2c(path)
    folder = find_weights(source)
    config = read_architecture(folder)
    wanted = parameters(shapes_of(config, LanguageDesign((config.blocks,))))
    return config, from_tensors(config, wanted, read_tensors(folder), folder)


def add_exits(config: Architecture, values: Parameters, design: LanguageDesign) -> Parameters:
    """The parameters of the model with exits before they have learned anything.

    An exit's norm starts as the final one, a learned confidence as undecided.
    """
    wanted = parameters(shapes_of(config, design))

    def start(path: str, shape: jax.Array) -> jax.Array:
        if path.startswith("norms."):
            return values[f"backbone.final_norm.{path.rsplit('.', 1)[1]}"].copy()
        assert path.startswith("scores."), f"{path} is missing: it is no exit's own"
        return jnp.zeros(shape.shape)

    return {path: values[path] if path in values else start(path, shape)
            for path, shape in wanted.items()}  # fmt: skip


def with_exits(
    config: Architecture, values: Parameters, design: LanguageDesign
) -> LanguageModel:
    """The model whose parameters `add_exits` gives."""
    return bind(shapes_of(config, design), add_exits(config, values, design))


def import_language(folder: Path) -> LanguageModel:
    """The model that `export_model` wrote."""
    config = read_architecture(folder)
    check_causal(config)
    design = read_exits(folder, LanguageDesign)["design"]
    if design.layers[-1] != config.blocks:
        raise UserError(f"{folder / EXITS} does not belong to its config.json: export again")
    model = shapes_of(config, design)
    return bind(model, from_tensors(config, parameters(model), read_tensors(folder), folder))
