"""What the golden scripts share: random weights, tokens, and what a model makes of them."""

from collections.abc import Iterable
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
            is_scale = "norm" in name.lower() and name.endswith("weight")
            weight.copy_(0.3 * noise + is_scale)
        elif "embed" in name:
            weight.copy_(noise)
        else:
            weight.copy_(gain * noise / weight.shape[1] ** 0.5)


def make_tokens(vocabulary: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens and their mask, padded on the right with token 0."""
    shape = (len(LENGTHS), max(LENGTHS))
    generator = torch.Generator().manual_seed(seed)
    tokens_BT = torch.randint(1, vocabulary, shape, generator=generator)
    mask_BT = torch.arange(shape[1]) < torch.tensor(LENGTHS)[:, None]
    return tokens_BT * mask_BT, mask_BT


def record_outputs(modules: Iterable[torch.nn.Module]) -> list[torch.Tensor]:
    """A list that the next forward pass fills with the output of each of `modules`."""
    outputs: list[torch.Tensor] = []

    def record(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        outputs.append(output)

    for module in modules:
        module.register_forward_hook(record)
    return outputs


def save(model: PreTrainedModel, name: str, **arrays: torch.Tensor) -> None:
    """Writes the model as Hugging Face does, and `arrays` beside it, into the folder `name`."""
    folder = Path(__file__).parent / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    plain = {key: array.detach().numpy() for key, array in arrays.items()}
    plain["tokens_BT"] = plain["tokens_BT"].astype(np.int32)
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **plain)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8} {path}")
