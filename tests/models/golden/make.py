"""Writes a folder each: a tiny random model of a family, and its hidden states.

    python tests/models/golden/make.py [NAME ...]

The files in the repository: transformers 5.23.0, torch 2.14.1, eager attention, fp32.
golden.npz: `tokens_BT`, `mask_BT` and `types_BT`, which only models with several token types
read; `hidden_LBTD`, the hidden states after the embedding and after every block; and of
decoders `logits_BTV`.
"""

import sys
from typing import Any

import numpy as np
import transformers as hf
from recording import make_tokens, randomise, run, save

SIZES: dict[str, Any] = {"vocab_size": 64, "num_hidden_layers": 4, "max_position_embeddings": 40}
ENCODER = {
    **SIZES,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "layer_norm_eps": 1e-12,
}
DECODER = {
    **SIZES,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}


def rope(kind: str, **fields: float) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1000.0, **fields}}


# Of a head's 6 pairs one turns fast enough to stay, two lie between, three are slowed down.
LLAMA3 = {
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
# The class, its config, and the gain of its weights.
MODELS: dict[str, tuple[Any, Any, float]] = {
    "bert": (hf.BertModel, hf.BertConfig(**ENCODER), 3.0),
    "roberta": (
        hf.RobertaModel,
        hf.RobertaConfig(**{**ENCODER, "layer_norm_eps": 1e-5}, type_vocab_size=1),
        3.0,
    ),
    "albert": (hf.AlbertModel, hf.AlbertConfig(**ENCODER, embedding_size=12), 3.0),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**DECODER, **rope("default")), 1.5),
    "llama3": (
        hf.LlamaForCausalLM,
        hf.LlamaConfig(
            **{**DECODER, "tie_word_embeddings": True}, head_dim=12, **rope("llama3", **LLAMA3)
        ),
        1.5,
    ),
    "mistral": (
        hf.MistralForCausalLM,
        hf.MistralConfig(**DECODER, sliding_window=20, **rope("linear", factor=2.0)),
        1.5,
    ),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**DECODER, **rope("default")), 1.5),
    "qwen3": (
        hf.Qwen3ForCausalLM,
        hf.Qwen3Config(**DECODER, head_dim=12, **rope("default")),
        1.5,
    ),
    "gpt2": (
        hf.GPT2LMHeadModel,
        hf.GPT2Config(vocab_size=64, n_positions=40, n_embd=32, n_layer=4, n_head=4, n_inner=48),
        1.5,
    ),
}


def main(names: list[str]) -> None:
    """Makes the models, runs each once and writes the folders."""
    for name in names or MODELS:
        make, config, gain = MODELS[name]
        model = make(config).eval()
        model.set_attn_implementation("eager")
        randomise(model, gain, seed=0)
        padding = 1 if name == "roberta" else 0
        tokens = make_tokens(config.vocab_size, padding, seed=1)
        plain = {key: tensor.numpy() for key, tensor in tokens.items()}
        for key in ("tokens_BT", "types_BT"):
            plain[key] = plain[key].astype(np.int32)
        save(model, name, {**plain, **run(model, tokens)})


if __name__ == "__main__":
    main(sys.argv[1:])
