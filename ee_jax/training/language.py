"""The loss of a step of a language model: what learns, from what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Bool, Float

from ee_jax.config import OptimizerConfig
from ee_jax.losses.next_token import TokenLosses, exit_token_losses, mean_over_tokens
from ee_jax.models.language import LanguageModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.tokens import Tokens
from ee_jax.training.layerskip import kept_blocks
from ee_jax.training.strategies import is_head
from ee_jax.training.train_step import Objective
from ee_jax.training.weights import Weights

# From the number of steps taken, which may be traced, to how often each block is dropped.
Rates = Callable[[ArrayLike], Float[Array, " L"]]


@dataclass(frozen=True)
class LanguageStage:
    """One optimisation of a language model; what changes over time follows from the step."""

    name: str
    fit: OptimizerConfig
    weights: Weights  # of the exits' next-token losses
    trains: Callable[[str], bool]  # a parameter's dotted path -> does it learn?
    towards: Weights | None = None  # of their gaps to the last exit
    temperature: float = 1.0  # of the gaps
    drops: Rates | None = None  # how often each block is dropped
    by_confidence: bool = False  # is a token's loss scaled by its exit's largest probability?

    @property
    def backbone(self) -> bool:
        """Does any of the backbone learn?"""
        return self.trains is not is_head


def language_objective(model: LanguageModel, stage: LanguageStage, dropout: float) -> Objective:
    """The objective of a stage of a language model.

    The inputs are rows of T + 1 tokens, of which all but the first are predicted, and labels
    that nothing reads. A backbone that does not learn runs without dropout.
    """
    rate = dropout if stage.backbone else 0.0

    def loss(
        trained: Parameters, kept: Parameters, step: Array, key: Array, inputs: Any
    ) -> tuple[Float[Array, ""], Float[Array, " E"]]:
        bound, (rows, _) = bind(model, {**kept, **trained}), inputs
        tokens = Tokens(rows.ids_BT[:, :-1], rows.mask_BT[:, :-1])
        next_BT, counts_BT = rows.ids_BT[:, 1:], rows.mask_BT[:, 1:]
        drop_key, key = jax.random.split(key)
        kept_LB = None
        if stage.drops is not None:
            kept_LB = kept_blocks(drop_key, stage.drops(step), len(next_BT))
        feature_EBTD = bound.features(tokens, rate, key, kept_LB)
        temperature = stage.temperature if stage.towards else None
        losses = exit_token_losses(bound.logits, feature_EBTD, next_BT, temperature)
        loss_E = mean_over_tokens(losses.loss_EBT, counts_BT)
        value = _weighted(stage, step, losses, counts_BT)
        return value + _score_loss(bound, feature_EBTD, losses, counts_BT), loss_E

    return loss


def _weighted(
    stage: LanguageStage, step: Array, losses: TokenLosses, counts_BT: Bool[Array, "B T"]
) -> Float[Array, ""]:
    scale_EBT = losses.max_prob_EBT if stage.by_confidence else 1.0
    loss_E = mean_over_tokens(scale_EBT * losses.loss_EBT, counts_BT)
    value = jnp.vdot(stage.weights(step), loss_E)
    if stage.towards is not None and losses.distillation_kl_EBT is not None:
        kl_E = mean_over_tokens(losses.distillation_kl_EBT, counts_BT)
        value += jnp.vdot(stage.towards(step), kl_E)
    return value


def _score_loss(
    model: LanguageModel,
    feature_EBTD: Float[Array, "E B T D"],
    losses: TokenLosses,
    counts_BT: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """How badly learned confidences foretell that an exit predicts what the last does.

    CALM's meta classifier (Schuster et al. 2022, sec. 3.5): cross-entropy, nats, over all exits
    but the last, which has nothing to foretell: 0 where it is alone, and in a model that learns
    no confidence.
    """
    if not model.scores:
        return jnp.zeros(())
    scores: Any = [model.score(exit, feature) for exit, feature in enumerate(feature_EBTD)]
    right_EBT = (losses.prediction_EBT == losses.prediction_EBT[-1:]).astype(jnp.float32)
    loss_EBT = optax.losses.sigmoid_binary_cross_entropy(jnp.stack(scores), right_EBT)
    loss_E = mean_over_tokens(loss_EBT[:-1], counts_BT)
    return loss_E.sum() / max(len(loss_E), 1)
