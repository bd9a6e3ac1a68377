"""FLOPs of decoding: by hand, against plain loops, the decoder's cache and XLA's own count."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.exits.stopping import Stopping
from ee_jax.inference.decode_loop import start_memory, static_step
from ee_jax.inference.exit_step import ExitStep
from ee_jax.inference.flops import (
    blocks_made_later,
    decoding_flops,
    decoding_flops_speedup,
    exits_flops,
    static_decoding_flops,
)
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.rules import Exiting, forced_at
from ee_jax.models.families.gpt2 import gpt2
from ee_jax.models.families.llama import llama
from ee_jax.models.families.t5 import t5
from ee_jax.models.kv_cache import make_cache
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer
from tests.inference.models import BLOCKS, LAYERS, tiny

# D = 4, two heads of 2 that share their keys, F = 6, V = 9: of a block, 64 for queries and
# output, 32 for keys and values, 16 for each token that is seen, 144 for the MLP.
LLAMA = llama(9, width=4, blocks=3, heads=2, kv_heads=1, hidden=6, max_length=64)
GPT2 = gpt2(9, width=4, blocks=3, heads=2, hidden=6, max_length=64)
KV, BLOCK, SEEN, LOGITS, SCORE = 32, 64 + 32 + 144, 16, 72, 8
TOP, EXITS = Exiting("max_prob"), LanguageDesign((1, 3))
TIME, WINDOW = 12, 2  # of the decoder whose cache is looked at


def flops(exit_T, policy="propagate", exiting=TOP, first=0, config=LLAMA):
    found_BT = decoding_flops(config, EXITS, exiting, policy, np.array([exit_T]), first)
    return found_BT[0].tolist()


def test_a_token_that_runs_all_blocks_pays_for_the_exits_on_the_way():
    assert static_decoding_flops(LLAMA, np.array([[1]])).tolist() == [
        [3 * (BLOCK + SEEN) + LOGITS]
    ]
    assert flops([1]) == [3 * (BLOCK + SEEN) + 2 * LOGITS]


def test_the_context_grows_with_the_position():
    assert flops([0, 0], first=5) == [BLOCK + 6 * SEEN + LOGITS, BLOCK + 7 * SEEN + LOGITS]


# Two heads of 2 of their own keys, and as many that look at a source of 5 tokens or 7.
T5 = t5(9, width=4, blocks=2, heads=2, head_size=2, hidden=6, decoder_blocks=3)
OWN, LOOK = 64 + 64 + 2 * 2 * 4 * 6, 64  # a block without what it sees; a look's projections


@pytest.mark.parametrize(
    ("policy", "each"),
    [("propagate", 64), ("copy", 0), ("recompute", OWN + LOOK + SEEN)],
)
def test_a_decoder_looks_at_its_rows_source(policy, each):
    exit_BT, source_B = np.array([[0, 1], [1, 1]]), np.array([5, 7])
    asked = T5, EXITS, TOP, policy, exit_BT
    found_BT = decoding_flops(*asked, source_B=source_B)
    looks = 2 * each if policy != "recompute" else 2 * (each + 5 * SEEN)
    block = OWN + LOOK + SEEN
    assert found_BT[0, 0] == block + 5 * SEEN + LOGITS + looks
    assert found_BT[1, 0] == 3 * (block + 7 * SEEN) + 2 * LOGITS
    static_BT = static_decoding_flops(T5, exit_BT, source_B=source_B)
    assert static_BT[0].tolist() == [
        3 * (block + 5 * SEEN) + LOGITS,
        3 * (block + 6 * SEEN) + LOGITS,
    ]


@pytest.mark.parametrize(
    ("policy", "each"), [("propagate", KV), ("copy", 0), ("recompute", BLOCK + SEEN)]
)
def test_what_a_skipped_block_costs_once_a_later_token_runs_it(policy, each):
    early = BLOCK + SEEN + LOGITS
    assert flops([0], policy) == [early]
    assert flops([0, 1], policy)[0] == early + 2 * each


@pytest.mark.parametrize(
    ("exiting", "wanted"),
    [
        (TOP, [LOGITS, 2 * LOGITS]),
        (Exiting("saturation"), [LOGITS, LOGITS]),
        (Exiting("learned"), [LOGITS + SCORE, LOGITS + 2 * SCORE]),
        # Agreement of the exits' answers takes logits.
        (Exiting("learned", Stopping(patience=1)), [LOGITS + SCORE, 2 * (LOGITS + SCORE)]),
    ],
)
def test_what_exits_read(exiting, wanted):
    exit_BT, context_T = np.array([[0, 1, -1]]), np.arange(1, 4)
    found_BT = exits_flops(LLAMA, EXITS, exiting, exit_BT, context_T)
    assert found_BT.tolist() == [[*wanted, 0]]


def test_a_large_vocabulary_costs_more_than_early_exits_save():
    """Of 12 blocks, all tokens stop after 6; each of the 6 exits makes 32,000 logits."""
    config = llama(32_000, 768, 12, 12, 12, 2048, max_length=256)
    asked = config, LanguageDesign(tuple(range(1, 13)))
    exit_BT = np.full((2, 256), 5)
    assert decoding_flops_speedup(*asked, Exiting("max_prob"), "propagate", exit_BT) < 1
    assert decoding_flops_speedup(*asked, Exiting("saturation"), "propagate", exit_BT) > 1.3


def test_with_one_exit_nothing_is_gained_or_lost():
    exit_BT = np.array([[0, 0, 0], [0, -1, -1]])
    assert decoding_flops_speedup(LLAMA, LanguageDesign((3,)), TOP, "recompute", exit_BT) == 1


def test_nothing_is_counted_beyond_a_rows_end():
    whole = flops([0, 1, 0])
    assert flops([0, 1, 0, -1, -1]) == [*whole, 0, 0]
    assert static_decoding_flops(LLAMA, np.array([[0, -1]]))[0, 1] == 0


def test_a_narrow_embedding_is_projected_for_each_token():
    narrow = replace(LLAMA, embedding_width=2)
    assert flops([0, 1], config=narrow) == [count + 2 * 2 * 4 for count in flops([0, 1])]


# What the heads of exits multiply, beside the shared projection, with a width of 5.
MLP = [(4, 5), (4, 5), (5, 4)]
HEADS = {
    "norm": [],
    "adapter": [(4, 5), (5, 4)],
    "mlp": MLP,
    "block": [(4, 4), (4, 4), *MLP],  # queries and output
}


class Plain:
    """One row's FLOPs, product after product, in a loop over its tokens."""

    def __init__(self, config, design, kind, policy, first, window):
        self.config, self.design, self.kind = config, design, kind
        self.layers = design.layers
        self.first, self.window, self.total = first, window, 0
        make = {"propagate": self.keys, "recompute": self.run, "copy": lambda *_: None}
        self.make = make[policy]
        self.lacks = []  # for each token, the blocks that have no keys and values of it

    def product(self, inputs, outputs):
        self.total += 2 * inputs * outputs

    def keys(self, token, block):
        for _ in ("key", "value"):
            self.product(self.config.width, self.config.kv_heads * self.config.head_size)

    def run(self, token, block):
        config, inner = self.config, self.config.heads * self.config.head_size
        self.keys(token, block)
        self.product(config.width, inner)
        self.look(token, block)
        self.product(inner, config.width)
        for _ in ("gate", "up", "down") if config.mlp == "gated" else ("up", "down"):
            self.product(config.width, config.hidden)

    def look(self, token, block):
        config = self.config
        window = config.window if not config.local or config.local[block] else None
        for _ in range(config.heads):
            for back in range(self.first + token + 1):
                if window is not None and back >= window:
                    continue
                self.product(config.head_size, 1)  # a score
                self.product(1, config.head_size)  # a value, weighted

    def fill(self, block):
        for token, lacking in enumerate(self.lacks):
            if block in lacking:
                lacking.remove(block)
                self.make(token, block)

    def decode(self, exit_T):
        for token, exit in enumerate(exit_T):
            if sum(map(bool, self.lacks)) == self.window:
                for block in range(self.config.blocks):
                    self.fill(block)
            for block in range(self.layers[exit]):
                self.fill(block)
                self.run(token, block)
                if block + 1 in self.layers:
                    here = self.layers.index(block + 1)
                    self.read(token, here, block + 1 == self.layers[exit])
            self.lacks.append(set(range(self.layers[exit], self.config.blocks)))
        return self.total

    def read(self, token, exit, is_last):
        if is_last or self.kind == "margin":
            self.product(self.config.width, self.config.vocabulary)
            if exit < len(self.design.layers) - 1:
                for shape in HEADS[self.design.head]:
                    self.product(*shape)
                if self.design.head == "block":
                    self.look(token, self.layers[exit] - 1)
        if self.kind == "learned":
            self.product(self.config.width, 1)


LOCAL = replace(LLAMA, window=4, local=(True, False, True))
CONFIGS = {"llama": LLAMA, "gpt2": GPT2, "mistral": replace(LLAMA, window=3), "gemma": LOCAL}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("policy", [*POLICIES])
@given(
    exit_T=st.lists(st.integers(0, 2), min_size=1, max_size=14),
    kind=st.sampled_from(["margin", "saturation", "learned"]),
    window=st.integers(1, 5),
    first=st.integers(0, 9),
    head=st.sampled_from([*HEADS]),
)
def test_plain_loops_count_the_same(config, policy, exit_T, kind, window, first, head):
    design, exit_BT = LanguageDesign((1, 2, 3), head, 5), np.array([[*exit_T, -1]])
    found = decoding_flops(config, design, Exiting(kind), policy, exit_BT, first, window)
    plain = Plain(config, design, kind, policy, first, window)
    assert found.sum() == plain.decode(exit_T)


@pytest.fixture(scope="module")
def written():
    """Gives which tokens each layer of the cache holds after a row alone at given depths."""
    model, policy = tiny(), POLICIES["propagate"]

    @jax.jit
    def run(depth_BT):
        rule_at = forced_at(depth_BT, LAYERS)
        memory = start_memory(model, make_cache(model.backbone.config, 1, TIME), WINDOW)

        def step(memory, position_B):
            rule, ended_B = rule_at(position_B), jnp.zeros(1, bool)
            return ExitStep(model, policy, rule)(memory, position_B, position_B, ended_B)

        memory, _ = jax.lax.scan(step, memory, jnp.arange(TIME)[:, None])
        return jnp.stack([kv.key_BKSH.any((0, 1, 3)) for kv in memory.cache])

    return run


@pytest.mark.parametrize("deep", [0.0, 0.1, 0.2, 0.5])
def test_the_decoder_makes_what_is_counted(written, deep):
    """`deep` is the share of tokens that run all blocks, by which the window never fills."""
    random = np.random.default_rng(0)
    for _ in range(5):
        depth_T = random.choice(LAYERS, TIME, p=[0.7 * (1 - deep), 0.3 * (1 - deep), deep])
        made_BT = blocks_made_later(depth_T[None], BLOCKS, WINDOW)
        np.testing.assert_array_equal(written(depth_T[None]).sum(0), depth_T + made_BT[0])


@pytest.mark.parametrize("config", [
    llama(500, 64, 2, heads=4, kv_heads=2, hidden=256, max_length=32),
    gpt2(500, 64, 2, heads=4, hidden=256, max_length=32),
])  # fmt: skip
def test_a_static_step_as_xla_counts_it(config):
    """At the last slot of the cache, so that no slot is masked.

    XLA also counts norms, activations and the softmax: less than 1 / 20 beside products over 64
    numbers and more.
    """
    design, rngs = LanguageDesign((2,)), nnx.Rngs(0)
    step = static_step(LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs), 0)
    at_B, cache = jnp.asarray([31]), make_cache(config, 1, 32)
    count, ended_B = jnp.int32(0), at_B < 0
    lowered = jax.jit(lambda cache: step(cache, at_B, at_B, count, ended_B)).lower(cache)
    counted = lowered.cost_analysis()
    assert counted is not None
    ours = static_decoding_flops(config, np.array([[0]]), first=31).item()
    assert ours <= counted["flops"] <= 1.05 * ours
