"""Writes llama/: a tiny random Llama and its hidden states, from Hugging Face transformers.

    python tests/models/golden/make_llama.py

The files in the repository: transformers 5.23.0, torch 2.14.1, eager attention, fp32.
golden.npz: `tokens_BT`, `mask_BT`, `hidden_LBTD`, the hidden states after the embedding and
after every block, and `logits_BTV`. The blocks' own outputs are recorded: the last entry of
Hugging Face's `hidden_states` has passed the final norm.
"""

import torch
from recording import make_tokens, randomise, record_outputs, save
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> None:
    """Makes the model, runs it once and writes the folder."""
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=40,
        max_position_embeddings=40,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    model.set_attn_implementation("eager")
    randomise(model, gain=1.5, seed=0)
    tokens_BT, mask_BT = make_tokens(config.vocab_size, seed=1)

    hidden = record_outputs([model.model.embed_tokens, *model.model.layers])
    logits_BTV = model(tokens_BT, attention_mask=mask_BT).logits
    save(
        model, "llama", tokens_BT=tokens_BT, mask_BT=mask_BT,
        hidden_LBTD=torch.stack(hidden), logits_BTV=logits_BTV,
    )  # fmt: skip


if __name__ == "__main__":
    main()
