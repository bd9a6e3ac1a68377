"""Llama (Touvron et al. 2023) and its kin: pre-norm causal blocks, RMSNorm, RoPE, SwiGLU.

Rotary positions in a `config.json`, as `rope_parameters` or in the older spelling.
"""

from dataclasses import replace
from typing import Any

from ee_jax.models.architecture import Architecture, Rope
from ee_jax.models.families.family import Config, Family, refuse_others
from ee_jax.models.families.fields import ROPE_FIELDS, check_fields

# What each scaling reads: our field and their key.
SCALINGS = {
    "default": {},
    "linear": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low": "low_freq_factor",
        "high": "high_freq_factor",
        "original_length": "original_max_position_embeddings",
    },
}


def read_rope(given: Config) -> Rope:
    """The rotary positions of a whole config; ValueError for a scaling not built here.

    Where both spellings are given, the older one counts, as in Hugging Face's own reader.
    """
    rope = given.get("rope_scaling") or given.get("rope_parameters") or {}
    if any(isinstance(part, dict) for part in rope.values()):
        raise ValueError("the rotary positions are not the same in all blocks")
    check_fields(rope, ROPE_FIELDS, " of the rotary positions")
    scaling = rope.get("rope_type", rope.get("type", "default"))
    if scaling not in SCALINGS:
        raise ValueError(f"rope scaling {scaling!r} is not one of {', '.join(SCALINGS)}")
    refuse_others({**given, **rope}, partial_rotary_factor=1.0)
    theta = rope.get("rope_theta", given.get("rope_theta", 10_000.0))
    fields = {ours: rope[key] for ours, key in SCALINGS[scaling].items()}
    made = Rope(theta, scaling, **fields)
    if made.low >= made.high:
        raise ValueError(f"low_freq_factor {made.low} is not below that of high, {made.high}")
    return made


def write_rope(rope: Rope) -> Config:
    """A config's keys of rotary positions, in both spellings.

    Who reads only the older one takes a base of 10,000 where `rope_theta` is missing.
    """
    fields = {key: getattr(rope, ours) for ours, key in SCALINGS[rope.scaling].items()}
    scaling = {"rope_type": rope.scaling, **fields}
    return {
        "rope_parameters": {"rope_theta": rope.theta, **scaling},
        "rope_theta": rope.theta,
        "rope_scaling": scaling if fields else None,
    }


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
    family, heads = given["model_type"], given["num_attention_heads"]
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
        family=family,
        head_size=given.get("head_dim") or config.head_size,
        rope=read_rope(given),
        window=_window(given),
        tied_output=given.get("tie_word_embeddings", False),
        **KINDS[family],
    )


def _window(given: Config) -> int | None:
    """Of attention that slides: a Mistral's, 4096 where its config says nothing."""
    return given.get("sliding_window", 4096) if given["model_type"] == "mistral" else None


def write(config: Architecture) -> Config:
    """The config of a Llama, a Mistral or a Qwen."""
    return {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.blocks,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "intermediate_size": config.hidden,
        "max_position_embeddings": config.max_length,
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
