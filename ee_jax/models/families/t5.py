"""T5 and mT5 (Raffel et al. 2020; Xue et al. 2021), version 1.1 and Flan-T5 among them.

Encoder and decoder have pre-norm blocks without biases; how far a token is from another is all
that is known of positions, and scores are not scaled. Version 1.0 has plain MLPs, and scales
what its output, the token embedding, reads; later ones have gated MLPs and an output apart.
"""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import (
    ACTIVATIONS,
    Config,
    Family,
    Tensors,
    refuse_others,
    write_activation,
)

POSITIONS = 512  # tokens of a text, where the config says nothing: the length of pretraining


def t5(
    vocabulary: int,
    width: int,
    blocks: int,
    heads: int,
    head_size: int,
    hidden: int,
    decoder_blocks: int | None = None,
    max_length: int = POSITIONS,
) -> Architecture:
    """A T5 of version 1.0 of these sizes: its decoder, which has its encoder."""
    decoder = Architecture(
        "t5", vocabulary, width, decoder_blocks or blocks, heads, heads, head_size, hidden,
        max_length, norm="rms", norm_place="pre", norm_eps=1e-6, embedding_norm=False,
        activation="relu", positions="none", relative_buckets=32, score_size=1.0, causal=True,
        bias="none", tied_output=True, output_scale=width**-0.5,
    )  # fmt: skip
    return replace(decoder, encoder=replace(decoder, blocks=blocks, causal=False))


def read(given: Config) -> Architecture:
    """The architecture of a T5's config."""
    refuse_others(given, is_encoder_decoder=True)
    kind, _, activation = given.get("feed_forward_proj", "relu").rpartition("-")
    activation = "gelu_new" if (kind, activation) == ("gated", "gelu") else activation
    if kind not in ("", "gated") or activation not in ACTIVATIONS:
        raise ValueError(f"feed_forward_proj is {given['feed_forward_proj']!r:.40}")
    config = t5(
        given["vocab_size"], given["d_model"], given["num_layers"], given["num_heads"],
        given["d_kv"], given["d_ff"], given.get("num_decoder_layers"),
        given.get("n_positions", POSITIONS),
    )  # fmt: skip
    tied = given.get("tie_word_embeddings", True)
    # Newer configs say that the two are tied where only the weights know.
    scales = given.get("scale_decoder_outputs", tied)
    return _both(
        config,
        family=given["model_type"],
        mlp="gated" if kind else "plain",
        activation=ACTIVATIONS[activation],
        norm_eps=given.get("layer_norm_epsilon", 1e-6),
        relative_buckets=given.get("relative_attention_num_buckets", 32),
        relative_furthest=given.get("relative_attention_max_distance", 128),
        tied_output=tied,
        output_scale=config.output_scale if scales else 1.0,
    )


def _both(config: Architecture, **fields: object) -> Architecture:
    """The decoder and its encoder with these fields."""
    assert config.encoder is not None
    return replace(config, encoder=replace(config.encoder, **fields), **fields)


def write(config: Architecture) -> Config:
    """The config of a T5."""
    assert config.encoder is not None
    gated = "gated-" * (config.mlp == "gated")
    return {
        "is_encoder_decoder": True,
        "vocab_size": config.vocabulary,
        "d_model": config.width,
        "num_layers": config.encoder.blocks,
        "num_decoder_layers": config.blocks,
        "num_heads": config.heads,
        "d_kv": config.head_size,
        "d_ff": config.hidden,
        "n_positions": config.max_length,
        "feed_forward_proj": gated + write_activation(config.activation),
        "layer_norm_epsilon": config.norm_eps,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_furthest,
        "tie_word_embeddings": config.tied_output,
        "scale_decoder_outputs": config.output_scale != 1.0,
    }


def unpack(tensors: Tensors) -> Tensors:
    """A plain MLP's first matrix under the name that it has in a gated one."""
    return {name.replace(".wi.", ".wi_1."): own for name, own in tensors.items()}


def pack(tensors: Tensors) -> Tensors:
    """Back from what `unpack` gives."""
    if any(".wi_0." in name for name in tensors):
        return tensors
    return {name.replace(".wi_1.", ".wi."): own for name, own in tensors.items()}


def _block(*layers: str) -> dict[str, str]:
    """The names of a block whose attention, and what follows it, are these parts."""
    ours = {"SelfAttention": "attention", "EncDecAttention": "cross", "DenseReluDense": "mlp"}
    names = {}
    for number, theirs in enumerate(layers):
        part, at = ours[theirs], f"layer.{number}"
        leaves = {"query": "q", "key": "k", "value": "v", "out": "o"}
        if part == "mlp":
            leaves = {"gate": "wi_0", "up": "wi_1", "down": "wo"}
        names |= {f"{part}.{one}": f"{at}.{theirs}.{other}" for one, other in leaves.items()}
        names[f"{part}_norm"] = f"{at}.layer_norm"
    return names


FIRST = "{}.block.0.layer.0.SelfAttention.relative_attention_bias"
T5 = Family(
    "",
    {
        "embedding.tokens": "shared",
        "relative": FIRST.format("decoder"),
        "final_norm": "decoder.final_layer_norm",
        "encoder.relative": FIRST.format("encoder"),
        "encoder.final_norm": "encoder.final_layer_norm",
    },
    "decoder.block.{}",
    _block("SelfAttention", "EncDecAttention", "DenseReluDense"),
    read, write, unpack, pack,
    encoder_stem="encoder.block.{}",
    encoder_block=_block("SelfAttention", "DenseReluDense"),
)  # fmt: skip
