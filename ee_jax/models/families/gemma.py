"""Gemma 2 (2024) and the text of Gemma 3 (2025): norms about every part, local blocks."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import llama
from ee_jax.models.families.family import Config, Family, refuse_others
from ee_jax.models.families.rope import (
    read_local,
    read_rope,
    read_ropes,
    write_local,
    write_ropes,
)

CAPS = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}  # of a Gemma 2


def read(given: Config) -> Architecture:
    """The architecture of a Gemma's config."""
    activation = given.get("hidden_activation") or "gelu_pytorch_tanh"
    refuse_others({"hidden_activation": activation}, hidden_activation="gelu_pytorch_tanh")
    refuse_others(given, attention_bias=False)
    if given.get("use_bidirectional_attention"):
        raise ValueError("use_bidirectional_attention is true, not false")
    is_third = given["model_type"] == "gemma3_text"
    caps = {**({} if is_third else CAPS), **given}
    config = llama.read_sizes({"head_dim": 256, **given}, tied=True)
    ropes = (
        read_ropes(
            given, given.get("rope_theta", 1e6), given.get("rope_local_base_freq", 10_000.0)
        )
        if is_third
        else (read_rope(given), None)
    )
    window = given.get("sliding_window", 4096)
    every = given.get("sliding_window_pattern", 6) if is_third else 2
    local = read_local(given, config.blocks, lambda block: (block + 1) % every > 0)
    if window is None and any(local):
        raise ValueError("sliding_window is null, but some blocks have one")
    return replace(
        config, norm="rms_plus_one", norm_place="both", embedding_scale=config.width**0.5,
        activation="gelu_tanh", head_norm=is_third, rope=ropes[0], local_rope=ropes[1],
        window=window, local=local, score_size=given.get("query_pre_attn_scalar", 256),
        score_cap=caps.get("attn_logit_softcapping"),
        logit_cap=caps.get("final_logit_softcapping"),
    )  # fmt: skip


def write(config: Architecture) -> Config:
    """The config of a Gemma."""
    local = config.local_rope
    ropes = {**write_ropes(config), "rope_local_base_freq": local.theta} if local else {}
    return {
        **llama.write(config),
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": config.score_size,
        "attn_logit_softcapping": config.score_cap,
        "final_logit_softcapping": config.logit_cap,
        **write_local(config),
        **ropes,
    }


BLOCK = {
    **llama.BLOCK,
    "attention_out_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "mlp_out_norm": "post_feedforward_layernorm",
}

GEMMA = Family("model.", llama.MODULES, "layers.{}", BLOCK, read, write)
