"""Writes bert/: a tiny random BERT and its hidden states, from Hugging Face transformers.

    python tests/models/golden/make_bert.py

The files in the repository: transformers 5.23.0, torch 2.14.1, eager attention, fp32.
golden.npz: `tokens_BT`, `mask_BT`, and `hidden_LBTD`, the hidden states after the embedding and
after every block. Every token has type 0.
"""

import torch
from recording import make_tokens, randomise, record_outputs, save
from transformers import BertConfig, BertModel


@torch.no_grad()
def main() -> None:
    """Makes the model, runs it once and writes the folder."""
    config = BertConfig(
        vocab_size=99,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
    )
    model = BertModel(config).eval()
    model.set_attn_implementation("eager")
    randomise(model, gain=3.0, seed=0)
    tokens_BT, mask_BT = make_tokens(config.vocab_size, seed=1)

    hidden = record_outputs([model.embeddings, *model.encoder.layer])
    model(tokens_BT, attention_mask=mask_BT)
    save(model, "bert", tokens_BT=tokens_BT, mask_BT=mask_BT, hidden_LBTD=torch.stack(hidden))


if __name__ == "__main__":
    main()
