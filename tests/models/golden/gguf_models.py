"""Records what Hugging Face transformers makes of the tiny files of `gguf_files.py`.

    python tests/models/golden/gguf_models.py

The files in the repository: transformers 5.24.0, torch 2.13.0, gguf 0.19.0, eager attention,
fp32. `gguf.npz` has `tokens_BT` and of every model its logits; `gguf.json` the token ids of
texts, by what splits them. transformers reads no head size of a Qwen3, whose file here has the
one that it supposes.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers as hf

sys.path.append(str(Path(__file__).parents[3]))
from tests.models.gguf_files import (
    MODELS,
    TOKENIZERS,
    tokenizer_fields,
    write_gguf,
)

TEXTS = [
    "the cat at the cat",
    "cat  12345\n\nthe cats' cat's CAT'S",
    "Zo\u00eb \u4eca\u5929 \U0001f642",
    "a\tb\r\n c",
    "caught: 1,234.5!?",
]


def record_tokens() -> None:
    """Writes the ids of each text, without special tokens before them."""
    found = {}
    for name, (model, pre) in TOKENIZERS.items():
        with tempfile.TemporaryDirectory() as folder:
            fields = tokenizer_fields(model, pre).items()
            changes = {key.replace(".", "__"): value for key, value in fields}
            path = write_gguf(Path(folder) / "model.gguf", **changes)
            tokenizer = hf.AutoTokenizer.from_pretrained(folder, gguf_file=path.name)
        found[name] = [
            {"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]}
            for text in TEXTS
        ]
    content = json.dumps(found, indent=1) + "\n"
    Path(__file__).with_name("gguf.json").write_text(content)


def main() -> None:
    """Writes each file, reads it with transformers and runs it."""
    record_tokens()
    tokens_BT = np.random.default_rng(1).integers(0, 200, (2, 7)).astype(np.int32)
    arrays = {"tokens_BT": tokens_BT}
    for name, (architecture, options) in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write_gguf(Path(folder) / "model.gguf", architecture, **options)
            model = hf.AutoModelForCausalLM.from_pretrained(
                folder, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
            )
        with torch.no_grad():
            given = model.eval()(input_ids=torch.tensor(tokens_BT).long())
        arrays[name] = given.logits.numpy()[:, -2:]
    np.savez_compressed(Path(__file__).with_name("gguf.npz"), allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
