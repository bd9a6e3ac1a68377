"""How well a language model predicts text when its tokens may stop early."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.compilation import Planned, Program, replicated
from ee_jax.data.batches import Batch
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.rules import Exiting
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.losses.next_token import exit_token_losses
from ee_jax.models.language import LanguageModel, reading
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tokens import Tokens


class Predicted(NamedTuple):
    """What is losses of each token but the first of every row, N in all."""

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


def trace_of_rows(
    found_K: Sequence[Predicted],
    threshold_K: Float[np.ndarray, " K"],
    layers: Sequence[int],
    rows: int,
    **header: Any,
) -> SequenceTrace:
    """The trace of whole rows from their tokens at thresholds that fall from 1.

    A row's loss is the share of its tokens whose prediction is not the full model's (CALM,
    Schuster et al. 2022: consistency, here of a text that is given), its depth their mean.

    Args:
        found_K: for each threshold, the tokens of one row after another, equally many of each.
        threshold_K: the thresholds, the full model's first.
        layers: blocks run at each exit.
        rows: how many there are, N.
        header: what the trace is of.
    """
    chex.assert_equal(len(found_K), len(threshold_K))
    shape = (len(found_K), rows, -1)
    prediction_KNT = np.stack([found.prediction_N for found in found_K]).reshape(shape)
    exit_KNT = np.stack([found.exit_N for found in found_K]).reshape(shape)
    loss_KN = (prediction_KNT != prediction_KNT[0]).mean(-1)
    depth_KN = np.asarray(layers)[exit_KNT].mean(-1)
    return SequenceTrace(threshold_K, loss_KN.T, depth_KN.T, header)


def _counted(rows: Tokens) -> Bool[np.ndarray, "B T"]:
    """Which tokens are predicted: all but each row's first, and padding."""
    return np.asarray(rows.mask_BT)[:, 1:]


class ExitPass:
    """Every exit as if all tokens stopped there: the static model of that depth."""

    def __init__(self, model: LanguageModel):
        def run(values: Parameters, rows: Tokens) -> tuple[Array, Array]:
            bound = bind(model, values)
            feature_EBTD = bound.features(rows.before_last())
            losses = exit_token_losses(bound.logits, feature_EBTD, rows.ids_BT[:, 1:])
            return losses.losses_EBT[0], losses.prediction_EBT

        self._program = Program(run)

    def plan(self, values: Parameters, rows: Tokens, mesh: Mesh) -> Planned:
        """What it compiles for rows of this shape, on a mesh of one device."""
        batch, length = rows.ids_BT.shape
        arguments = replicated((values, rows), mesh)
        name = f"all exits {batch} x {length - 1}"
        return Planned(name, self._program, arguments, "evaluation.batch", batch)

    def __call__(self, values: Parameters, batches: Iterable[Batch]) -> list[Predicted]:
        """One for each exit."""
        parts = []
        for batch in batches:
            rows = batch.tokens
            counted_BT = _counted(rows) & batch.valid_B[:, None]
            loss_EBT, prediction_EBT = self._program(values, rows)
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

    def __init__(self, model: LanguageModel, exiting: Exiting, policy: str):
        layers = model.design.layers

        def run(values: Parameters, threshold: Array, rows: Tokens) -> tuple[Array, ...]:
            rule_at = exiting.rule_at(threshold, layers)
            first_B = jnp.ones(rows.ids_BT.shape[0], jnp.int32)
            bound = reading(bind(model, values), rows.source)
            out = teacher_forced(bound, POLICIES[policy], rule_at, rows.ids_BT, first_B)
            return out.loss_BT[:, :-1], out.prediction_BT[:, :-1], out.exit_BT[:, :-1]

        self._name = f"early exits ({exiting.confidence}, {policy})"
        self._program = Program(run)

    def plan(self, values: Parameters, rows: Tokens, mesh: Mesh) -> Planned:
        """What it compiles for rows of this shape, on a mesh of one device."""
        batch, length = rows.ids_BT.shape
        arguments = replicated((values, jnp.float32(0), rows), mesh)
        name = f"{self._name} {batch} x {length - 1}"
        return Planned(name, self._program, arguments, "evaluation.batch", batch)

    def __call__(
        self, values: Parameters, threshold: ArrayLike, batches: Iterable[Batch]
    ) -> Predicted:
        """All tokens at one threshold, or at one for each exit."""
        parts, given = [], jnp.asarray(threshold, jnp.float32)
        for batch in batches:
            counted_BT = _counted(batch.tokens) & batch.valid_B[:, None]
            out = self._program(values, given, batch.tokens)
            parts.append([np.asarray(part)[counted_BT] for part in jax.device_get(out)])
        return Predicted(*map(np.concatenate, zip(*parts, strict=True)))
