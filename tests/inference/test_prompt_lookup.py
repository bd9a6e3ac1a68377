"""Lookups, and the choice of who drafts, against loops in plain Python."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.inference import draft_choice
from ee_jax.inference.decode_loop import Ends
from ee_jax.inference.draft_choice import (
    Acceptance,
    Spent,
    choose,
    expected_tokens,
    row_weights,
)
from ee_jax.inference.drafting import count_lookup
from ee_jax.inference.prompt_lookup import LONGEST, look_up


def plain_lookup(tokens, drafts):
    """The longest earlier match of the last tokens, the latest of them, and what follows it."""
    for match in range(LONGEST, 0, -1):
        key = tokens[-match:]
        for start in range(len(tokens) - match - 1, -1, -1):
            if tokens[start : start + match] == key:
                known = tokens[start + match :]
                return [known[i % len(known)] for i in range(drafts)], match
    return [], 0


@pytest.mark.parametrize("kinds", [2, 3, 8, 30])
def test_lookups_are_those_of_a_plain_search(kinds):
    random = np.random.default_rng(kinds)
    rows, slots, drafts = 200, 24, 5
    context_BS = random.integers(kinds, size=(rows, slots))
    last_B = random.integers(slots, size=rows)
    found = jax.jit(look_up, static_argnums=2)(context_BS, last_B, drafts)
    matches = set()
    for row in range(rows):
        ids, match = plain_lookup(context_BS[row, : last_B[row] + 1].tolist(), drafts)
        assert found.match_B[row] == match
        if match:
            assert found.ids_Bk[row].tolist() == ids
        matches.add(match)
    assert len(matches) > 2


def test_a_text_that_repeats_itself_is_drafted_on_and_on():
    found = look_up(jnp.array([[7, 1, 2, 1, 2, 0, 0]]), jnp.array([4]), 5)
    assert found.ids_Bk[0].tolist() == [1, 2, 1, 2, 1]
    assert found.match_B[0] == 2  # the 7 has not come before a 1, 2 again


def test_drafts_of_a_lookup_end_at_a_stop_token_and_before_the_limit():
    context_BS = jnp.array([[1, 5, 6, 9, 7, 1]] * 3 + [[1, 2, 3, 4, 5, 6]])
    found = look_up(context_BS, jnp.full(4, 5), 4)
    ends = Ends(jnp.array([9]), jnp.array([20, 3, 1, 20]))
    count_B = count_lookup(found, jnp.zeros(4, jnp.int32), ends)
    assert count_B.tolist() == [3, 2, 0, 0]  # 5 6 9; room for two; for none; nothing found


def test_expected_tokens_are_the_mean_of_runs_of_luck():
    """By simulation: a draft counts if it and all before it are taken; a row without room."""
    rate, drafts = 0.7, 4
    lucky_NK = np.random.default_rng(0).random((200_000, drafts)) < rate
    mean = 1 + np.cumprod(lucky_NK, axis=1).sum(1).mean()
    found_B = expected_tokens(jnp.array([rate, rate, 0.0]), drafts, jnp.array([9, 1, 9]))
    np.testing.assert_allclose(found_B, [mean, 1 + rate, 1.0], rtol=5e-3)


def test_rates_are_counts_with_the_prior():
    acceptance = draft_choice.no_acceptance()
    np.testing.assert_allclose(acceptance.rate_C, draft_choice.PRIOR)
    class_B, taken_B, tested_B = (
        jnp.array([1, -1, 1]),
        jnp.array([3, 9, 0]),
        jnp.array([4, 9, 1]),
    )
    rate_C = draft_choice.count_drafts(acceptance, class_B, taken_B, tested_B).rate_C
    wanted = np.array(draft_choice.PRIOR)
    wanted[1] = (3 + 8 * wanted[1]) / (5 + 8)
    np.testing.assert_allclose(rate_C, wanted, rtol=1e-6)
    faded = Acceptance(jnp.full(5, 1e3), jnp.full(5, 1e3))
    for _ in range(1000):
        faded = draft_choice.fade(faded)
    np.testing.assert_allclose(faded.rate_C, draft_choice.PRIOR, atol=1e-4)


def plain_choice(tokens_AB, best_AB, cost_A, left_B, spent, trials, behind, limit):
    """`choose` for rows that all go on, one number after the other."""
    weights = [math.exp(left - max(left_B)) for left in left_B]

    def gain(tokens_B, cost):
        total = sum(w * t for w, t in zip(weights, tokens_B, strict=True))
        return total / sum(weights) / cost

    best, most, allowed = 0, gain(tokens_AB[0], 1.0) * draft_choice.MARGIN, []
    for number, cost in enumerate(cost_A):
        if cost > 1 and spent + cost - 1 > behind + 0.02 * limit:
            continue
        allowed.append(number)
        if number and gain(tokens_AB[number], cost) > most:
            best, most = number, gain(tokens_AB[number], cost)
    tries = []
    for number in allowed:
        open_end = [
            b if b > t else 0 for t, b in zip(tokens_AB[number], best_AB[number], strict=True)
        ]
        if (
            trials + cost_A[number] - 1 <= 0.02 * spent
            and gain(open_end, cost_A[number]) > most
        ):
            tries.append((cost_A[number], number))
    return min(tries)[1] if tries else best


def test_the_choice_is_that_of_a_plain_loop():
    random, chosen = np.random.default_rng(1), []
    run = jax.jit(choose)
    for _ in range(400):
        arms, rows = 5, int(random.integers(1, 4))
        cost_A = np.concatenate([[1.0], random.uniform(0.9, 3, arms - 1)])
        tokens_AB = random.uniform(1, 3, (arms, rows))
        tokens_AB[0] = 1
        best_AB = tokens_AB.copy()
        best_AB[3:] += random.uniform(0, 2, (2, rows))
        left_B = random.integers(1, 6, rows)
        spent, trials = random.uniform(0, 100), random.uniform(0, 1)
        behind, limit = int(spent + random.integers(-2, 4)), 100
        asked = tokens_AB, best_AB, cost_A
        weight_B = row_weights(jnp.asarray(left_B), jnp.ones(rows, bool))
        number, extra = run(
            *map(jnp.float32, asked), weight_B,
            Spent(jnp.float32(spent), jnp.float32(trials)), behind, limit,
        )  # fmt: skip
        wanted = plain_choice(*asked, left_B.tolist(), spent, trials, behind, limit)
        assert int(number) == wanted
        assert float(extra) == 0 or float(extra) == pytest.approx(cost_A[wanted] - 1, abs=1e-6)
        chosen.append(wanted)
    assert set(chosen) == set(range(5))


def test_a_row_that_is_ahead_hardly_counts():
    weight_B = row_weights(jnp.array([10, 10, 4, 12]), jnp.array([True, True, True, False]))
    np.testing.assert_allclose(weight_B, [1, 1, math.exp(-6), 0], rtol=1e-6)
