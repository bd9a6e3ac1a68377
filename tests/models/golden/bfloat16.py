"""Writes what Hugging Face transformers makes of the golden models in bfloat16.

    python tests/models/golden/bfloat16.py [NAME ...]

The files in the repository: transformers 5.24.0, torch 2.14.1 (those from xlm-roberta on in
make.py: 2.13.0), eager attention, on a CPU. Each
bfloat16.npz has `hidden_LBTD`, and of decoders `logits_BTV`, for the tokens of golden.npz; kept
as float16, whose 11 digits hold what bfloat16 has of numbers of this size.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers as hf
from recording import run

for path in sorted(Path(__file__).parent.glob("*/golden.npz")):
    if sys.argv[1:] and path.parent.name not in sys.argv[1:]:
        continue
    config = hf.AutoConfig.from_pretrained(path.parent)
    causal = (config.architectures or [""])[0].endswith(("CausalLM", "LMHeadModel"))
    kind = hf.AutoModelForCausalLM if causal else hf.AutoModel
    model = kind.from_pretrained(path.parent, dtype=torch.bfloat16, attn_implementation="eager")
    arrays = run(model, dict(np.load(path)))
    target = path.with_name("bfloat16.npz")
    small = {key: value.astype(np.float16) for key, value in arrays.items()}
    np.savez_compressed(target, allow_pickle=False, **small)
    print(f"{target.stat().st_size:>8} {target}")
