"""How exits are trained: the strategies of the literature, each a config with its stages."""

from collections.abc import Collection

from ee_jax.errors import UserError
from ee_jax.training.stage import ExitLayout, Stage
from ee_jax.training.strategies.layerskip import EELLM, LayerSkip
from ee_jax.training.strategies.staged import (
    Distill,
    Frozen,
    GradientEquilibrium,
    Joint,
    Mixed,
    TwoStage,
)
from ee_jax.training.strategies.static import Single, Truncated, baselines
from ee_jax.training.strategies.strategy import Learned, Strategy, with_scores
from ee_jax.training.strategies.towards_last import Alternating, DistillTrained, SelfDistill

__all__ = [
    "EELLM",
    "Alternating",
    "Distill",
    "DistillTrained",
    "Frozen",
    "GradientEquilibrium",
    "Joint",
    "LayerSkip",
    "Learned",
    "Mixed",
    "SelfDistill",
    "Single",
    "Strategy",
    "Truncated",
    "TwoStage",
    "baselines",
    "stages",
]


def stages(
    strategy: Strategy,
    exits: ExitLayout,
    learned: Learned | None = None,
    paths: Collection[str] | None = None,
) -> list[Stage]:
    """The stages of a strategy on a model with such exits, and with a learned confidence.

    Args:
      strategy: the package's own, or a user's.
      exits: of the model.
      learned: how a learned confidence learns; None: there is none.
      paths: of the model's parameters, where they are known.

    Raises:
      UserError: the strategy cannot train such exits.
    """
    found = strategy.stages(exits)
    if not (found and all(isinstance(stage, Stage) for stage in found)):
        raise UserError(
            f"strategy `{strategy.name}`: stages() must return a list of Stage, not {found!r}"
        )
    found = found if learned is None else with_scores(found, exits.count, learned)
    for stage in found if paths is not None else ():
        if not any(map(stage.trains, paths or ())):
            raise UserError(
                f"stage `{stage.name}` of strategy `{strategy.name}` trains what early exits "
                "have of their own, and these have nothing: name more exits.layers, or for a "
                "language model set exits.token_head or a `learned` confidence"
            )
    return found
