"""What the benchmarks time: a preset with random weights and exits."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.compilation import Program
from ee_jax.errors import UserError
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import forced_rule
from ee_jax.inference.early_exit import compaction_sizes, early_exit
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.heads import ExitDesign
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.models.presets import PRESETS
from ee_jax.models.transformer import Transformer
from ee_jax.tokens import Tokens

Row = dict[str, Any]
SEED = 0  # of weights, tokens and mixed depths


@dataclass(frozen=True)
class Bench:
    """A model to time, and its programs."""

    name: str
    model: ExitModel  # shapes only
    values: Parameters

    @classmethod
    def of(cls, name: str, layers: tuple[int, ...] | None = None) -> "Bench":
        """The preset `name`, with exits after these `layers`, or after every block."""
        if name not in PRESETS:
            raise UserError(f"no model preset {name!r}: it is one of {', '.join(PRESETS)}")
        config, rngs = PRESETS[name], nnx.Rngs(SEED)
        design = ExitDesign(layers or tuple(range(1, config.blocks + 1)), classes=2)
        model = ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model)
        return cls(name, shapes, parameters(model))

    @property
    def blocks(self) -> int:
        """L."""
        return self.model.design.layers[-1]

    def static(self, depth: int) -> Program:
        """(values, tokens) -> logits_BC."""

        def run(values: Parameters, tokens: Tokens) -> Any:
            return static_logits(bind(self.model, values), tokens, depth)

        return Program(run)

    def exit(self, compact: bool = True) -> Program:
        """(values, tokens, depth_B) -> Stopped."""
        layers = self.model.design.layers

        def run(values: Parameters, tokens: Tokens, depth_B: Any) -> Stopped:
            rule = forced_rule("max_prob", depth_B, layers)
            sizes = compaction_sizes(tokens.ids_BT.shape[0]) if compact else ()
            return early_exit(bind(self.model, values), tokens, rule, sizes)

        return Program(run)

    def batch(self, batch: int, seq: int) -> Tokens:
        """Random tokens, none of them padding, which is 0 or 1."""
        config = self.model.backbone.config
        if seq > config.max_length:
            raise UserError(
                f"length {seq}: {self.name} reads at most {config.max_length} tokens"
            )
        draw = np.random.default_rng(SEED)
        ids_BT = draw.integers(2, config.vocabulary, size=(batch, seq))
        return Tokens(jnp.asarray(ids_BT, jnp.int32), jnp.ones((batch, seq), bool))
