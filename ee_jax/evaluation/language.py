"""How well a language model predicts text when its tokens may stop early."""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ee_jax.compilation import Program
from ee_jax.data.batches import Batch
from ee_jax.exits.say import say
from ee_jax.generation.policies import POLICIES
from ee_jax.generation.rules import Exiting
from ee_jax.generation.teacher_forced import teacher_forced
from ee_jax.models.language import LanguageModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.tokens import Tokens


class Predicted(NamedTuple):
    """What is said of each token but the first of every row, N in all."""

    loss_N: Float[np.ndarray, " N"]  # nats
    prediction_N: Int[np.ndarray, " N"]
    exit_N: Int[np.ndarray, " N"]  # number of the exit that says it


def perplexity(loss_N: Float[np.ndarray, " N"]) -> float:
    """e to the mean loss."""
    return float(np.exp(np.mean(loss_N, dtype=np.float64)))


def agreement(one_N: Int[np.ndarray, " N"], other_N: Int[np.ndarray, " N"]) -> float:
    """The share of tokens for which both predict the same."""
    return float(np.mean(one_N == other_N))


def by_row(
    exit_N: Int[np.ndarray, " N"], length_B: Int[np.ndarray, " B"]
) -> Int[np.ndarray, "B T"]:
    """The tokens' exits row by row, -1 beyond each row's length."""
    is_token_BT = np.arange(length_B.max()) < length_B[:, None]
    exit_BT = np.full(is_token_BT.shape, -1)
    exit_BT[is_token_BT] = exit_N
    return exit_BT


def _counted(rows: Tokens) -> Bool[np.ndarray, "B T"]:
    """Which tokens are predicted: all but each row's first, and padding."""
    return np.asarray(rows.mask_BT)[:, 1:]


class ExitPass:
    """Every exit as if all tokens stopped there: the static model of that depth."""

    def __init__(self, model: LanguageModel):
        def run(values: Parameters, ids_BT: Array, mask_BT: Array) -> tuple[Array, Array]:
            bound = bind(model, values)
            feature_EBTD = bound.features(Tokens(ids_BT[:, :-1], mask_BT[:, :-1]))
            said = say(bound.logits, feature_EBTD, ids_BT[:, 1:])
            return said.loss_EBT, said.prediction_EBT

        self._program = Program(run)

    def __call__(self, values: Parameters, batches: Iterable[Batch]) -> list[Predicted]:
        """One for each exit."""
        parts = []
        for batch in batches:
            rows = batch.tokens
            counted_BT = _counted(rows) & batch.valid_B[:, None]
            loss_EBT, prediction_EBT = self._program(values, rows.ids_BT, rows.mask_BT)
            parts.append(
                (np.asarray(loss_EBT)[:, counted_BT], np.asarray(prediction_EBT)[:, counted_BT])
            )
        loss_EN, prediction_EN = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
        return [
            Predicted(loss_N, prediction_N, np.full(len(loss_N), exit))
            for exit, (loss_N, prediction_N) in enumerate(
                zip(loss_EN, prediction_EN, strict=True)
            )
        ]


class EarlyExitPass:
    """Tokens that stop by one confidence, and what deeper blocks see of them by one policy.

    A parallel pass that gives the numbers of decoding token by token on the same text.
    """

    def __init__(self, model: LanguageModel, confidence: str, policy: str):
        layers = model.design.layers

        def run(values: Parameters, threshold: Array, ids_BT: Array) -> tuple[Array, ...]:
            rule_at = Exiting(confidence).rule_at(threshold, layers)
            first_B = jnp.ones(ids_BT.shape[0], jnp.int32)
            bound = bind(model, values)
            out = teacher_forced(bound, POLICIES[policy], rule_at, ids_BT, first_B)
            return out.loss_BT[:, :-1], out.prediction_BT[:, :-1], out.exit_BT[:, :-1]

        self._program = Program(run)

    def __call__(
        self, values: Parameters, threshold: float, batches: Iterable[Batch]
    ) -> Predicted:
        """All tokens at one threshold."""
        parts = []
        for batch in batches:
            counted_BT = _counted(batch.tokens) & batch.valid_B[:, None]
            out = self._program(values, jnp.float32(threshold), batch.tokens.ids_BT)
            parts.append([np.asarray(part)[counted_BT] for part in jax.device_get(out)])
        return Predicted(*map(np.concatenate, zip(*parts, strict=True)))
