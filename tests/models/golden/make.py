"""Writes tiny random models of every family, and what Hugging Face transformers makes of them.

    python tests/models/golden/make.py [NAME ...]

The files in the repository: transformers 5.23.0, torch 2.14.1, eager attention, fp32. Each
folder is a Hugging Face model with a golden.npz: `tokens_BT`, `mask_BT`, and `types_BT` of
models with token types; `hidden_LBTD`, the hidden states after the embedding and after every
block; of decoders `logits_BTV`. Where attention slides, `long_1T`, a row longer than its
window, and `long_logits_1TV`.
"""

import sys
from typing import Any

import transformers as hf
from recording import make_tokens, randomise, run, run_long, save

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
EPSILON = 1e-3  # large, so that a wrong one shows
ENCODER = {**SIZES, "layer_norm_eps": EPSILON}
WIDE = {"hidden_size": 32, "intermediate_size": 48}
DECODER = {
    **SIZES,
    "num_key_value_heads": 2,
    "rms_norm_eps": EPSILON,
    "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
}
# Of a head's 6 pairs one keeps its speed, two lie between, three are slowed down.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR = {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0}
GPT2 = {
    "vocab_size": 64,
    "n_positions": 40,
    "n_embd": 16,
    "n_layer": 4,
    "n_head": 4,
    "layer_norm_epsilon": EPSILON,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

# The class, and what its config has that is not its family's.
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "bert": (hf.BertModel, {**ENCODER, **WIDE, "vocab_size": 99}),
    "roberta": (
        hf.RobertaModel,
        {**ENCODER, "type_vocab_size": 1, "pad_token_id": 1},
    ),
    "albert": (hf.AlbertModel, {**ENCODER, "embedding_size": 12}),
    "llama": (hf.LlamaForCausalLM, {**DECODER, **WIDE}),
    "llama3": (
        hf.LlamaForCausalLM,
        {
            **DECODER,
            "head_dim": 12,
            "max_position_embeddings": 256,
            "rope_parameters": LLAMA3,
            "tie_word_embeddings": True,
        },
    ),
    "mistral": (
        hf.MistralForCausalLM,
        {**DECODER, "sliding_window": 20, "rope_parameters": LINEAR},
    ),
    "qwen2": (hf.Qwen2ForCausalLM, {**DECODER}),
    "qwen3": (hf.Qwen3ForCausalLM, {**DECODER, "head_dim": 12}),
    "gpt2": (hf.GPT2LMHeadModel, GPT2),
}


def main(names: list[str]) -> None:
    """Makes the models, runs each once and writes the folders."""
    for name in names or MODELS:
        make, fields = MODELS[name]
        model = make(make.config_class(**fields))
        model.set_attn_implementation("eager")
        randomise(model, seed=0)
        tokens = make_tokens(model.config, seed=1)
        arrays = tokens | run(model, tokens)
        if "sliding_window" in fields:
            arrays |= run_long(model, fields["max_position_embeddings"], seed=2)
        save(model, name, arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
