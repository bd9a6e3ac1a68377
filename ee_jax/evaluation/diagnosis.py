"""What early exit could buy on a language model as it is: formulas over what its exits say.

An exit agrees on a token where its own top token is that of the full model, which is the last
exit. Everything here is arithmetic on these agreements: no rule has to be chosen, so that what
comes out bounds what any rule can reach.
"""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Bool, Int


def agreements(prediction_EN: Int[np.ndarray, "E N"]) -> Bool[np.ndarray, "N E"]:
    """Where each exit's top token is the last exit's.

    Args:
      prediction_EN: the top token of each exit for each of N tokens.

    Returns:
      True where they are the same; always so at the last exit.
    """
    chex.assert_rank(prediction_EN, 2)
    return (prediction_EN == prediction_EN[-1]).T


def first_agreement(agrees_NE: Bool[np.ndarray, "N E"]) -> Int[np.ndarray, " N"]:
    """The number of the first exit that agrees, whatever those after it say.

    Args:
      agrees_NE: from `agreements`.

    Returns:
      An exit for each token: the cheapest that gives the full model's answer.
    """
    chex.assert_rank(agrees_NE, 2)
    return agrees_NE.argmax(1)


def oracle_exit(agrees_NE: Bool[np.ndarray, "N E"]) -> Int[np.ndarray, " N"]:
    """The number of the first exit from which on all agree.

    Stopping there is right for a reason that lasts; an exit that `first_agreement` finds may
    have been lucky, and those after it disagree again.

    Args:
      agrees_NE: from `agreements`.

    Returns:
      An exit for each token, never before its `first_agreement`.
    """
    chex.assert_rank(agrees_NE, 2)
    lasts_NE = np.logical_and.accumulate(agrees_NE[:, ::-1], axis=1)[:, ::-1]
    return lasts_NE.argmax(1)


class Best(NamedTuple):
    """The most that any rule can save at a disagreement."""

    disagreement: float  # the share of tokens that may disagree
    mean_depth: float  # blocks a token
    ideal_speedup: float  # L / mean depth
    flops_speedup: float  # with one answer a token, by a rule that asks no other exit


def best_speedup(
    agrees_NE: Bool[np.ndarray, "N E"],
    depth_E: Int[np.ndarray, " E"],
    share: float,
    answer_blocks: float,
) -> Best:
    """The best speed-up of any rule that lets at most a share of the tokens disagree.

    Each token stops at its first exit that agrees now. Then the floor(share * N) tokens that
    cost the most are let go at the first exit, whatever it says of them. No assignment of
    exits to tokens with as few disagreements has a smaller mean depth: a token that agrees
    cannot stop earlier, one that disagrees cannot stop before the first exit, and the largest
    savings are taken. Keys and values that skipped blocks lack are not counted.

    Args:
      agrees_NE: from `agreements`.
      depth_E: blocks run at each exit, the last is L.
      share: of the tokens that may disagree, in [0, 1].
      answer_blocks: FLOPs of an exit's answer / FLOPs of a block.

    Returns:
      Depth and speed-ups, in blocks and in FLOPs: (L + a) / (mean depth + a) with a
      `answer_blocks`, since every token pays for the one answer that it takes.
    """
    chex.assert_shape(depth_E, (agrees_NE.shape[1],))
    depth_N = np.sort(depth_E[first_agreement(agrees_NE)])
    free = int(share * len(depth_N) + 1e-9)  # 0.29 * 100 is below 29
    depth_N[len(depth_N) - free :] = depth_E[0]
    mean, last = float(depth_N.mean()), int(depth_E[-1])
    flops = (last + answer_blocks) / (mean + answer_blocks)
    return Best(share, mean, last / mean, flops)


def tokens_a_pass(acceptance: float, drafts: int) -> float:
    """Tokens that a verifying pass is expected to give (Leviathan et al. 2023, eq. 1).

    (1 - a^(k + 1)) / (1 - a), if each draft is accepted with probability a whatever became of
    the others; written as the sum 1 + a + ... + a^k, which holds at a = 1 too.

    Args:
      acceptance: a; of greedy drafts the share on which the drafting exit agrees.
      drafts: k, tokens drafted before each pass.

    Returns:
      From 1 to k + 1.
    """
    return float(sum(acceptance**power for power in range(drafts + 1)))


def speculation_speedup(acceptance: float, drafts: int, cost: float) -> float:
    """Speculation's ideal speed-up (Leviathan et al. 2023, theorem 3.8).

    Args:
      acceptance: of a draft.
      drafts: k, tokens drafted before each pass.
      cost: of a draft / of a pass of the full model, which takes as long over k + 1 tokens as
        over one.

    Returns:
      `tokens_a_pass` / (k * cost + 1); below 1 where drafting loses.
    """
    return tokens_a_pass(acceptance, drafts) / (drafts * cost + 1)
