"""What is made of a Hugging Face model: random weights, tokens, and its hidden states."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

LENGTHS = (9, 6, 1)  # tokens of each example; the rest of its row is padding


@torch.no_grad()
def randomise(model: PreTrainedModel, gain: float, seed: int) -> None:
    """Gives every weight, norms and biases included, a value that matters to the output.

    `gain` 1 keeps a matrix product's variance; more makes attention less even.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim == 1:
            is_scale = any(word in name.lower() for word in ("norm", "ln_"))
            weight.copy_(0.3 * noise + (is_scale and name.endswith("weight")))
        elif any(word in name for word in ("embeddings", "embed_tokens", "wte", "wpe")):
            weight.copy_(noise)
        else:
            inputs = weight.shape[0 if ".c_" in name else 1]  # GPT-2's are transposed
            weight.copy_(gain * noise / inputs**0.5)


def make_tokens(vocabulary: int, padding: int, seed: int) -> dict[str, torch.Tensor]:
    """Random tokens, their mask, and their types: 0, then 1; padded on the right."""
    shape = (len(LENGTHS), max(LENGTHS))
    generator = torch.Generator().manual_seed(seed)
    tokens_BT = torch.randint(padding + 1, vocabulary, shape, generator=generator)
    mask_BT = torch.arange(shape[1]) < torch.tensor(LENGTHS)[:, None]
    types_BT = (torch.arange(shape[1]) >= 4) & mask_BT
    tokens_BT = torch.where(mask_BT, tokens_BT, padding)
    return {"tokens_BT": tokens_BT, "mask_BT": mask_BT, "types_BT": types_BT.long()}


def stages(backbone: PreTrainedModel) -> list[torch.nn.Module]:
    """The modules whose outputs are the hidden states: the embedding's last, the blocks."""
    theirs: Any = backbone
    match backbone.config.model_type:
        case "bert" | "roberta":
            return [theirs.embeddings, *theirs.encoder.layer]
        case "albert":  # one block, called as often as there are blocks
            encoder = theirs.encoder
            return [encoder.embedding_hidden_mapping_in, encoder.albert_layer_groups[0]]
        case "gpt2":
            return [theirs.drop, *theirs.h]
        case _:
            return [theirs.embed_tokens, *theirs.layers]


@torch.no_grad()
def run(model: PreTrainedModel, tokens: dict[str, Any]) -> dict[str, np.ndarray]:
    """`hidden_LBTD`, and `logits_BTV` of a model that has such.

    The blocks' own outputs are recorded: the last entry of Hugging Face's `hidden_states` has
    passed the final norm.
    """
    hidden: list[np.ndarray] = []
    backbone = model.base_model
    for module in stages(backbone):
        module.register_forward_hook(lambda *call: hidden.append(call[-1].numpy()))
    tokens = {name: torch.as_tensor(array) for name, array in tokens.items()}
    with_types = getattr(model.config, "type_vocab_size", 0) > 1
    types = {"token_type_ids": tokens["types_BT"].long()} if with_types else {}
    output = model.eval()(
        tokens["tokens_BT"].long(), attention_mask=tokens["mask_BT"], **types
    )
    arrays = {"hidden_LBTD": np.stack(hidden)}
    return {**arrays, "logits_BTV": output.logits.numpy()} if "logits" in output else arrays


def save(model: PreTrainedModel, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes the model as Hugging Face does, and `arrays` beside it, into the folder `name`."""
    folder = Path(__file__).parent / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8} {path}")
