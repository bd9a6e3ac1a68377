"""Phi-3 (Abdin et al. 2024): a Llama whose projections lie in one matrix each."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import llama
from ee_jax.models.families.family import Config, Family, Fused, refuse_others
from ee_jax.models.families.rope import read_rope


def read(given: Config) -> Architecture:
    """The architecture of a Phi-3's config, of which a part of each head may turn.

    Its positions are stretched by its own scaling alone (`longrope`), which is not built here.
    """
    refuse_others(given, hidden_act="silu")
    rope = read_rope(given, share=1.0)
    refuse_others({"rope_type": rope.scaling}, rope_type="default")
    return replace(
        llama.read_sizes(given), family="phi3", rope=rope, window=given.get("sliding_window")
    )


def write(config: Architecture) -> Config:
    """The config of a Phi-3, whose default of the padding is beyond a small vocabulary."""
    return {**llama.write(config), "pad_token_id": None}


BLOCK = {
    **llama.BLOCK,
    "attention.query": "self_attn.q",
    "attention.key": "self_attn.k",
    "attention.value": "self_attn.v",
    "mlp.gate": "mlp.gate",
    "mlp.up": "mlp.up",
}
FUSED = (
    Fused("self_attn.qkv_proj", ("self_attn.q", "self_attn.k", "self_attn.v")),
    Fused("mlp.gate_up_proj", ("mlp.gate", "mlp.up")),
)

PHI3 = Family("model.", llama.MODULES, "layers.{}", BLOCK, read, write, fused=FUSED)
