"""Layouts of a program: alike in what comes out, apart in what they ask."""

import re

import jax
import jax.numpy as jnp
import pytest

from ee_jax.errors import UserError
from ee_jax.exits.layouts import LAYOUTS, Turn, default_layout, run_turns
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.rules import Exiting
from ee_jax.models.transformer import bind
from tests.inference.models import PROMPTS, tiny

TURNS = 5


def count_to(stop, layout, turns=TURNS):
    """How many turns ran, and how many were skipped, where `stop` turns are wanted."""

    def turn():
        def run(carry):
            return carry[0] + 1, carry[1]

        def skip(carry):
            return carry[0], carry[1] + 1

        return Turn(lambda carry: carry[0] < stop, run, skip)

    zero = jnp.int32(0)
    return run_turns(layout, [turn() for _ in range(turns)], (zero, zero))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stop", range(TURNS + 1))
def test_turns_run_while_they_are_wanted(layout, stop):
    """The first always does, and what is skipped is told where a layout can."""
    ran, skipped = map(int, jax.jit(lambda stop: count_to(stop, layout))(stop))
    assert ran == max(1, stop)
    assert skipped == (TURNS - ran if LAYOUTS[layout].skips else 0)


def test_nested_branches_are_few():
    assert count_to(3, "nested", 8)[0] == 3
    with pytest.raises(UserError, match="at most 8 exits, and the model has 9: use `conds`"):
        count_to(3, "nested", 9)
    with pytest.raises(UserError, match="did you mean `nested`"):
        count_to(3, "nestd")


def test_the_default_is_a_loop_on_a_cpu_and_branches_elsewhere():
    assert default_layout("cpu", 4) == "loops"
    assert default_layout("gpu", 4) == default_layout("tpu", 8) == "nested"
    assert default_layout("gpu", 9) == "conds"


def predicates(layout, policy):
    """`while` and `conditional` in the compiled decoder of three exits, the loop's own out."""
    decoder, tokens = Decoder(tiny()), 4
    method = EarlyExitDecoding(Exiting().rule_at, policy, layout=layout)
    request = decoder.request(pack_prompts(PROMPTS, tiny().backbone.config, tokens), tokens)
    at = decoder.start(method, request, tokens)

    def run(values, threshold, at, until):
        model = bind(decoder.model, values)
        return method.go_on(model, threshold, at, request.ends, decoder.sampling, until)

    lowered = jax.jit(run).lower(decoder.values, jnp.float32(0.2), at, jnp.int32(tokens))
    text = lowered.compile().as_text() or ""
    return len(re.findall(r" while\(", text)) - 1, len(re.findall(r" conditional\(", text))


@pytest.mark.parametrize("policy", ["propagate", "copy", "recompute"])
@pytest.mark.parametrize("layout", ["conds", "nested"])
def test_a_branch_asks_once_an_exit(layout, policy):
    """The first exit always answers: what fills skipped blocks is in the same branch."""
    assert predicates(layout, policy) == (0, 2)


def test_a_loop_asks_for_what_is_missing_too():
    assert predicates("loops", "propagate") == (5, 0)
