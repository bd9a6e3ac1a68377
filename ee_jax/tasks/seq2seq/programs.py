"""The programs that judge an encoder-decoder, listed before there is a text to judge it on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ee_jax.compilation import Planned, first_of
from ee_jax.config import Experiment
from ee_jax.exits.layouts import default_layout
from ee_jax.inference.methods import DecodingMethod, StaticDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tasks.seq2seq.inputs import data_of
from ee_jax.tasks.seq2seq.rows import lengths_of
from ee_jax.tasks.token_exits import keys_of, method_of
from ee_jax.tokens import Tokens


def evaluation_programs(
    experiment: Experiment,
    model: LanguageModel,
    values: Parameters,
    ends: Sequence[int],
    mesh: Mesh,
) -> Iterator[Planned]:
    """What a run compiles beside its training steps, all of it for one device.

    Args:
      experiment: of an encoder-decoder.
      model: with its exits, shapes only.
      values: the parameters with exits, of which only shapes matter.
      ends: tokens that end a text, of which only the number matters.
      mesh: of the run.
    """
    one, evaluation = first_of(mesh), experiment.evaluation
    decoder = SourceDecoder(bind(model, values), stops=ends)
    methods = methods_of(experiment, model.design.layers, one)
    early = dict([*methods.items()][len(model.design.layers) - 1 :])  # the clock's
    timed = evaluation.batches if evaluation.decoding else ()
    for batch in sorted({evaluation.batch, *timed}):
        asked = methods if batch == evaluation.batch else early
        for length in lengths_of(data_of(experiment)):
            source = Tokens(np.zeros((batch, length), np.int32), np.ones((batch, length), bool))
            yield decoder.plan_source(source, one)._replace(field="evaluation.batch")
            yield from plan_all(decoder, asked, batch, length, experiment, one)


def methods_of(
    experiment: Experiment, layers: Sequence[int], mesh: Mesh
) -> dict[str, tuple[DecodingMethod, Any]]:
    """By name each exit alone, and early exits; and what they share."""
    exits = {f"exit {e + 1} alone": (StaticDecoding(e), None) for e in range(len(layers))}
    layout = default_layout(mesh.devices.flat[0].platform, len(layers))
    early = {
        f"exit decoder ({', '.join(key)})": (
            replace(method_of(experiment, key), layout=layout),
            jnp.float32(0),
        )
        for key in keys_of(experiment)
    }
    return {**exits, **early}


def plan_all(
    decoder: SourceDecoder,
    methods: dict[str, tuple[DecodingMethod, Any]],
    batch: int,
    length: int,
    experiment: Experiment,
    mesh: Mesh,
) -> Iterator[Planned]:
    """What each method compiles for sources of this shape."""
    tokens = data_of(experiment).target_length
    packed = pack_prompts([[0]] * batch, decoder.model.backbone.config, tokens)
    for name, (method, shared) in methods.items():
        title = f"{name}, sources of {length}"
        for planned in decoder.plan(title, method, shared, packed, tokens, mesh):
            yield planned._replace(field="evaluation.batch")
