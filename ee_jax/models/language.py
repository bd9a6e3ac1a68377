"""A decoder-only language model that may answer after some of its blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.exit_features import PLAIN, Forward, exit_features
from ee_jax.models.token_heads import FINAL_NORM, make_heads
from ee_jax.models.transformer import State, Transformer
from ee_jax.tokens import Tokens


@dataclass(frozen=True)
class LanguageDesign:
    """Where a language model may stop, and what its exits have of their own."""

    layers: tuple[int, ...]  # blocks run at each exit, the last is L
    head: str = FINAL_NORM  # of every early exit: a name in TOKEN_HEADS
    head_width: int | None = None  # None: the head's own
    learned: bool = False  # with a learned confidence


def tied_logits(
    feature: Float[Array, "*B D"], weight_VD: Float[Array, "V D"]
) -> Float[Array, "*B V"]:
    """Similarities to the embeddings of all tokens, in float32."""
    return jnp.matmul(feature, weight_VD.T, preferred_element_type=jnp.float32)


class LanguageModel(nnx.Module):
    """A causal backbone whose exits share one projection to the vocabulary.

    The projection is the token embedding where the architecture ties them. What it reads of a
    hidden state is the final norm of it, or at an early exit what a head of its own makes.
    """

    def __init__(self, backbone: Transformer, design: LanguageDesign, *, rngs: nnx.Rngs):
        config = backbone.config
        self.backbone = backbone
        self.design = design
        exits = len(design.layers)
        self.heads = nnx.List(make_heads(config, design.head, design.head_width, exits, rngs))
        scores = range(exits * design.learned)
        self.scores = nnx.List([nnx.Linear(config.width, 1, rngs=rngs) for _ in scores])
        init = nnx.initializers.normal(0.02)
        self.tied_logits = tied_logits  # where the output is None
        self.output = (
            None
            if config.tied_output
            else nnx.Linear(
                config.width, config.vocabulary, use_bias=False, kernel_init=init, rngs=rngs
            )
        )

    @property
    def heads_multiply(self) -> bool:
        """Whether an early exit's head does more than a norm."""
        return any(leaf.ndim > 1 for leaf in jax.tree.leaves(nnx.state(self.heads)))

    def read(self, exit: int, hidden: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """What exit number `exit` knows of a hidden state before its head has run."""
        early = exit < len(self.heads)
        return self.heads[exit].read(hidden) if early else self.backbone.norm(hidden)

    def feature(self, exit: int, hidden: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """What the projection reads of a hidden state at exit number `exit`."""
        early = exit < len(self.heads)
        return self.heads[exit](hidden) if early else self.backbone.norm(hidden)

    def hidden_states(
        self, tokens: Tokens, forward: Forward = PLAIN
    ) -> Float[Array, "E B T D"]:
        """The hidden states at every exit, in one full forward pass."""

        def read(exit: int, state: State) -> Array:
            return state.hidden_BTD

        return exit_features(self.backbone, self.design.layers, read, tokens, forward)

    def at_exits(
        self,
        function: Callable[[int, Float[Array, "*B D"]], Any],
        hidden_E: Float[Array, "E *B D"],
    ) -> Array:
        """`read`, `feature` or `score` of the hidden states of all exits."""
        return jnp.stack([function(exit, hidden) for exit, hidden in enumerate(hidden_E)])

    def features(self, tokens: Tokens, forward: Forward = PLAIN) -> Float[Array, "E B T D"]:
        """What the projection reads at every exit, in one full forward pass."""
        return self.at_exits(self.feature, self.hidden_states(tokens, forward))

    def logits(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """The projection to the vocabulary, in float32, capped where the architecture is."""
        logits, cap = self._projected(feature), self.backbone.config.logit_cap
        return logits if cap is None else cap * jnp.tanh(logits / cap)

    def _projected(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        if self.output is None:
            weight_VD = self.backbone.embedding.tokens.embedding.get_value()
            return self.tied_logits(feature, weight_VD.astype(feature.dtype))
        if not isinstance(self.output, nnx.Linear):
            return self.output.sums(feature)  # its kernel lies otherwise
        kernel_DV = self.output.kernel.get_value().astype(feature.dtype)
        return jnp.matmul(feature, kernel_DV, preferred_element_type=jnp.float32)

    def score(self, exit: int, hidden: Float[Array, "*B D"]) -> Float[Array, "*B"] | None:
        """Logit of "stopping here is right", where the design learns it."""
        if not self.scores:
            return None
        # The confidence learns to judge the answers; it does not shape them.
        return self.scores[exit](jax.lax.stop_gradient(self.read(exit, hidden)))[..., 0]

    def answer(
        self, exit: int, hidden: Float[Array, "*B D"], with_logits: bool = True
    ) -> ExitOutput:
        """What exit number `exit` says of hidden states after its last block.

        Args:
          exit: its number.
          hidden: the states.
          with_logits: or none, an array [*B, 0], and the head does not run.
        """
        none = jnp.zeros((*hidden.shape[:-1], 0))
        logits = self.logits(self.feature(exit, hidden)) if with_logits else none
        return ExitOutput(logits, self.read(exit, hidden), self.score(exit, hidden))
