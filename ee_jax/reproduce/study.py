"""What a study is: which experiment each task gets, and which numbers it is put beside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

from ee_jax.config import Experiment
from ee_jax.config.load import run_file
from ee_jax.data.registry import nearest
from ee_jax.errors import UserError

# Name -> the module that holds its `STUDY`.
STUDIES = {
    name: f"ee_jax.reproduce.{name}:STUDY"
    for name in ("joint_vs_frozen", "deebert", "pabee", "berxit", "fastbert")
}


@dataclass(frozen=True)
class Study:
    """A sweep over tasks and seeds."""

    name: str
    title: str
    tasks: tuple[str, ...]  # those that it can run
    experiment: Callable[[str, str], Experiment]  # of a task and weights
    paper: str | None = None  # whose table it is put beside
    backbone: str = "bert-base"  # the paper's, for weights that are none of the paper's
    # The paper's methods, and the name of our strategy that is each of them.
    methods: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_study(name: str) -> Study:
    """The study of that name, or the `STUDY` of a Python file.

    Args:
      name: of a study of the package's, or a path that ends in .py.

    Raises:
      UserError: there is none; says the nearest.
    """
    if name.endswith(".py"):
        return _of_file(Path(name))
    if name not in STUDIES:
        raise UserError(f"no study `{name}`: {nearest(name, list(STUDIES))}")
    return resolve_name(STUDIES[name])


def _of_file(path: Path) -> Study:
    if not path.is_file():
        raise UserError(f"no study at {path}: give a Python file with a STUDY")
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
