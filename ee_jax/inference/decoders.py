"""The two decoders, as steps of the loop over tokens: static, and with exits."""

from typing import Any

import jax.numpy as jnp

from ee_jax.exits.loop import Stopped
from ee_jax.inference.exit_step import Memory, exit_step
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.missing_kv import WINDOW, no_missing_kv
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.segment import embed, run_blocks
from ee_jax.inference.tokens import Step
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


def static_step(model: LanguageModel, exit: int) -> Step:
    """Runs every token to exit number `exit`, and no confidence; the memory is the cache."""
    depth = model.design.layers[exit]

    def step(
        cache: Cache, token_B: Any, position_B: Any, count: Any, ended_B: Any
    ) -> tuple[Cache, Stopped]:
        position_B1 = position_B[:, None]
        hidden_B1D = embed(model, token_B[:, None], position_B1)
        part, hidden_B1D = run_blocks(model, cache[:depth], hidden_B1D, position_B1, 0, depth)
        logits_BV = model.logits(model.feature(exit, hidden_B1D[:, 0]))
        exit_B = jnp.full(token_B.shape, exit, jnp.int32)
        stopped = Stopped(logits_BV, exit_B, jnp.zeros(token_B.shape))
        return (*part, *cache[depth:]), stopped

    return step


def exiting_step(model: LanguageModel, policy: Policy, rule_at: RuleAt) -> Step:
    """Runs each token until its rule stops it; the memory is `start_memory`'s."""

    def step(
        memory: Memory, token_B: Any, position_B: Any, count: Any, ended_B: Any
    ) -> tuple[Memory, Stopped]:
        rule = rule_at(jnp.full(token_B.shape, count))
        return exit_step(model, policy, rule, memory, token_B, position_B, ended_B)

    return step


def start_memory(model: LanguageModel, cache: Cache, window: int = WINDOW) -> Memory:
    """After the prompt: no block lacks anything."""
    return Memory(cache, no_missing_kv(model, cache[0].key_BKSH.shape[0], window))
