"""How many tokens to draft, and by whom: what is expected of a pass, over what it costs.

With acceptance a, a pass over k drafts gives 1 + a + ... + a^k tokens (Leviathan et al. 2023,
eq. 1). What a pass costs is measured once, in passes of plain decoding; acceptance is counted
while the text is written. A batch is done when its last row is, so rows that are behind count
for more.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.inference.prompt_lookup import LONGEST

# What is expected before anything is counted: of lookups after a match of 1 to 4 tokens (about
# what SmolLM2-135M-Instruct's answers to questions of GSM8K show), and of an exit.
PRIOR = (0.3, 0.5, 0.6, 0.75, 0.5)
EXIT = LONGEST  # the class of an exit's drafts
PRIOR_TESTS = 8.0  # drafts that the prior counts for
KEPT = 0.98  # share of the counts that is left after each pass

# A pass that drafts must promise so much more than a plain one: estimates are not exact.
MARGIN = 1.06
# Passes that drafting may lose on the row that is most behind, and that trials of an exit may
# cost in all, as a share of the tokens that a row may have.
LOSS, TRIALS = 0.02, 0.02
LAG = 1.0  # tokens ahead by which a row's weight falls by e


class Acceptance(NamedTuple):
    """Drafts that were taken, and that were looked at, of each class; they fade away."""

    taken_C: Float[Array, " C"]
    tested_C: Float[Array, " C"]

    @property
    def rate_C(self) -> Float[Array, " C"]:
        """The share that is taken, with the prior counted in (the mean of a Beta)."""
        prior_C = jnp.asarray(PRIOR)
        return (self.taken_C + PRIOR_TESTS * prior_C) / (self.tested_C + PRIOR_TESTS)


def no_acceptance() -> Acceptance:
    """Before anything is counted."""
    return Acceptance(jnp.zeros(len(PRIOR)), jnp.zeros(len(PRIOR)))


def count_drafts(
    acceptance: Acceptance,
    class_B: Int[Array, " B"],
    taken_B: Int[Array, " B"],
    tested_B: Int[Array, " B"],
) -> Acceptance:
    """After another pass: in each row a class's drafts, those taken, and those looked at.

    Those after the first that was refused say nothing and are not looked at. A class of -1 is
    none.
    """
    is_BC = class_B[:, None] == jnp.arange(len(PRIOR))[None]
    return Acceptance(
        acceptance.taken_C + (is_BC * taken_B[:, None]).sum(0),
        acceptance.tested_C + (is_BC * tested_B[:, None]).sum(0),
    )


def fade(acceptance: Acceptance) -> Acceptance:
    """What is left of the counts when a pass begins."""
    return Acceptance(KEPT * acceptance.taken_C, KEPT * acceptance.tested_C)


def expected_tokens(
    rate_B: Float[Array, " B"], drafts: int, room_B: Int[Array, " B"]
) -> Float[Array, " B"]:
    """1 + a + ... + a^k, where k is at most the room.

    Args:
      rate_B: a, the acceptance; 0 where nothing is drafted.
      drafts: k.
      room_B: drafts that could be taken.
    """
    step_1k = jnp.arange(1, drafts + 1)[None]
    powers_Bk = rate_B[:, None] ** step_1k * (step_1k <= room_B[:, None])
    return 1.0 + powers_Bk.sum(1)


def row_weights(left_B: Int[Array, " B"], going_B: Bool[Array, " B"]) -> Float[Array, " B"]:
    """How much each row's tokens count: all alike when level, less the fewer are left."""
    most = jnp.where(going_B, left_B, 0).max()
    return jnp.where(going_B, jnp.exp((left_B - most) / LAG), 0.0)


class Spent(NamedTuple):
    """In plain passes."""

    passes: Float[Array, ""]  # in all
    trials: Float[Array, ""]  # on trials, more than plain passes would have taken


def choose(
    tokens_AB: Float[Array, "A B"],
    best_AB: Float[Array, "A B"],
    cost_A: Float[Array, " A"],
    weight_B: Float[Array, " B"],
    spent: Spent,
    behind: Int[Array, ""],
    limit: Int[Array, ""],
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """The drafter of the next pass, of which number 0 drafts nothing.

    The one that promises the most tokens for its cost. Now and then another one is tried that
    would gain if all its drafts were taken.

    Args:
      tokens_AB: what is expected of a pass.
      best_AB: what it would be if all that is uncertain came out well.
      cost_A: of a pass, in plain passes.
      weight_B: of the rows.
      spent: so far.
      behind: tokens of the row that has fewest.
      limit: tokens that a row may have.

    Returns:
      The number of the drafter, and what it costs more than a plain pass as a trial.
    """
    weight_B = weight_B / weight_B.sum()
    extra_A = cost_A - cost_A[0]
    allowed_A = (extra_A <= 0) | (spent.passes + extra_A <= behind + LOSS * limit)
    margin_A = jnp.where(jnp.arange(cost_A.size) == 0, MARGIN, 1.0)
    gain_A = jnp.where(allowed_A, margin_A * (tokens_AB @ weight_B) / cost_A, -jnp.inf)
    usual = gain_A.argmax()

    might_A = jnp.where(best_AB > tokens_AB, best_AB, 0.0) @ weight_B / cost_A
    affordable_A = allowed_A & (spent.trials + extra_A <= TRIALS * spent.passes)
    might_A = jnp.where(affordable_A & (might_A > gain_A[usual]), 1 / cost_A, 0.0)
    tries = might_A.max() > 0
    chosen = jnp.where(tries, might_A.argmax(), usual).astype(jnp.int32)
    return chosen, jnp.where(tries, extra_A[chosen], 0.0)
