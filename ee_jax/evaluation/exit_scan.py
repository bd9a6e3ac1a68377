"""What every exit of a model says of every token of a text, or of every text.

Of a language model the top token, its loss, three confidences that read logits, and two
similarities of what the heads read; V is held for a chunk of positions alone: see
`losses.next_token`. Of a classifier its classes and confidences.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ee_jax.compilation import Program
from ee_jax.data.batches import Batch
from ee_jax.exits.confidence import (
    confidences,
    entropy,
    learned,
    margin,
    max_prob,
    saturation,
)
from ee_jax.losses.exit_losses import NLL, Loss
from ee_jax.losses.next_token import exit_token_losses
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.tokens import Tokens


def _of_logits(score: Callable[[Array], Array]) -> Loss:
    """A confidence in the place of a loss: a number of one exit on one token."""
    return Loss(lambda logits_V, last_V, token: score(logits_V))


LOGIT_SCORES = {"max_prob": max_prob, "margin": margin, "entropy": entropy}
SATURATION, LEARNED = "saturation", "learned"
MEASURED = (NLL, *map(_of_logits, LOGIT_SCORES.values()))


class ExitScan(NamedTuple):
    """What each exit says of N tokens or texts; the last exit is the full model."""

    prediction_EN: Int[np.ndarray, "E N"]  # the top token, or class
    loss_EN: Float[np.ndarray, "E N"] | None  # nats, of the token that follows; None of a text
    cosine_EN: Float[np.ndarray, "E N"]  # of what the head reads with what the last one reads
    score_EN: dict[str, Float[np.ndarray, "E N"]]  # confidences, by name


def scan_rows(
    values: Parameters, model: LanguageModel, ids_BT: Int[Array, "B T"]
) -> dict[str, Float[Array, "E B T-1"]]:
    """Every exit on every token of rows that are full, but each row's last.

    Args:
      values: the model's parameters.
      model: whose exits; it may be abstract.
      ids_BT: tokens; each is followed by the next one.

    Returns:
      Arrays by the names of `ExitScan`'s fields and of the confidences.
    """
    bound = bind(model, values)
    inputs = Tokens(ids_BT[:, :-1], jnp.ones_like(ids_BT[:, :-1], bool))
    hidden_EBTD, feature_EBTD = bound.exit_states(inputs)
    read_EBTD = jnp.stack([bound.read(exit, each) for exit, each in enumerate(hidden_EBTD)])
    found = exit_token_losses(bound.logits, feature_EBTD, ids_BT[:, 1:], MEASURED)
    loss, *scores = found.losses_EBT
    own = {LEARNED: _learned(bound, hidden_EBTD)} if bound.scores else {}
    return {
        "prediction": found.prediction_EBT,
        "loss": loss,
        "cosine": _cosine(feature_EBTD, feature_EBTD[-1:]),
        SATURATION: _saturation(read_EBTD),
        **dict(zip(LOGIT_SCORES, scores, strict=True)),
        **own,
    }


def _learned(model: LanguageModel, hidden_EBTD: Array) -> Float[Array, "E B T"]:
    """The learned confidence of each exit."""
    return jax.vmap(jax.vmap(jax.vmap(learned)))(model.scores_at(hidden_EBTD))


def _cosine(one: Float[Array, "E *B D"], other: Float[Array, "1 *B D"]) -> Array:
    one, other = one.astype(jnp.float32), other.astype(jnp.float32)
    lengths = jnp.linalg.norm(one, axis=-1) * jnp.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / jnp.maximum(lengths, 1e-30)


def _saturation(feature_EBTD: Float[Array, "E B T D"]) -> Float[Array, "E B T"]:
    """The confidence of this name, of each exit after the one before."""
    of_tokens = jax.vmap(jax.vmap(jax.vmap(saturation)))
    before_EBTD = jnp.roll(feature_EBTD, 1, axis=0).at[0].set(0)
    return of_tokens(feature_EBTD.astype(jnp.float32), before_EBTD.astype(jnp.float32))


def scan_text(
    model: LanguageModel,
    batches: Sequence[Int[np.ndarray, "B T"]],
    tick: Callable[[], None] = lambda: None,
) -> ExitScan:
    """One compiled program over batches of full rows.

    Args:
      model: with its parameters.
      batches: of tokens; those of one shape share a program.
      tick: called after each batch.

    Returns:
      What each exit says of the tokens of all rows, in order.
    """
    values = parameters(model)
    program = Program(lambda values, ids_BT: scan_rows(values, model, ids_BT))
    parts: list[dict[str, np.ndarray]] = []
    for ids_BT in batches:
        out = jax.device_get(program(values, jnp.asarray(ids_BT, jnp.int32)))
        parts.append({name: part.reshape(len(part), -1) for name, part in out.items()})
        tick()
    whole = {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}
    first = whole.pop("prediction"), whole.pop("loss"), whole.pop("cosine")
    return ExitScan(*first, whole)


def scan_answers(
    model: ExitModel,
    batches: Sequence[Batch],
    texts: int,
    tick: Callable[[], None] = lambda: None,
) -> ExitScan:
    """The same of a classifier's texts.

    Args:
      model: with its parameters.
      batches: of the texts; those of one length share a program.
      texts: N.
      tick: called after each batch.

    Returns:
      What each exit says of the texts, in their order.
    """
    values = parameters(model)
    names = [*LOGIT_SCORES, SATURATION, *([LEARNED] if model.exits.scores else [])]
    program = Program(lambda values, tokens: _answers(bind(model, values), tokens, names))
    out: dict[str, np.ndarray] = {}
    for batch in batches:
        found = jax.device_get(program(values, batch.tokens))
        for name, part_EB in found.items():
            whole_EN = out.setdefault(name, np.empty((len(part_EB), texts), part_EB.dtype))
            whole_EN[:, batch.index_B[batch.valid_B]] = part_EB[:, batch.valid_B]
        tick()
    return ExitScan(out.pop("prediction"), None, out.pop("cosine"), out)


def _answers(
    model: ExitModel, tokens: Tokens, names: Sequence[str]
) -> dict[str, Float[Array, "E B"]]:
    feature_EBD = model.features(tokens)
    answer = model.answers(feature_EBD)
    no_temperature_E = jnp.ones(len(feature_EBD))
    return {
        "prediction": answer.logits.argmax(-1),
        "cosine": _cosine(feature_EBD, feature_EBD[-1:]),
        **{name: confidences(name, answer, no_temperature_E) for name in names},
    }
