"""The programs that judge a language model, listed before there is a row to judge it on."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ee_jax.compilation import Planned, first_of
from ee_jax.config import Decoding, Experiment, SelfGenerated
from ee_jax.evaluation.perplexity import ExitPass
from ee_jax.exits.layouts import default_layout
from ee_jax.inference.generator import Decoder, draft_exit_at
from ee_jax.inference.methods import SelfSpeculation, StaticDecoding
from ee_jax.inference.prompts import Prompts, pack_prompts
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tasks.language_modeling.inputs import data_of, model_of
from ee_jax.tasks.language_modeling.measure import passes_of
from ee_jax.tasks.language_modeling.writer import writers
from ee_jax.tasks.token_exits import Weights, method_of
from ee_jax.tokens import Tokens


def evaluation_programs(
    experiment: Experiment,
    model: LanguageModel,
    weights: Weights,
    values: Parameters,
    mesh: Mesh,
) -> Iterator[Planned]:
    """What a run compiles beside its training steps, all of it for one device.

    Args:
      experiment: of a language model.
      model: with its exits, shapes only.
      weights: the model before it has exits.
      values: the parameters with exits, of which only shapes matter.
      mesh: of the run.
    """
    one, data = first_of(mesh), data_of(experiment)
    if isinstance(data, SelfGenerated):
        yield from writers(data, model_of(experiment), weights)["train"].plan(one)
    ids_BT = np.zeros((experiment.evaluation.batch, data.length + 1), np.int32)
    rows = Tokens(ids_BT, np.ones(ids_BT.shape, bool))
    for each in (ExitPass(model), *passes_of(experiment, model).values()):
        yield each.plan(values, rows, one)
    if (decoding := experiment.evaluation.decoding) is not None:
        decoders = Decoders(experiment, Decoder(bind(model, values)), decoding, one)
        for batch in experiment.evaluation.batches:
            yield from decoders.plan(batch)


@dataclass(frozen=True)
class Decoders:
    """The decoders whose wall clock is measured."""

    experiment: Experiment
    decoder: Decoder
    decoding: Decoding
    mesh: Mesh

    def plan(self, batch: int) -> Iterator[Planned]:
        """Static, with exits, and self-speculation where the experiment asks for it."""
        asked = self._prompts(batch), self.decoding.tokens, self.mesh
        last = len(self.decoder.model.design.layers) - 1
        plan, threshold = self.decoder.plan, jnp.float32(0)
        programs = [plan("static decoder", StaticDecoding(last), None, *asked)]
        for key in itertools.product(
            self.experiment.confidences, self.experiment.evaluation.policies
        ):
            name = f"exit decoder ({', '.join(key)})"
            method = replace(method_of(self.experiment, key), layout=self._layout)
            programs.append(plan(name, method, threshold, *asked))
        for name, method in self._drafting():
            programs.append(plan(name, method, None, *asked))
        for planned in itertools.chain(*programs):
            yield planned._replace(field="evaluation.batches")

    @property
    def _layout(self) -> str:
        platform = self.mesh.devices.flat[0].platform
        return default_layout(platform, len(self.decoder.model.design.layers))

    def _prompts(self, batch: int) -> Prompts:
        prompts = [np.zeros(self.decoding.prompt, np.int32)] * batch
        config = self.decoder.model.backbone.config
        return pack_prompts(prompts, config, self.decoding.tokens)

    def _drafting(self) -> Iterator[tuple[str, SelfSpeculation]]:
        speculation, design = self.experiment.evaluation.speculation, self.decoder.model.design
        if speculation is None:
            return
        for depth, drafts in itertools.product(speculation.depths, speculation.drafted):
            name = f"speculation ({drafts} by {depth} blocks)"
            yield name, SelfSpeculation(draft_exit_at(design, depth), drafts)
