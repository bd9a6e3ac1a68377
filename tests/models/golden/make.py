"""Writes tiny random models of every family, and what Hugging Face transformers makes of them.

    python tests/models/golden/make.py [NAME ...]

The files in the repository: transformers 5.23.0, torch 2.14.1, eager attention, fp32. Each
folder is a Hugging Face model with a golden.npz: `tokens_BT`, `mask_BT`, and `types_BT` of
models with token types; `hidden_LBTD`, the hidden states after the embedding and after every
block; of decoders `logits_BTV`. Where attention slides or distances have buckets, `long_1T`, a
row longer than the window, and `long_logits_1TV`, or of encoders `long_hidden_1TD`.

Models with an encoder have instead `target_BT`, the tokens of the decoder, `logits_BTV` of
these, and `greedy_BT`, 12 tokens that they write of each text.

Those from xlm-roberta on, yarn, and those with an encoder: transformers 5.24.0, torch 2.13.0.
"""

import sys
from typing import Any

import transformers as hf
from recording import make_tokens, randomise, run, run_long, run_sourced, save

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
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1000.0,
    "factor": 4.0,
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

PARTIAL = {"rope_type": "default", "rope_theta": 1000.0, "partial_rotary_factor": 0.75}
LOCAL = {
    "full_attention": {"rope_type": "default", "rope_theta": 1000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
}
GEMMA = {
    **DECODER,  # whose output is not the embedding: such would say its own input again
    "head_dim": 12,
    "query_pre_attn_scalar": 20,
    "sliding_window": 6,
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
    "yarn": (
        hf.LlamaForCausalLM,
        {**DECODER, "head_dim": 12, "max_position_embeddings": 256, "rope_parameters": YARN},
    ),
    "mistral": (
        hf.MistralForCausalLM,
        {**DECODER, "sliding_window": 20, "rope_parameters": LINEAR},
    ),
    "qwen2": (hf.Qwen2ForCausalLM, {**DECODER}),
    "qwen3": (hf.Qwen3ForCausalLM, {**DECODER, "head_dim": 12}),
    "gpt2": (hf.GPT2LMHeadModel, GPT2),
    "xlm-roberta": (hf.XLMRobertaModel, {**ENCODER, "type_vocab_size": 1, "pad_token_id": 1}),
    "camembert": (hf.CamembertModel, {**ENCODER, "type_vocab_size": 1, "pad_token_id": 1}),
    "distilbert": (
        hf.DistilBertModel,
        {
            "vocab_size": 64,
            "dim": 16,
            "n_layers": 4,
            "n_heads": 4,
            "hidden_dim": 24,
            "max_position_embeddings": 40,
        },
    ),
    "electra": (hf.ElectraModel, {**ENCODER, "embedding_size": 12}),
    "mpnet": (hf.MPNetModel, {**ENCODER, "max_position_embeddings": 42, "pad_token_id": 1}),
    "modernbert": (
        hf.ModernBertModel,
        {
            **SIZES,
            "norm_eps": EPSILON,
            "pad_token_id": 0,
            "cls_token_id": 1,
            "sep_token_id": 2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "local_attention": 6,
            "rope_parameters": LOCAL,
        },
    ),
    "gpt_neox": (
        hf.GPTNeoXForCausalLM,
        {
            **SIZES,
            "num_attention_heads": 2,
            "layer_norm_eps": EPSILON,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1000.0,
                "partial_rotary_factor": 0.5,
            },
        },
    ),
    "olmo2": (hf.Olmo2ForCausalLM, {**DECODER, "pad_token_id": 0, "eos_token_id": 0}),
    "phi3": (
        hf.Phi3ForCausalLM,
        {
            **DECODER,
            **WIDE,
            "pad_token_id": 0,
            "eos_token_id": 0,
            "sliding_window": 6,
            "rope_parameters": PARTIAL,
        },
    ),
    "gemma2": (
        hf.Gemma2ForCausalLM,
        {
            **GEMMA,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 5.0,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
        },
    ),
    "gemma3": (
        hf.Gemma3ForCausalLM,
        {
            **GEMMA,
            "sliding_window_pattern": 3,
            "rope_parameters": {**LOCAL, "full_attention": LINEAR},
        },
    ),
}


# Encoder and decoder: what the config has.
T5 = {
    "vocab_size": 64,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 24,
    "num_layers": 4,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "layer_norm_epsilon": EPSILON,
    "decoder_start_token_id": 0,
}
BART = {
    "vocab_size": 64,
    "d_model": 16,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_layers": 4,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
SOURCED: dict[str, tuple[Any, dict[str, Any]]] = {
    "t5": (hf.T5ForConditionalGeneration, T5),
    "t5_v1_1": (
        hf.T5ForConditionalGeneration,
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "bart": (hf.BartForConditionalGeneration, BART),
    "mbart": (
        hf.MBartForConditionalGeneration,
        {**BART, "activation_function": "relu", "scale_embedding": True},
    ),
    "marian": (
        hf.MarianMTModel,
        {
            **BART,
            "activation_function": "swish",
            "scale_embedding": True,
            "pad_token_id": 63,
            "decoder_start_token_id": 63,
        },
    ),
}
# How they write.
GENERATION = {"bart": {"forced_bos_token_id": 0}, "marian": {"bad_words_ids": [[63]]}}


# Where the usual gain lets noise of fp32 grow: Hugging Face's own is 1e-4 off its fp64 there.
# And where it lets all tokens become the same, as attention adds to each what is common to all.
RANDOM: dict[str, dict[str, Any]] = {
    **{name: {"gain": 1.5} for name in ("electra", "mpnet", "modernbert")},
    **{name: {"gain": 1.0} for name in ("t5", "t5_v1_1")},
    **{name: {"seed": 5, "gain": 0.7, "sharp": 4.0} for name in ("bart", "mbart", "marian")},
}
# With a row longer than the window, or than the distances that have a bucket of their own.
LONG = ("mistral", "modernbert", "mpnet", "phi3", "gemma2", "gemma3")


def main(names: list[str]) -> None:
    """Makes the models, runs each once and writes the folders."""
    for name in names or [*MODELS, *SOURCED]:
        make, fields = {**MODELS, **SOURCED}[name]
        model = make(make.config_class(**fields))
        model.set_attn_implementation("eager")
        randomise(model, **RANDOM.get(name, {}))
        if name in SOURCED:
            save(model, name, run_sourced(model, seed=1, **GENERATION.get(name, {})))
            continue
        tokens = make_tokens(model.config, seed=1)
        arrays = tokens | run(model, tokens)
        if name in LONG:
            arrays |= run_long(model, 40, seed=2)
        save(model, name, arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
