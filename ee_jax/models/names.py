"""Which tensor of a Hugging Face checkpoint is which parameter of ours."""

from ee_jax.models.architecture import Architecture

BERT_BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
BERT = {
    "embedding.tokens": "embeddings.word_embeddings",
    "embedding.positions": "embeddings.position_embeddings",
    "embedding.types": "embeddings.token_type_embeddings",
    "embedding.norm": "embeddings.LayerNorm",
}
BERT_STEM = "encoder.layer"

LLAMA_BLOCK = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "attention_norm": "input_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "mlp_norm": "post_attention_layernorm",
}
LLAMA = {"embedding.tokens": "embed_tokens", "final_norm": "norm"}
LLAMA_STEM = "layers"

# Our last name to theirs; a `kernel` is stored transposed.
LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}


def module_names(config: Architecture) -> dict[str, str]:
    """Our module's dotted path to theirs, for every module of the backbone."""
    family = (BERT, BERT_BLOCK, BERT_STEM)
    if config.causal:
        family = (LLAMA, LLAMA_BLOCK, LLAMA_STEM)
    top, block, stem = family
    names = dict(top)
    for index in range(config.blocks):
        for ours, theirs in block.items():
            names[f"blocks.{index}.{ours}"] = f"{stem}.{index}.{theirs}"
    return names


def tensor_name(path: str, modules: dict[str, str]) -> str:
    """The checkpoint's name of the parameter at our dotted `path`."""
    module, leaf = path.rsplit(".", 1)
    return f"{modules[module]}.{LEAVES[leaf]}"
