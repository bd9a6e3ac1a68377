"""A decoder-only language model that may answer after some of its blocks."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.attention import MASKED
from ee_jax.models.exit_features import PLAIN, Forward, Keys, exit_features
from ee_jax.models.token_heads import FINAL_NORM, LastKV, make_heads
from ee_jax.models.transformer import State, Transformer, looking_at
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


class ExitStates(NamedTuple):
    """What every exit has of every token."""

    hidden_EBTD: Float[Array, "E B T D"]  # after its last block
    feature_EBTD: Float[Array, "E B T D"]  # what the projection reads of it


class LanguageModel(nnx.Module):
    """A causal backbone whose exits share one projection to the vocabulary.

    The projection is the token embedding where the architecture ties them. What it reads of a
    hidden state is the final norm of it, or at an early exit what a head of its own makes.
    """

    def __init__(self, backbone: Transformer, design: LanguageDesign, *, rngs: nnx.Rngs):
        config = backbone.config
        self.backbone = backbone
        self.design = design
        made = make_heads(config, design.head, design.head_width, design.layers, rngs)
        self.heads = nnx.List(made)
        scores = range(len(design.layers) * design.learned)
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
        bias = jnp.zeros(config.vocabulary) if config.output_bias else None
        self.output_bias = None if bias is None else nnx.Param(bias)

    @property
    def heads_multiply(self) -> bool:
        """Whether an early exit's head does more than a norm."""
        return any(leaf.ndim > 1 for leaf in jax.tree.leaves(nnx.state(self.heads)))

    @property
    def looks_back(self) -> bool:
        """Whether an early exit's head looks at the tokens before."""
        return any(head.looks_back for head in self.heads)

    def read(self, exit: int, hidden: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """What exit number `exit` knows of a hidden state before its head has run."""
        early = exit < len(self.heads)
        return self.heads[exit].read(hidden) if early else self.backbone.norm(hidden)

    def feature(
        self, exit: int, hidden: Float[Array, "*B D"], last: LastKV | None = None
    ) -> Float[Array, "*B D"]:
        """What the projection reads of a hidden state at exit number `exit`.

        Args:
          exit: its number.
          hidden: the states; [B, T, D] where the head looks back.
          last: what a head that looks back sees; None: it does not.
        """
        early = exit < len(self.heads)
        return self.heads[exit](hidden, last) if early else self.backbone.norm(hidden)

    def exit_states(self, tokens: Tokens, forward: Forward = PLAIN) -> ExitStates:
        """What every exit has, in one full forward pass."""

        def read(exit: int, state: State, keys: Keys) -> ExitStates:
            last = self._last(exit, state, keys) if self.looks_back else None
            return ExitStates(state.hidden_BTD, self.feature(exit, state.hidden_BTD, last))

        return exit_features(self.backbone, self.design.layers, read, tokens, forward)

    def _last(self, exit: int, state: State, keys: Keys) -> LastKV:
        hidden_BTD, mask_BT = state
        key_BKTH, value_BKTH = (part_BTKH.transpose(0, 2, 1, 3) for part_BTKH in keys())
        position_1T = jnp.arange(hidden_BTD.shape[1])[None]
        window = self.backbone.config.window_of(self.design.layers[exit] - 1)
        bias_BTS = self.backbone.attention_bias(mask_BT, window)
        return LastKV(key_BKTH, value_BKTH, position_1T, bias_BTS)

    def features(self, tokens: Tokens, forward: Forward = PLAIN) -> Float[Array, "E B T D"]:
        """What the projection reads at every exit, in one full forward pass."""
        return self.exit_states(tokens, forward).feature_EBTD

    def logits(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """The projection to the vocabulary, in float32, capped where the architecture is."""
        logits, config = self._projected(feature), self.backbone.config
        if self.output_bias is not None:
            logits = logits + jnp.expand_dims(
                self.output_bias.get_value(), range(feature.ndim - 1)
            )
        if (cap := config.logit_cap) is not None:
            logits = cap * jnp.tanh(logits / cap)
        return logits.at[..., config.unsaid].set(MASKED) if config.unsaid else logits

    def _projected(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        if (scale := self.backbone.config.output_scale) != 1.0:
            feature = feature * jnp.asarray(scale, feature.dtype)
        if self.output is None:
            weight_VD = self.backbone.embedding.table.embedding.get_value()
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

    def scores_at(self, hidden_EBTD: Float[Array, "E B T D"]) -> Float[Array, "E B T"]:
        """`score` of all exits, where the design learns it."""
        scores = [self.score(exit, hidden) for exit, hidden in enumerate(hidden_EBTD)]
        return jnp.stack(scores)  # pyright: ignore[reportArgumentType]

    def answer(
        self, exit: int, hidden: Float[Array, "*B D"], feature: Float[Array, "*B D"] | None
    ) -> ExitOutput:
        """What exit number `exit` says of hidden states after its last block.

        Args:
          exit: its number.
          hidden: the states.
          feature: what the projection reads of them; None: no logits, an array [*B, 0].
        """
        none = jnp.zeros((*hidden.shape[:-1], 0))
        logits = none if feature is None else self.logits(feature)
        return ExitOutput(logits, self.read(exit, hidden), self.score(exit, hidden))


def reading(model: LanguageModel, source: Tokens | None) -> LanguageModel:
    """The model, whose decoder looks at what its encoder makes of other texts, if any."""
    if source is None:
        return model
    memory = model.backbone.remember(source)
    return looking_at(model, lambda own: own.backbone, memory)
