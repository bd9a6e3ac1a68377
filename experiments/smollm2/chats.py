"""The test chats of a run as JSON lines, for `ee-jax diagnose`: what the model wrote of each.

Command:  python experiments/smollm2/chats.py runs/smollm2 > chats.jsonl
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from ee_jax.data.prepared import open_at
from ee_jax.data.self_generated import read_ids, self_generated


def chats(run: Path) -> Iterator[str]:
    """Each chat without the token that it begins with, which whoever reads texts puts there."""
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    examples = open_at(self_generated(run / "data", {}), "test")
    for ids in read_ids([str(text) for text in examples.texts]):
        yield tokenizer.decode(ids[1:].tolist(), skip_special_tokens=False)


if __name__ == "__main__":
    for text in chats(Path(sys.argv[1])):
        print(json.dumps({"text": text}))
