"""BERT (Devlin et al. 2019): post-norm blocks, learned positions, token types."""

from ee_jax.models.architecture import Activation, Architecture
from ee_jax.models.families.family import (
    Config,
    Family,
    Tensors,
    read_activation,
    refuse_others,
    write_activation,
    write_sizes,
)


def bert(
    vocabulary: int = 30_522,
    width: int = 768,
    blocks: int = 12,
    heads: int = 12,
    hidden: int = 3072,
    max_length: int = 512,
    token_types: int = 2,
    norm_eps: float = 1e-12,
    activation: Activation = "gelu",
) -> Architecture:
    """BERT-base, or another size."""
    return Architecture(
        "bert", vocabulary, width, blocks, heads, heads, width // heads, hidden, max_length,
        token_types=token_types, norm_eps=norm_eps, activation=activation,
    )  # fmt: skip


def read(given: Config) -> Architecture:
    """The architecture of a BERT's config."""
    refuse_others(given, position_embedding_type="absolute", is_decoder=False)
    return bert(
        given["vocab_size"],
        given["hidden_size"],
        given["num_hidden_layers"],
        given["num_attention_heads"],
        given["intermediate_size"],
        given["max_position_embeddings"],
        given["type_vocab_size"],
        given["layer_norm_eps"],
        read_activation(given["hidden_act"]),
    )


def write(config: Architecture) -> Config:
    """The config of a BERT."""
    return {
        **write_sizes(config),
        "hidden_act": write_activation(config.activation),
        "type_vocab_size": config.token_types,
        "layer_norm_eps": config.norm_eps,
    }


def unpack(tensors: Tensors) -> Tensors:
    """Checkpoints of 2018, such as bert-base-uncased's, say gamma and beta."""
    leaves = {"gamma": "weight", "beta": "bias"}

    def name(old: str) -> str:
        module, _, leaf = old.rpartition(".")
        return f"{module}.{leaves[leaf]}" if leaf in leaves else old

    return {name(old): value for old, value in tensors.items()}


MODULES = {
    "embedding.tokens": "embeddings.word_embeddings",
    "embedding.positions": "embeddings.position_embeddings",
    "embedding.types": "embeddings.token_type_embeddings",
    "embedding.norm": "embeddings.LayerNorm",
}
BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
STEM = "encoder.layer.{}"

BERT = Family("bert.", MODULES, STEM, BLOCK, read, write, unpack)
