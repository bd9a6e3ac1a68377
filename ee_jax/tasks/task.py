"""What a task is: all that a run must know of its data, its model and what is measured.

The tasks by name; a user's own is registered like the package's.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

from jax.sharding import Mesh

from ee_jax.compilation import Planned
from ee_jax.config import Experiment, Strategy
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.losses.batch_losses import OfBatch
from ee_jax.models.precision import cast
from ee_jax.models.transformer import Parameters
from ee_jax.registry import Registry
from ee_jax.report.report import Report, make_report
from ee_jax.results import AgainstStatic, Results, StrategyResults
from ee_jax.run_folder import RunFolder
from ee_jax.training.fit import Examples, StageFit
from ee_jax.training.stage import ExitLayout, Stage
from ee_jax.training.strategies import stages


class Trained(NamedTuple):
    """What training made, and how long it took."""

    values: Parameters
    seconds: float  # over all the processes that it took; what a kill undid is not in it


class Task(abc.ABC):
    """A kind of experiment; one object serves one run.

    A run calls `check`, then `prepare`, and for each strategy trains by `of_batch` and
    `examples`, keeps the model by `export`, and asks `evaluate` what it is worth.

    Attributes:
      values: the model's parameters before training, once it is checked.
      layout: what strategies must know of the exits, once it is checked.
      of_batch: the losses of a batch of `examples`, once it is prepared.
    """

    values: Parameters
    of_batch: OfBatch
    layout: ExitLayout

    def __init__(self, experiment: Experiment, folder: RunFolder, mesh: Mesh, display: Display):
        self.experiment, self.folder = experiment, folder
        self.mesh, self.display = mesh, display

    @abc.abstractmethod
    def check(self) -> Mapping[str, str]:
        """Reads config, weights and data, and looks for all that can be wrong with them.

        Nothing is written into the run's folder, which may not be there yet.

        Returns:
          What was looked at, and what was found, in words: `ee-jax run --check` prints it.

        Raises:
          UserError: something is wrong.
        """

    def inputs(self) -> Mapping[str, str]:
        """SHA-256 of what the run is made from, by name; known once it is checked.

        A run that was stopped does not go on from others.
        """
        return {}

    def prepare(self) -> None:
        """What else must be there before training, and may be kept in the run's folder."""
        return

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """Examples of an epoch, once it is prepared."""

    @abc.abstractmethod
    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """What a stage learns from, where the model has these parameters before it.

        They are in the precision that it computes in.
        """

    @abc.abstractmethod
    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the trained model; its weights last."""

    @abc.abstractmethod
    def load(self, folder: Path) -> Trained:
        """Reads it back."""

    @abc.abstractmethod
    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """What the run found of a strategy, whose parameters are as for `examples`."""

    @abc.abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """The fields `data`, `model`, `metrics` and `risks` of `ee_jax.results.Results`."""

    @staticmethod
    def directory(data: Any) -> DatasetDir:
        """Where the data set of a config is kept; a UserError where a task keeps none."""
        raise UserError(f"{type(data).__name__} is no data set that can be prepared")

    @staticmethod
    def report(results: Results) -> Report:
        """Tables, figures and page of a run's results; the same for every task."""
        return make_report(results)

    @property
    def compile_seconds(self) -> Mapping[str, float]:
        """Seconds spent compiling what is measured, by program."""
        return {}

    def of(self, strategy: Strategy) -> "Task":
        """The task that trains and judges the model of a strategy: this one, if it has exits.

        Args:
          strategy: of the experiment, once the task is checked.

        Raises:
          UserError: it trains a model without exits, of which this task knows none.
        """
        if strategy.static_blocks(self.layout.layers[-1]) is None:
            return self
        raise UserError(
            f"strategy `{strategy.name}` trains a model without exits, and the task "
            f"`{self.experiment.task}` has none to put beside those with exits: leave it out"
        )

    def against_static(
        self, strategies: Mapping[str, StrategyResults]
    ) -> tuple[AgainstStatic, ...]:
        """Early exit against the models without exits, where there are any; at the very end."""
        return ()

    def stages(self, strategy: Strategy) -> list[Stage]:
        """The stages of a strategy, in turn."""
        learned, paths = self.experiment.learned, getattr(self, "values", None)
        return stages(strategy, self.layout, learned, paths)

    @property
    def values_to_answer(self) -> Parameters:
        """`values` in the precision in which the model computes, as `evaluate` gets them."""
        return cast(self.values, self.experiment.precision)

    def fit(self, stage: Stage, rows: int) -> StageFit:
        """A stage, ready to train; `rows` are the examples of an epoch."""
        dropout, precision = self.experiment.model.dropout, self.experiment.precision
        return StageFit(stage, self.of_batch, rows, self.mesh, dropout, precision)

    def programs(self) -> Iterator[Planned]:
        """The programs that the run would compile on `mesh`, once it is checked.

        `ee-jax compile` compiles them. `training_steps` gives those of training.
        """
        yield from ()

    def training_steps(
        self, examples: Callable[[Stage], Examples], rows: int
    ) -> Iterator[Planned]:
        """The training steps of every stage of every strategy.

        Args:
          examples: what a stage learns from; shapes do for their features.
          rows: examples of an epoch, which decide how fast rates fall and no shape.
        """
        for strategy in self.experiment.strategies:
            own = self.of(strategy)
            todo = own.stages(strategy)
            for stage in todo:
                name = strategy.name if len(todo) == 1 else f"{strategy.name}, {stage.name}"
                yield from own.fit(stage, rows).plan(own.values, examples(stage), name)


# What the config field `task` may name: a subclass of Task, or where one lies, so that a run
# loads no other task than its own.
TASKS: Registry[type[Task] | str] = Registry(
    "task",
    classification="ee_jax.tasks.classification.task:Classification",
    language_modeling="ee_jax.tasks.language_modeling.task:LanguageModeling",
    seq2seq="ee_jax.tasks.seq2seq.task:Seq2Seq",
)


def find_task(name: str) -> type[Task]:
    """The task of that name.

    Args:
      name: what the config field `task` says.

    Raises:
      UserError: there is none, or it is no Task; says the nearest name, or what is missing.
    """
    if name not in TASKS:
        raise UserError(f"config field `task` names {TASKS.unknown(name)}")
    found = TASKS[name]
    task = resolve_name(found) if isinstance(found, str) else found
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise UserError(f"task `{name}` must be a subclass of ee_jax.tasks.task.Task")
    if missing := sorted(task.__abstractmethods__):
        raise UserError(f"task `{name}` lacks {', '.join(missing)}: define them in its class")
    return task
