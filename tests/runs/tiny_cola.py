"""CoLA with the words of the tiny model: a sentence is acceptable if something is read."""

import random
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ee_jax.data.glue import Cola
from tests.runs.tiny_sentences import sentence

ROWS = {"train": 300, "dev": 41}


class ReadableCola(Cola, skip_registration=True):
    TASK: ClassVar = replace(Cola.TASK, rows=ROWS)


def write_files(folder: Path) -> Path:
    """The files in CoLA's form: one sentence of three is acceptable."""
    (folder / "CoLA").mkdir(parents=True)
    draw = random.Random(0)
    for file, rows in ROWS.items():
        made = [sentence(number, draw) for number in range(rows)]
        lines = [f"gj04\t{int(label == 0)}\t\t{text}\n" for text, label in made]
        (folder / "CoLA" / f"{file}.tsv").write_text("".join(lines))
    return folder
