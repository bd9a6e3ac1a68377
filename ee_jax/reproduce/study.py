"""What a study is: which experiment each task gets, and which numbers it is put beside.

GLUE's tasks as the studies run them: classes, and the lengths that rows are padded to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ee_jax.config import Data, Experiment, OptimizerConfig, Strategy, baselines
from ee_jax.config.load import run_file
from ee_jax.data.registry import nearest
from ee_jax.errors import UserError
from ee_jax.models.files import find_weights
from ee_jax.models.huggingface import read_architecture
from ee_jax.reproduce.claims import Claim

# Where a clone of ee_jax has a folder for each study, below the current directory.
EXPERIMENTS = Path("experiments")


@dataclass(frozen=True)
class Study:
    """A sweep over tasks and seeds."""

    name: str
    title: str
    tasks: tuple[str, ...]  # those that it can run
    experiment: Callable[[str, str], Experiment]  # of a task and weights
    paper: Path | None = None  # the JSON of the table that it is put beside
    backbone: str = "bert-base"  # the paper's, for weights that are none of the paper's
    # The paper's methods, and the name of our strategy that is each of them.
    methods: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()  # of the paper, which the runs decide


def find_study(name: str) -> Study:
    """The `STUDY` of a Python file.

    Args:
      name: the file, or a folder with a `study.py`, or the name of a folder in `experiments/`.

    Raises:
      UserError: there is none; says the nearest.
    """
    given = Path(name)
    for path in (given, given / "study.py", EXPERIMENTS / name / "study.py"):
        if path.is_file() and path.suffix == ".py":
            return _of_file(path)
    if known := sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.py")):
        raise UserError(f"no study `{name}`: {nearest(given.name, known)}")
    raise UserError(f"no study at {name}: give a Python file with a STUDY, or its folder")


def _of_file(path: Path) -> Study:
    try:
        found = run_file(path).get("STUDY")
    except Exception as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path}: {type(error).__name__}: {line}") from None
    if not isinstance(found, Study):
        raise UserError(f"{path}: STUDY must be a Study, not {found!r:.60}")
    return found


def check_tasks(study: Study, tasks: Sequence[str]) -> None:
    """Raises the UserError of the first task that the study cannot run; says the nearest."""
    for task in tasks:
        if task not in study.tasks:
            close = nearest(task, list(study.tasks))
            raise UserError(f"no task `{task}` in the study {study.name}: {close}")


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


def static_baselines(weights: str, fit: OptimizerConfig) -> tuple[Strategy, ...]:
    """The models without exits of every study, `single` and `truncated_1`, `truncated_2`, ...

    Args:
      weights: of the backbone, whose config says how many blocks there are.
      fit: how each is fine-tuned, the same as the strategies with exits.
    """
    return baselines(read_architecture(find_weights(weights)).blocks, fit)


def glue_data(task: str) -> Data:
    """The data part of an experiment on a task."""
    return Data(f"glue/{task}", lengths=TASKS[task].lengths)
