"""ModernBERT (Warner et al. 2024): pre-norm encoder blocks, RoPE, GeGLU, most of them local."""

from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import (
    Config,
    Family,
    Fused,
    read_activation,
    refuse_others,
    write_activation,
    write_sizes,
)
from ee_jax.models.families.rope import read_local, read_ropes, write_local, write_ropes


def read(given: Config) -> Architecture:
    """The architecture of a ModernBERT's config."""
    refuse_others(
        given, norm_bias=False, attention_bias=False, mlp_bias=False, rope_scaling=None
    )
    width, heads = given["hidden_size"], given["num_attention_heads"]
    blocks, every = given["num_hidden_layers"], given.get("global_attn_every_n_layers", 3)
    thetas = {"global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}
    ropes = read_ropes(given, *(given.get(name, theta) for name, theta in thetas.items()))
    activation = read_activation(given["hidden_activation"], "hidden_activation")
    return Architecture(
        "modernbert", given["vocab_size"], width, blocks, heads, heads, width // heads,
        given["intermediate_size"], given["max_position_embeddings"], norm="layer_unbiased",
        norm_place="pre", norm_eps=given["norm_eps"], first_norm=False, mlp="gated",
        activation=activation,
        positions="rope", rope=ropes[0], local_rope=ropes[1], bias="none",
        window=given.get("local_attention", 128) // 2 + 1,  # of which half is to each side
        local=read_local(given, blocks, lambda block: block % every > 0),
    )  # fmt: skip


def write(config: Architecture) -> Config:
    """The config of a ModernBERT."""
    return {
        **write_sizes(config),
        "hidden_activation": write_activation(config.activation),
        "norm_eps": config.norm_eps,
        "local_attention": 2 * ((config.window or 1) - 1),
        "pad_token_id": None,  # whose default is beyond a small vocabulary
        **write_local(config),
        **write_ropes(config),
        "global_rope_theta": config.rope.theta,
        "local_rope_theta": (config.local_rope or config.rope).theta,
    }


MODULES = {
    "embedding.tokens": "embeddings.tok_embeddings",
    "embedding.norm": "embeddings.norm",
    "final_norm": "final_norm",
}
BLOCK = {
    "attention.query": "attn.q",
    "attention.key": "attn.k",
    "attention.value": "attn.v",
    "attention.out": "attn.Wo",
    "attention_norm": "attn_norm",
    "mlp.gate": "mlp.gate",
    "mlp.up": "mlp.up",
    "mlp.down": "mlp.Wo",
    "mlp_norm": "mlp_norm",
}
FUSED = (
    Fused("attn.Wqkv", ("attn.q", "attn.k", "attn.v")),
    Fused("mlp.Wi", ("mlp.gate", "mlp.up")),
)

MODERNBERT = Family("model.", MODULES, "layers.{}", BLOCK, read, write, fused=FUSED)
