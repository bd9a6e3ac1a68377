"""GPT-2 (Radford et al. 2019): pre-norm causal blocks, LayerNorm, learned positions."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import Config, Family, Fused, Tensors, refuse_others


def gpt2(
    vocabulary: int = 50_257,
    width: int = 768,
    blocks: int = 12,
    heads: int = 12,
    hidden: int = 3072,
    max_length: int = 1024,
    norm_eps: float = 1e-5,
) -> Architecture:
    """GPT-2 small, or another size."""
    return Architecture(
        "gpt2", vocabulary, width, blocks, heads, heads, width // heads, hidden, max_length,
        norm_place="pre", norm_eps=norm_eps, embedding_norm=False, activation="gelu_tanh",
        causal=True, tied_output=True,
    )  # fmt: skip


def read(given: Config) -> Architecture:
    """The architecture of a GPT-2's config."""
    refuse_others(
        given,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
        activation_function="gelu_new",
    )
    config = gpt2(
        given["vocab_size"],
        given["n_embd"],
        given["n_layer"],
        given["n_head"],
        given.get("n_inner") or 4 * given["n_embd"],
        given["n_positions"],
        given["layer_norm_epsilon"],
    )
    return replace(config, tied_output=given.get("tie_word_embeddings", True))


def write(config: Architecture) -> Config:
    """The config of a GPT-2."""
    return {
        "vocab_size": config.vocabulary,
        "n_embd": config.width,
        "n_layer": config.blocks,
        "n_head": config.heads,
        "n_inner": config.hidden,
        "n_positions": config.max_length,
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tied_output,
    }


# Matrices that are stored as [inputs, outputs].
PROJECTIONS = tuple(f".{name}.weight" for name in ("c_attn", "c_proj", "c_fc"))


def turned(tensors: Tensors) -> Tensors:
    """Projections as [outputs, inputs], and from there back."""
    return {
        name: tensor.T if name.endswith(PROJECTIONS) else tensor
        for name, tensor in tensors.items()
    }


MODULES = {"embedding.tokens": "wte", "embedding.positions": "wpe", "final_norm": "ln_f"}
BLOCK = {
    "attention.query": "attn.q",
    "attention.key": "attn.k",
    "attention.value": "attn.v",
    "attention.out": "attn.c_proj",
    "attention_norm": "ln_1",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
    "mlp_norm": "ln_2",
}

FUSED = (Fused("attn.c_attn", ("attn.q", "attn.k", "attn.v")),)

GPT2 = Family("transformer.", MODULES, "h.{}", BLOCK, read, write, turned, turned, FUSED)
