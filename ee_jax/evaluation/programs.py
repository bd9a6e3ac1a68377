"""The two programs that are compared: static, and with exits."""

from functools import cached_property
from typing import Any

from jax.sharding import Mesh

from ee_jax.compilation import Program
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import threshold_rule
from ee_jax.exits.stopping import PLAIN, Limits, Stopping
from ee_jax.inference.early_exit import compaction_sizes, early_exit
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.parameters import Parameters, bind
from ee_jax.sharding import over_data
from ee_jax.tokens import Tokens


class Programs:
    """The static and the early-exit program of one model on one mesh.

    Parameters and limits are arguments: one compilation for each batch's shape serves all
    strategies and thresholds.
    """

    def __init__(
        self, model: ExitModel, mesh: Mesh, confidence: str, stopping: Stopping = PLAIN
    ):
        self.mesh = mesh
        self._model, self._confidence, self._stopping = model, confidence, stopping

    @cached_property
    def static(self) -> Program:
        """(values, tokens) -> logits_BC, after all blocks."""

        def run(values: Parameters, tokens: Tokens) -> Any:
            return static_logits(bind(self._model, values), tokens)

        return Program(over_data(run, self.mesh))

    @cached_property
    def exit(self) -> Program:
        """((values, limits), tokens) -> Stopped."""

        def run(shared: tuple[Parameters, Limits], tokens: Tokens) -> Stopped:
            values, limits = shared
            rule = threshold_rule(self._confidence, limits, self._stopping)
            sizes = compaction_sizes(tokens.ids_BT.shape[0])
            return early_exit(bind(self._model, values), tokens, rule, sizes)

        return Program(over_data(run, self.mesh))
