"""BART, mBART and Marian (Lewis et al. 2020; Liu et al. 2020; Junczys-Dowmunt et al. 2018).

Encoder and decoder are those of the first Transformer (Vaswani et al. 2017), with biases.
Marian has its sinusoidal positions; BART and mBART learn theirs, of which two are nobody's, and
have a norm after the embedding. mBART's blocks are pre-norm.
"""

from dataclasses import replace

import numpy as np

from ee_jax.models.architecture import Architecture
from ee_jax.models.families.family import (
    Config,
    Family,
    Tensors,
    read_activation,
    refuse_others,
    write_activation,
)

# By the `model_type`: what one of these families has that the others have not.
STYLES = {
    "bart": {"first_position": 2},
    "mbart": {"first_position": 2, "norm_place": "pre"},
    "marian": {"positions": "sinusoidal", "embedding_norm": False},
}


def bart(
    family: str,
    vocabulary: int,
    width: int,
    blocks: tuple[int, int],
    heads: tuple[int, int],
    hidden: tuple[int, int],
    max_length: int = 1024,
) -> Architecture:
    """A model of one of STYLES: its decoder, which has its encoder.

    Args:
      family: one of STYLES.
      vocabulary: tokens that both know.
      width: of both.
      blocks: of the encoder, of the decoder.
      heads: likewise.
      hidden: likewise.
      max_length: of either text.
    """

    def part(number: int, **own: object) -> Architecture:
        config = Architecture(
            family, vocabulary, width, blocks[number], heads[number], heads[number],
            width // heads[number], hidden[number], max_length, norm_eps=1e-5,
            tied_output=True, output_bias=True,
        )  # fmt: skip
        return replace(config, **STYLES[family], **own)

    return part(1, causal=True, encoder=part(0))


def read(given: Config) -> Architecture:
    """The architecture of a config of one of STYLES."""
    refuse_others(
        given,
        is_encoder_decoder=True,
        tie_word_embeddings=True,
        share_encoder_decoder_embeddings=True,
    )

    def both(size: str) -> tuple[int, int]:
        return given[f"encoder_{size}"], given[f"decoder_{size}"]

    config = bart(
        given["model_type"], given["vocab_size"], given["d_model"], both("layers"),
        both("attention_heads"), both("ffn_dim"), given["max_position_embeddings"],
    )  # fmt: skip
    activation = read_activation(given["activation_function"], "activation_function")
    scale = config.width**0.5 if given.get("scale_embedding") else 1.0
    own = {"activation": activation, "embedding_scale": scale}
    assert config.encoder is not None
    encoder = replace(config.encoder, **own)
    return replace(config, encoder=encoder, unsaid=_unsaid(given), **own)


def _unsaid(given: Config) -> tuple[int, ...]:
    """Marian's padding, which is no token of its training: its logit is 0, and not learned.

    Published configs have it as the one text of `bad_words_ids`.
    """
    if given["model_type"] != "marian":
        return ()
    padding = given["pad_token_id"]
    if padding is None or not 0 <= padding < given["vocab_size"]:
        raise ValueError(f"pad_token_id is {padding}, no token of {given['vocab_size']}")
    return (padding,)


def write(config: Architecture) -> Config:
    """The config of one of STYLES."""
    assert config.encoder is not None
    given = {
        "is_encoder_decoder": True,
        "vocab_size": config.vocabulary,
        "d_model": config.width,
        "max_position_embeddings": config.max_length,
        "activation_function": write_activation(config.activation),
        "scale_embedding": config.embedding_scale != 1.0,
        "tie_word_embeddings": config.tied_output,
    }
    for name, part in (("encoder", config.encoder), ("decoder", config)):
        given |= {
            f"{name}_layers": part.blocks,
            f"{name}_attention_heads": part.heads,
            f"{name}_ffn_dim": part.hidden,
        }
    if config.unsaid:
        (padding,) = config.unsaid
        given |= {"pad_token_id": padding, "bad_words_ids": [[padding]]}
    return given


def unpack(tensors: Tensors) -> Tensors:
    """The tokens' table under one name, and a bias of the logits, which may be left out."""
    tensors = dict(tensors)
    prefix = "model." if any(name.startswith("model.") for name in tensors) else ""
    names = [f"{prefix}{part}.embed_tokens.weight" for part in ("decoder", "encoder")]
    tables = [tensors.pop(name) for name in names if name in tensors]
    if tables:
        tensors.setdefault(f"{prefix}shared.weight", tables[0])
    table = tensors.get(f"{prefix}shared.weight", tensors.get("lm_head.weight"))
    bias = tensors.pop("final_logits_bias", None)
    if bias is None and table is not None:
        bias = np.zeros(len(table), np.float32)
    return tensors if bias is None else {**tensors, "lm_head.bias": bias.reshape(-1)}


def pack(tensors: Tensors) -> Tensors:
    """Back from what `unpack` gives."""
    tensors = dict(tensors)
    bias = tensors.pop("lm_head.bias", None)
    return tensors if bias is None else {**tensors, "final_logits_bias": bias[None]}


def _attention(ours: str, theirs: str) -> dict[str, str]:
    leaves = {leaf: f"{theirs}.{leaf[0]}_proj" for leaf in ("query", "key", "value")}
    leaves["out"] = f"{theirs}.out_proj"
    names = {f"{ours}.{leaf}": name for leaf, name in leaves.items()}
    return {**names, f"{ours}_norm": f"{theirs}_layer_norm"}


BLOCK = {
    **_attention("attention", "self_attn"),
    "mlp.up": "fc1",
    "mlp.down": "fc2",
    "mlp_norm": "final_layer_norm",
}


def _outside(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}embedding.positions": f"{theirs}.embed_positions",
        f"{ours}embedding.norm": f"{theirs}.layernorm_embedding",
        f"{ours}final_norm": f"{theirs}.layer_norm",
    }


BART = Family(
    "model.",
    {
        "embedding.tokens": "shared",
        **_outside("", "decoder"),
        **_outside("encoder.", "encoder"),
    },
    "decoder.layers.{}",
    {**BLOCK, **_attention("cross", "encoder_attn")},
    read, write, unpack, pack,
    encoder_stem="encoder.layers.{}",
    encoder_block=BLOCK,
)  # fmt: skip
