"""Models without exits, which those with exits must beat: the whole one, and its first blocks.

`single` is what papers quote their losses against. A truncated model answers after k blocks,
always, and was fine-tuned for that: at the cost of an exit there, and with nothing to decide.
"""

from dataclasses import dataclass

from ee_jax.checks import check, check_counts
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.stage import ExitLayout, Stage, Term, always, last
from ee_jax.training.strategies.strategy import Strategy


@dataclass(frozen=True)
class Static(Strategy):
    """A model without exits: everything learns, from the loss of its only answer."""

    fit: OptimizerConfig = OptimizerConfig()

    def stages(self, exits: ExitLayout) -> list[Stage]:
        """One stage, on the loss of the last exit, which is the only one."""
        term = Term(self.labels, always(last(exits.count)))
        return [Stage(type(self).name, self.fit, (term,))]


@dataclass(frozen=True)
class Single(Static):
    """The model fine-tuned without exits."""

    name: str = "single"

    def static_blocks(self, blocks: int) -> int:
        """All of them."""
        return blocks


@dataclass(frozen=True)
class Truncated(Static):
    """The first blocks, fine-tuned as a model of that depth with a head of its own."""

    name: str = "truncated"
    blocks: int = 1  # k, fewer than the backbone has

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "truncated.", "blocks")

    def static_blocks(self, blocks: int) -> int:
        """The first k.

        Raises:
          UserError: the backbone has no more than k.
        """
        few = f"must be fewer than the backbone's {blocks} blocks, not {self.blocks}"
        check(self.blocks < blocks, "truncated.blocks", few)
        return self.blocks


def baselines(blocks: int, fit: OptimizerConfig) -> tuple[Strategy, ...]:
    """`single`, and `truncated_1` to `truncated_<L-1>`.

    Args:
      blocks: of the backbone, L.
      fit: how each of them is fine-tuned.
    """
    truncated = [Truncated(f"truncated_{k}", fit=fit, blocks=k) for k in range(1, blocks)]
    return (Single(fit=fit), *truncated)
