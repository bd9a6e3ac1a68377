"""What is made of a Hugging Face model: random weights, tokens, and its hidden states."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel

LENGTHS = (9, 6, 1)  # tokens of each example; the rest of its row is padding
Arrays = dict[str, np.ndarray]
TABLES = ("embeddings", "embed_tokens", "embed_positions", "wte", "wpe")


@torch.no_grad()
def randomise(
    model: PreTrainedModel, seed: int = 0, gain: float | None = None, sharp: float = 1.0
) -> None:
    """Gives every weight, norms and biases included, a value that matters to the output.

    A gain of 1 keeps a matrix product's variance; more makes attention less even. None: 1.5 of
    decoders, 3 of encoders. `sharp` is a factor more of queries and keys.
    """
    gain = gain or (1.5 if model.can_generate() else 3.0)
    generator = torch.Generator().manual_seed(seed)
    learned = [pair for pair in model.named_parameters() if pair[1].requires_grad]
    biases = [pair for pair in model.named_buffers() if pair[0] == "final_logits_bias"]
    for name, weight in [*learned, *biases]:
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim == 1:
            is_scale = any(word in name.lower() for word in ("norm", "ln_"))
            weight.copy_(0.3 * noise + (is_scale and name.endswith("weight")))
        elif any(word in name for word in TABLES):
            weight.copy_(noise)
        else:
            inputs = weight.shape[0 if ".c_" in name else 1]  # GPT-2's are transposed
            more = sharp if ".q_proj" in name or ".k_proj" in name else 1.0
            weight.copy_(more * gain * noise / inputs**0.5)


def make_tokens(config: PreTrainedConfig, seed: int) -> Arrays:
    """Random tokens, their mask, and with token types 0, then 1; padded on the right."""
    shape, padding = (len(LENGTHS), max(LENGTHS)), config.pad_token_id or 0
    generator = np.random.default_rng(seed)
    mask_BT = np.arange(shape[1]) < np.array(LENGTHS)[:, None]
    tokens_BT = generator.integers(padding + 1, config.vocab_size, shape)
    arrays = {
        "tokens_BT": np.where(mask_BT, tokens_BT, padding).astype(np.int32),
        "mask_BT": mask_BT,
    }
    if getattr(config, "type_vocab_size", 0) > 1:
        arrays["types_BT"] = (mask_BT & (np.arange(shape[1]) >= 4)).astype(np.int32)
    return arrays


def stages(backbone: Any) -> list[torch.nn.Module]:
    """The modules whose outputs are the hidden states: the embedding's last, the blocks."""
    match backbone.config.model_type:
        case "bert" | "roberta" | "xlm-roberta" | "camembert" | "mpnet":
            return [backbone.embeddings, *backbone.encoder.layer]
        case "albert":  # one block, called as often as there are blocks
            encoder = backbone.encoder
            return [encoder.embedding_hidden_mapping_in, *encoder.albert_layer_groups]
        case "distilbert":
            return [backbone.embeddings, *backbone.transformer.layer]
        case "electra":  # whose embedding may be projected
            embedding = getattr(backbone, "embeddings_project", backbone.embeddings)
            return [embedding, *backbone.encoder.layer]
        case "modernbert":
            return [backbone.embeddings, *backbone.layers]
        case "gpt_neox":
            return [backbone.embed_in, *backbone.layers]
        case "gpt2":
            return [backbone.drop, *backbone.h]
        case _:
            return [backbone.embed_tokens, *backbone.layers]


@torch.no_grad()
def run(model: PreTrainedModel, tokens: Arrays) -> Arrays:
    """`hidden_LBTD`, and `logits_BTV` of a model that has such.

    The blocks' own outputs are recorded: the last entry of Hugging Face's `hidden_states` has
    passed the final norm.
    """
    hidden: list[np.ndarray] = []
    for module in stages(model.base_model):
        module.register_forward_hook(lambda *call: hidden.append(_first(call[-1])))
    keys = {"tokens_BT": "input_ids", "mask_BT": "attention_mask", "types_BT": "token_type_ids"}
    inputs = {keys[key]: torch.tensor(tokens[key]).long() for key in keys if key in tokens}
    output = model.eval()(**inputs)
    logits = {"logits_BTV": output.logits.float().numpy()} if "logits" in output else {}
    return {"hidden_LBTD": np.stack(hidden), **logits}


def _first(output: Any) -> np.ndarray:
    """What a module gives, the first of it where there are several."""
    return (output[0] if isinstance(output, tuple) else output).float().numpy()


@torch.no_grad()
def run_long(model: PreTrainedModel, time: int, seed: int) -> Arrays:
    """A row of `time` random tokens, and its logits or an encoder's last hidden state."""
    generator = np.random.default_rng(seed)
    padding = model.config.pad_token_id or 0
    least = 0 if model.can_generate() else padding + 1
    tokens_1T = generator.integers(least, model.config.vocab_size, (1, time)).astype(np.int32)
    output = model.eval()(input_ids=torch.tensor(tokens_1T).long())
    if model.can_generate():
        return {"long_1T": tokens_1T, "long_logits_1TV": output.logits.numpy()}
    return {"long_1T": tokens_1T, "long_hidden_1TD": output.last_hidden_state.numpy()}


@torch.no_grad()
def run_sourced(model: PreTrainedModel, seed: int, **generation: Any) -> Arrays:
    """Texts of 20, 9 and 1 tokens, tokens said of each, their logits, and greedy ones."""
    generator = np.random.default_rng(seed)
    source_BT = generator.integers(2, model.config.vocab_size, (3, 20))
    mask_BT = np.arange(20) < np.array([[20], [9], [1]])
    source_BT = np.where(mask_BT, source_BT, model.config.pad_token_id)
    target_BT = generator.integers(2, model.config.vocab_size, (3, 18))
    target_BT[:, 0] = model.config.decoder_start_token_id  # what every text begins with
    texts = {"input_ids": torch.tensor(source_BT), "attention_mask": torch.tensor(mask_BT)}
    output = model.eval()(**texts, decoder_input_ids=torch.tensor(target_BT))
    generate: Any = model.generate
    ends = model.generation_config
    ends.eos_token_id = ends.forced_eos_token_id = None  # no token ends a text
    greedy = generate(**texts, max_new_tokens=12, do_sample=False, **generation)
    return {
        "tokens_BT": source_BT.astype(np.int32),
        "mask_BT": mask_BT,
        "target_BT": target_BT.astype(np.int32),
        "logits_BTV": output.logits.numpy(),
        "greedy_BT": greedy.numpy().astype(np.int32),
    }


def save(model: PreTrainedModel, name: str, arrays: Arrays) -> None:
    """Writes the model as Hugging Face does, and `arrays` beside it, into the folder `name`."""
    folder = Path(__file__).parent / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8} {path}")
