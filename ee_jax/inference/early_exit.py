"""The early-exit program of our own models."""

from collections.abc import Sequence

import jax

from ee_jax.exits.layouts import default_layout
from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.rules import Rule
from ee_jax.models.exit_model import ExitModel
from ee_jax.tokens import Tokens


def early_exit(
    model: ExitModel,
    tokens: Tokens,
    rule: Rule,
    sizes: Sequence[int] | None = None,
    platform: str | None = None,
) -> Stopped:
    """Embeds, then runs the model's segments and heads through the exit loop.

    Args:
      model: an encoder with exits.
      tokens: B rows padded to T tokens.
      rule: who stops where, such as `ee_jax.exits.threshold_rule` makes.
      sizes: static batch sizes for compaction, see `ee_jax.exits.run_exits`; None: those of
        `compaction_sizes`.
      platform: that it is compiled for, which decides sizes and layout; None: this machine's.

    Returns:
      Logits, exit and confidence of each row where it stopped.
    """
    platform = platform or jax.default_backend()
    if sizes is None:
        batch, length = tokens.ids_BT.shape
        sizes = compaction_sizes(batch, length, platform)
    layout = default_layout(platform, len(model.design.layers))
    state = model.backbone.embed(tokens)
    return run_exits(model.segments(), model.heads(), rule, state, sizes, layout)


PIECE = 512  # tokens, of which a CPU core's products run at full speed


def compaction_sizes(batch: int, length: int, platform: str = "cpu") -> tuple[int, ...]:
    """Static sizes that waste little and compile soon, see `ee_jax.exits.run_exits`.

    On CPUs pieces of some 512 tokens cost a row no more than the whole batch, so two or three
    sizes do where there are several of them. Where the whole batch is one such piece, eighths
    of it; on an accelerator, which a piece's small products would leave idle, all, half and a
    quarter.

    Args:
      batch: B.
      length: T.
      platform: e.g. "cpu", as JAX names it.
    """
    if platform != "cpu":
        return tuple(sorted({-(-batch // share) for share in (1, 2, 4)}))
    piece = 1
    while piece * length < PIECE:
        piece *= 2
    if piece < batch:
        return tuple(sorted({max(1, piece // share) for share in (1, 4, 16)}))
    return tuple(sorted({-(-batch * part // 16) for part in (1, *range(2, 17, 2))}))
