"""What a sweep left: the runs that finished, with their traces, and those that failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import Stopping
from ee_jax.reproduce.search import Searched
from ee_jax.results import Results


@dataclass(frozen=True, eq=False)
class Finished:
    """A run of one task and seed: its results, and the test trace of each strategy."""

    task: str
    seed: int
    results: Results
    traces: Mapping[str, Trace] = field(default_factory=dict)

    @property
    def stopping(self) -> Stopping:
        """Who might stop, but for the thresholds."""
        exits = self.results.config["exits"]
        return Stopping(*(exits[name] for name in Stopping._fields))


@dataclass(frozen=True)
class Failed:
    """A task and seed without results, and the reason in one line."""

    task: str
    seed: int
    reason: str


@dataclass(frozen=True, eq=False)
class Swept:
    """All runs of a sweep."""

    finished: tuple[Finished, ...] = ()
    failed: tuple[Failed, ...] = ()
    searched: tuple[Searched, ...] = ()  # one a task, where learning rates were searched for

    @property
    def tasks(self) -> list[str]:
        """The tasks that were tried, finished ones first."""
        return list(dict.fromkeys(run.task for run in (*self.finished, *self.failed)))

    def of(self, task: str) -> "Swept":
        """The runs of one task."""
        return Swept(
            tuple(run for run in self.finished if run.task == task),
            tuple(run for run in self.failed if run.task == task),
            tuple(each for each in self.searched if each.task == task),
        )

    def said(self) -> list[str]:
        """A sentence for each run that failed."""
        return [f"Failed: {run.task}, seed {run.seed}: {run.reason}" for run in self.failed]
