"""Llama (Touvron et al. 2023) and its kin: pre-norm causal blocks, RMSNorm, RoPE, SwiGLU."""

from dataclasses import replace
from typing import Any

from ee_jax.models.architecture import Architecture, Rope
from ee_jax.models.families.family import Config, Family, refuse_others, write_sizes
from ee_jax.models.families.rope import read_rope, write_rope

# What is not Llama's own, by the config's model type.
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "qwen2": {"bias": "qkv"},
    "qwen3": {"head_norm": True},
}


def llama(
    vocabulary: int,
    width: int,
    blocks: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    max_length: int,
    norm_eps: float = 1e-5,
    rope_theta: float = 10_000.0,
) -> Architecture:
    """A Llama of these sizes."""
    return Architecture(
        "llama", vocabulary, width, blocks, heads, kv_heads, width // heads, hidden, max_length,
        norm="rms", norm_place="pre", norm_eps=norm_eps, embedding_norm=False, mlp="gated",
        activation="silu", positions="rope", rope=Rope(rope_theta), causal=True, bias="none",
    )  # fmt: skip


def read(given: Config) -> Architecture:
    """The architecture of a Llama's, a Mistral's or a Qwen's config."""
    refuse_others(
        given, hidden_act="silu", attention_bias=False, mlp_bias=False, use_sliding_window=False
    )
    if others := {*(given.get("layer_types") or [])} - {"full_attention"}:
        raise ValueError(f"layer_types has {', '.join(map(repr, sorted(others)))}")
    return replace(
        read_sizes(given),
        rope=read_rope(given),
        window=_window(given),
        **KINDS[given["model_type"]],
    )


def read_sizes(given: Config, tied: bool = False) -> Architecture:
    """A Llama of the sizes of a config in its words.

    Args:
      given: the config.
      tied: whether the output is the embedding, where the config says nothing.
    """
    heads = given["num_attention_heads"]
    config = llama(
        given["vocab_size"],
        given["hidden_size"],
        given["num_hidden_layers"],
        heads,
        given.get("num_key_value_heads") or heads,
        given["intermediate_size"],
        given["max_position_embeddings"],
        given["rms_norm_eps"],
    )
    return replace(
        config,
        family=given["model_type"],
        head_size=given.get("head_dim") or config.head_size,
        tied_output=given.get("tie_word_embeddings", tied),
    )


def _window(given: Config) -> int | None:
    """Of attention that slides: a Mistral's, 4096 where its config says nothing."""
    return given.get("sliding_window", 4096) if given["model_type"] == "mistral" else None


def write(config: Architecture) -> Config:
    """The config of a Llama, a Mistral or a Qwen."""
    return {
        **write_sizes(config),
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "sliding_window": config.window,
        "rms_norm_eps": config.norm_eps,
        **write_rope(config.rope),
        "tie_word_embeddings": config.tied_output,
    }


MODULES = {"embedding.tokens": "embed_tokens", "final_norm": "norm"}
BLOCK = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "attention_norm": "input_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "mlp_norm": "post_attention_layernorm",
}

LLAMA = Family("model.", MODULES, "layers.{}", BLOCK, read, write)
