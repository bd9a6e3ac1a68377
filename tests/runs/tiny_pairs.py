"""GLUE's pairs with the words of the tiny model: is the same thing done in both sentences?"""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ee_jax.data.glue import Mrpc, Stsb
from tests.runs.tiny_sentences import sentence

ROWS = {"train": 200, "dev": 31}


class ReadableMrpc(Mrpc, skip_registration=True):
    TASK: ClassVar = replace(Mrpc.TASK, rows=ROWS)


class ReadableStsb(Stsb, skip_registration=True):
    TASK: ClassVar = replace(Stsb.TASK, rows=ROWS)


def pairs(rows: int, draw: random.Random) -> Iterator[tuple[str, str, bool]]:
    """Two sentences of up to 6 words; in every second pair they are about the same."""
    for number in range(rows):
        (first, label), (second, other) = (
            sentence(at, draw) for at in (number, number + number % 2)
        )
        yield first, second, label == other


def write_files(folder: Path) -> Path:
    """The files in MRPC's form, and the same pairs with scores in STS-B's."""
    draw = random.Random(0)
    for name in ("MRPC", "STS-B"):
        (folder / name).mkdir(parents=True)
    for file, rows in ROWS.items():
        mrpc = ["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        stsb = ["index\tsentence1\tsentence2\tscore"]
        for number, (first, second, same) in enumerate(pairs(rows, draw)):
            mrpc.append(f"{int(same)}\t{number}\t{number}\t{first}\t{second}")
            score = 4.0 * same + draw.random()
            stsb.append(f"{number}\t{first}\t{second}\t{score:.3f}")
        for name, lines in (("MRPC", mrpc), ("STS-B", stsb)):
            text = "\n".join(lines) + "\n"
            (folder / name / f"{file}.tsv").write_text(text, encoding="utf-8")
    return folder
