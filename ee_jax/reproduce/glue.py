"""GLUE's tasks as the studies run them: classes, and the lengths that rows are padded to."""

from dataclasses import dataclass

from ee_jax.config import Data


@dataclass(frozen=True)
class Task:
    """A task; the studies read at most 128 tokens of a row, as the papers do."""

    classes: int  # 1: a regression
    lengths: tuple[int, ...]


PAIRS = (24, 32, 48, 64, 96, 128)

TASKS = {
    "sst2": Task(2, (8, 16, 24, 40, 64)),
    "cola": Task(2, (8, 12, 16, 24, 48)),
    "mrpc": Task(2, PAIRS),
    "rte": Task(2, PAIRS),
    "qnli": Task(2, PAIRS),
    "qqp": Task(2, PAIRS),
    "mnli": Task(3, PAIRS),
    "stsb": Task(1, PAIRS),
}
CLASSIFICATION = tuple(name for name, task in TASKS.items() if task.classes > 1)


def glue_data(task: str) -> Data:
    """The data part of an experiment on a task."""
    return Data(f"glue/{task}", lengths=TASKS[task].lengths)
