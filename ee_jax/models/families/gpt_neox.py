"""GPT-NeoX (Black et al. 2022) and Pythia: parallel residuals, RoPE on a part of each head."""

from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import (
    Config,
    Family,
    Fused,
    Tensors,
    read_activation,
    refuse_others,
    write_activation,
    write_sizes,
)
from ee_jax.models.families.rope import read_rope, write_rope


def read(given: Config) -> Architecture:
    """The architecture of a GPT-NeoX's or a Pythia's config."""
    refuse_others(given, attention_bias=True)
    width, heads = given["hidden_size"], given["num_attention_heads"]
    theta, share = given.get("rotary_emb_base", 10_000.0), given.get("rotary_pct", 0.25)
    parallel = given.get("use_parallel_residual", True)
    return Architecture(
        "gpt_neox", given["vocab_size"], width, given["num_hidden_layers"], heads, heads,
        width // heads, given["intermediate_size"], given["max_position_embeddings"],
        norm_place="parallel" if parallel else "pre", norm_eps=given["layer_norm_eps"],
        embedding_norm=False, activation=read_activation(given["hidden_act"]),
        positions="rope", rope=read_rope({"rope_theta": theta, **given}, share), causal=True,
        tied_output=given.get("tie_word_embeddings", False),
    )  # fmt: skip


def write(config: Architecture) -> Config:
    """The config of a GPT-NeoX."""
    return {
        **write_sizes(config),
        "hidden_act": write_activation(config.activation),
        "layer_norm_eps": config.norm_eps,
        "use_parallel_residual": config.norm_place == "parallel",
        **write_rope(config.rope),
        "rotary_emb_base": config.rope.theta,
        "rotary_pct": config.rope.share,
        "tie_word_embeddings": config.tied_output,
    }


def unpack(tensors: Tensors) -> Tensors:
    """The output under the name that all versions know."""
    names = {"lm_head.weight": "embed_out.weight"}
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


MODULES = {"embedding.tokens": "embed_in", "final_norm": "final_layer_norm"}
BLOCK = {
    "attention.query": "attention.q",
    "attention.key": "attention.k",
    "attention.value": "attention.v",
    "attention.out": "attention.dense",
    "attention_norm": "input_layernorm",
    "mlp.up": "mlp.dense_h_to_4h",
    "mlp.down": "mlp.dense_4h_to_h",
    "mlp_norm": "post_attention_layernorm",
}
FUSED = (
    Fused(
        "attention.query_key_value", ("attention.q", "attention.k", "attention.v"), by_head=True
    ),
)

GPT_NEOX = Family(
    "gpt_neox.", MODULES, "layers.{}", BLOCK, read, write, unpack, fused=FUSED,
    output="embed_out",
)  # fmt: skip
