"""The early-exit program of our own models."""

from collections.abc import Sequence

from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.rules import Rule
from ee_jax.models.exit_model import ExitModel
from ee_jax.tokens import Tokens


def early_exit(
    model: ExitModel,
    tokens: Tokens,
    rule: Rule,
    sizes: Sequence[int] = (),
) -> Stopped:
    """Embeds, then runs the model's segments and heads through the exit loop.

    Args:
      model: an encoder with exits.
      tokens: B rows padded to T tokens.
      rule: who stops where, such as `ee_jax.exits.threshold_rule` makes.
      sizes: static batch sizes for compaction, see `ee_jax.exits.run_exits`.

    Returns:
      Logits, exit and confidence of each row where it stopped.
    """
    state = model.backbone.embed(tokens)
    return run_exits(model.segments(), model.heads(), rule, state, sizes)


def compaction_sizes(batch: int, platform: str) -> tuple[int, ...]:
    """Static sizes that waste little and compile soon.

    Args:
      batch: examples.
      platform: of the devices that it is compiled for, e.g. `cpu`.

    Returns:
      On CPUs eighths of the batch, and finer ones. Elsewhere few: each is compiled for every
      segment, which takes seconds each.
    """
    if platform != "cpu":
        return tuple(sorted({size for size in (batch // 4, batch // 2, batch) if size}))
    eighth = max(1, batch // 8)
    fine = {1, 2, 3, eighth // 2, eighth + eighth // 2}
    sizes = {*fine, *range(eighth, batch, eighth), batch}
    return tuple(sorted(size for size in sizes if 0 < size <= batch))
