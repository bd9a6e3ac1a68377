"""The early-exit program of our own models."""

from collections.abc import Sequence

from jaxtyping import Array, Bool, Int

from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.rules import Rule
from ee_jax.models.exit_model import ExitModel


def early_exit(
    model: ExitModel,
    tokens_BT: Int[Array, "B T"],
    mask_BT: Bool[Array, "B T"],
    rule: Rule,
    sizes: Sequence[int] = (),
) -> Stopped:
    """Embeds, then runs the model's segments and heads through the exit loop."""
    state = model.backbone.embed(tokens_BT, mask_BT)
    return run_exits(model.segments(), model.heads(), rule, state, sizes)


def compaction_sizes(batch: int) -> tuple[int, ...]:
    """Static sizes that waste little and compile soon: 1, 2 and every eighth of the batch."""
    eighth = max(1, batch // 8)
    return tuple(sorted({1, 2, *range(eighth, batch + 1, eighth), batch}))
