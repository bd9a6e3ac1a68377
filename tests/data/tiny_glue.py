"""GLUE tasks of a few rows: the official ones but for the number of rows."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ee_jax.data.builder import Row
from ee_jax.data.glue import Cola, GlueBuilder, Mnli, Mrpc, Qnli, Qqp, Rte, Sst2, Stsb
from ee_jax.data.glue_files import Task

# Enough that some are held out for each split.
MORE = 100
ROWS = {"train": 4 + MORE, "dev": 2}
MNLI_ROWS = {"train": 4 + MORE, "dev_matched": 2, "dev_mismatched": 2}


class TinyCola(Cola, skip_registration=True):
    TASK: ClassVar = replace(Cola.TASK, rows=ROWS)


class TinySst2(Sst2, skip_registration=True):
    TASK: ClassVar = replace(Sst2.TASK, rows=ROWS)


class TinyMrpc(Mrpc, skip_registration=True):
    TASK: ClassVar = replace(Mrpc.TASK, rows=ROWS)


class TinyQqp(Qqp, skip_registration=True):
    TASK: ClassVar = replace(Qqp.TASK, rows=ROWS)


class TinyStsb(Stsb, skip_registration=True):
    TASK: ClassVar = replace(Stsb.TASK, rows=ROWS)


class TinyMnli(Mnli, skip_registration=True):
    TASK: ClassVar = replace(Mnli.TASK, rows=MNLI_ROWS)


class TinyQnli(Qnli, skip_registration=True):
    TASK: ClassVar = replace(Qnli.TASK, rows=ROWS)


class TinyRte(Rte, skip_registration=True):
    TASK: ClassVar = replace(Rte.TASK, rows=ROWS)


PAIRS = (TinyMrpc, TinyQqp, TinyStsb, TinyMnli, TinyQnli, TinyRte)
TINY = {kind.TASK.config: kind for kind in (TinyCola, TinySst2, *PAIRS)}

SST2 = {
    "train": 'sentence\tlabel\na " fine film \t1\nfine film \t1\nnot\u2028again \t0\ndull\t0\n'
    + "".join(f"film number {n} \t1\n" for n in range(MORE)),
    "dev": "sentence\tlabel\nit ' s charming \t1\nbleak \t0\n",
}
SST2_ROWS: list[Row] = [
    ('a " fine film', 1),
    ("fine film", 1),
    ("not\u2028again", 0),
    ("dull", 0),
]
SST2_DEV: list[Row] = [("it ' s charming", 1), ("bleak", 0)]
COLA = {
    "train": 'gj04\t1\t\t"Go," she said.\nad03\t0\t*\tHim go.\nw_80\t1\t\tGo.\n'
    + "w_80\t0\t*\tI goes.\n"
    + "".join(f"gj04\t1\t\tIt is number {n}.\n" for n in range(MORE)),
    "dev": "gj04\t1\t\tIt rains.\ngj04\t0\t*\tRains it not.",  # no newline at the end
}
COLA_ROWS: list[Row] = [
    ('"Go," she said.', 1),
    ("Him go.", 0),
    ("Go.", 1),
    ("I goes.", 0),
]
COLA_DEV: list[Row] = [("It rains.", 1), ("Rains it not.", 0)]
HEADERS = {
    "MRPC": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "QQP": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "STS-B": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
    "\tscore",
    "MNLI": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
    "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
    "QNLI": "index\tquestion\tsentence\tlabel",
    "RTE": "index\tsentence1\tsentence2\tlabel",
}
# The labels as the files write them, and as rows have them; the score is a float32.
LABELS = {
    "STS-B": (("0.000", 0.0), ("5.000", 5.0), ("3.8", 3.799999952316284)),
    "MNLI": (("neutral", 1), ("entailment", 0), ("contradiction", 2)),
    "QNLI": (("entailment", 0), ("not_entailment", 1)),
    "RTE": (("entailment", 0), ("not_entailment", 1)),
}
TEXTS = [
    ('A "quoted', "it is"),
    ("one\u2028line", "Zürich  here"),
    ("Who?", "Why?"),
    (" spaces ", "end "),
]


def pair_file(task: Task, count: int) -> tuple[str, list[Row]]:
    """A file of `count` rows of a task of pairs, and the rows that it holds."""
    labels = LABELS.get(task.folder, (("0", 0), ("1", 1)))
    more = [(f"sentence {n}", f"another {n}") for n in range(MORE)]
    lines, rows = [HEADERS[task.folder]], []
    for number, (first, second) in enumerate([*TEXTS, *more][:count]):
        written, label = labels[number % len(labels)]
        values = dict(zip(task.texts, (first, second), strict=True)) | {task.label: written}
        columns = HEADERS[task.folder].lstrip("\ufeff").split("\t")
        lines.append("\t".join(values.get(column, "-") for column in columns))
        rows.append(((first.strip(), second.strip()), label))
    return "\n".join(lines) + "\n", rows


def files_of(kind: type[GlueBuilder]) -> dict[str, tuple[str, list[Row]]]:
    """What each official file of a task holds, and its first rows."""
    task = kind.TASK
    if task.folder in HEADERS:
        return {file: pair_file(task, count) for file, count in task.rows.items()}
    if kind is TinyCola:
        return {"train": (COLA["train"], COLA_ROWS), "dev": (COLA["dev"], COLA_DEV)}
    return {"train": (SST2["train"], SST2_ROWS), "dev": (SST2["dev"], SST2_DEV)}


def write_files(
    folder: Path, kinds: tuple[type[GlueBuilder], ...] = tuple(TINY.values())
) -> Path:
    """Writes the official files of the tasks."""
    for kind in kinds:
        (folder / kind.TASK.folder).mkdir(parents=True)
        for file, (text, _) in files_of(kind).items():
            (folder / kind.TASK.folder / f"{file}.tsv").write_text(text, encoding="utf-8")
    return folder
