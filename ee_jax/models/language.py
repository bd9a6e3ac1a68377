"""A decoder-only language model that may answer after some of its blocks."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.exit_features import PLAIN, Forward, exit_features
from ee_jax.models.norms import make_norm
from ee_jax.models.transformer import State, Transformer
from ee_jax.tokens import Tokens


@dataclass(frozen=True)
class LanguageDesign:
    """Where a language model may stop, and what its exits have of their own."""

    layers: tuple[int, ...]  # blocks run at each exit, the last is L
    own_norms: bool = False  # a norm for each exit; else all read the backbone's final norm
    learned: bool = False  # with a learned confidence


def tied_logits(
    feature: Float[Array, "*B D"], weight_VD: Float[Array, "V D"]
) -> Float[Array, "*B V"]:
    """Similarities to the embeddings of all tokens, in float32."""
    return jnp.matmul(feature, weight_VD.T, preferred_element_type=jnp.float32)


class LanguageModel(nnx.Module):
    """A causal backbone whose exits share one projection to the vocabulary.

    The projection is the token embedding where the architecture ties them. An exit reads the
    final norm of its hidden state, or a norm of its own; the last exit always the final one.
    """

    def __init__(self, backbone: Transformer, design: LanguageDesign, *, rngs: nnx.Rngs):
        config, last = backbone.config, len(design.layers) - 1
        self.backbone = backbone
        self.design = design
        norms, scores = last * design.own_norms, len(design.layers) * design.learned
        self.norms = nnx.List([make_norm(config, config.width, rngs) for _ in range(norms)])
        self.scores = nnx.List([nnx.Linear(config.width, 1, rngs=rngs) for _ in range(scores)])
        init = nnx.initializers.normal(0.02)
        self.tied_logits = tied_logits  # where the output is None
        self.output = (
            None
            if config.tied_output
            else nnx.Linear(
                config.width, config.vocabulary, use_bias=False, kernel_init=init, rngs=rngs
            )
        )

    def feature(self, exit: int, hidden: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """What the projection and the learned confidence of exit number `exit` read."""
        own = exit < len(self.norms)
        return self.norms[exit](hidden) if own else self.backbone.norm(hidden)

    def features(self, tokens: Tokens, forward: Forward = PLAIN) -> Float[Array, "E B T D"]:
        """What the projection reads at every exit, in one full forward pass."""

        def read(exit: int, state: State) -> Array:
            return self.feature(exit, state.hidden_BTD)

        return exit_features(self.backbone, self.design.layers, read, tokens, forward)

    def logits(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """The projection to the vocabulary, in float32."""
        if self.output is None:
            weight_VD = self.backbone.embedding.tokens.embedding.get_value()
            return self.tied_logits(feature, weight_VD.astype(feature.dtype))
        if not isinstance(self.output, nnx.Linear):
            return self.output.sums(feature)  # its kernel lies otherwise
        kernel_DV = self.output.kernel.get_value().astype(feature.dtype)
        return jnp.matmul(feature, kernel_DV, preferred_element_type=jnp.float32)

    def score(self, exit: int, feature: Float[Array, "*B D"]) -> Float[Array, "*B"] | None:
        """Logit of "stopping here is right", where the design learns it."""
        if not self.scores:
            return None
        # The confidence learns to judge the answers; it does not shape them.
        return self.scores[exit](jax.lax.stop_gradient(feature))[..., 0]

    def answer(self, exit: int, hidden: Float[Array, "*B D"]) -> ExitOutput:
        """What exit number `exit` says of hidden states after its last block."""
        feature = self.feature(exit, hidden)
        return ExitOutput(self.logits(feature), feature, self.score(exit, feature))
