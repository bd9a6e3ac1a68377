"""What a training step learns from a batch: losses at every exit, for each kind of model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ee_jax.exits.output import prediction
from ee_jax.losses.exit_losses import Loss, exit_losses
from ee_jax.losses.learned_confidence import ScoreLoss
from ee_jax.losses.next_token import exit_token_losses, mean_over_tokens
from ee_jax.models.exit_features import Forward
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tokens import Tokens


class BatchLosses(NamedTuple):
    """The losses of a batch."""

    losses_E: Sequence[Float[Array, " E"]]  # of each loss that was asked for, at every exit
    scores: Float[Array, ""]  # of the learned confidence; 0 where none learns


# (parameters, batch, losses to compute, loss of a learned confidence, how the blocks run).
OfBatch = Callable[[Parameters, Any, Sequence[Loss], ScoreLoss | None, Forward], BatchLosses]


def classifier_losses(model: ExitModel) -> OfBatch:
    """The losses of a classifier or a regression with these exits.

    A batch is tokens and target_B; or, where no block learns, feature_EBD, what the heads read
    of each example, and target_B.
    """

    def of_batch(
        values: Parameters,
        batch: Any,
        losses: Sequence[Loss],
        scores: ScoreLoss | None,
        forward: Forward,
    ) -> BatchLosses:
        bound, (given, target_B) = bind(model, values), batch
        feature_EBD = bound.features(given, forward) if isinstance(given, Tokens) else given
        answer = bound.answers(feature_EBD)
        found = exit_losses(losses, answer.logits, target_B)
        if scores is None or answer.score is None:
            return BatchLosses(found, jnp.zeros(()))
        said_EB = prediction(answer.logits)
        return BatchLosses(found, scores(answer.score, said_EB, target_B, lambda x: x.mean(1)))

    return of_batch


def language_losses(model: LanguageModel) -> OfBatch:
    """The next-token losses of a language model with these exits.

    A batch is rows of T + 1 tokens, of which all but the first are predicted, with the texts
    that an encoder reads where the model has one, and labels that nothing reads.
    """

    def of_batch(
        values: Parameters,
        batch: Any,
        losses: Sequence[Loss],
        scores: ScoreLoss | None,
        forward: Forward,
    ) -> BatchLosses:
        bound, (rows, _) = bind(model, values), batch
        next_BT, counts_BT = rows.ids_BT[:, 1:], rows.mask_BT[:, 1:]

        def mean(value_EBT: Array) -> Array:
            return mean_over_tokens(value_EBT, counts_BT)

        states = bound.exit_states(rows.before_last(), forward)
        token = exit_token_losses(bound.logits, states.feature_EBTD, next_BT, losses)
        pairs = zip(losses, token.losses_EBT, strict=True)
        found = [_over_tokens(loss, loss_EBT, counts_BT) for loss, loss_EBT in pairs]
        if scores is None:
            return BatchLosses(found, jnp.zeros(()))
        score_EBT = bound.scores_at(states.hidden_EBTD)
        return BatchLosses(found, scores(score_EBT, token.prediction_EBT, next_BT, mean))

    return of_batch


def _over_tokens(
    loss: Loss, loss_EBT: Float[Array, "E B T"], counts_BT: Bool[Array, "B T"]
) -> Float[Array, " E"]:
    loss_E = mean_over_tokens(loss_EBT, counts_BT)
    if loss.sums:
        loss_E = loss_E * counts_BT.sum()
    return loss_E.at[-1].set(0.0) if loss.reads_last else loss_E
