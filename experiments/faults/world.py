"""A tiny experiment in a folder of its own, commands on it, and the bits that they leave.

Commands run in forks of a process that has imported everything and started no device, so that
each takes its own time alone. Paths are relative: a copy of the folder is the same experiment.
"""

import hashlib
import importlib
import itertools
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ee_jax.cli import main
from ee_jax.config import Data, Experiment, OptimizerConfig
from ee_jax.data.registry import DATASETS
from ee_jax.owned_folder import HOLDER
from ee_jax.runs import train
from tests.runs.tiny_study import experiment

CONFIG, RUN, HANGS = "tiny.py", ("run", "tiny.py", "--output", "run"), 900.0  # seconds
# What a process that goes on does otherwise.
TIMES = {"seconds", "train_seconds", "measured_speedup", "programs"}
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # audit events; and some opens
DATASETS["sentences"] = "tests.runs.tiny_sentences:Sentences"


class Done(NamedTuple):
    """A command that has ended; a negative status is a signal."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error that a user can mend, or nothing."""
        lines = [line for line in self.err.splitlines() if line.startswith("ee-jax: ")]
        plain = self.status == 2 and len(lines) == 1 and "Traceback" not in self.err
        return lines[0] if plain and self.err.endswith(f"{lines[0]}\n") else ""


class Child:
    """`ee-jax ARGUMENTS` in a fork, in the folder `world`."""

    def __init__(
        self,
        world: Path,
        *arguments: str,
        before: Callable[[], Any] = lambda: None,
        warm: bool = True,
    ):
        # Beside the world, which a case may lock.
        self._log, self.start = world.parent / f"log{time.monotonic_ns()}", time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(world, arguments, before, warm)

    def _become(
        self, world: Path, arguments: tuple[str, ...], before: Callable, warm: bool
    ) -> None:
        status = 1
        try:
            for number, kind in ((1, ".out"), (2, ".err")):
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                os.dup2(os.open(self._log.with_suffix(kind), flags), number)
            os.chdir(world)
            sys.argv = ["ee-jax", *arguments]
            if warm:
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
            before()
            main(arguments)
            status = 0
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def wait(self) -> Done:
        """Its end; one that hangs is killed by SIGABRT."""
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() - self.start > HANGS:
                os.kill(self.pid, signal.SIGABRT)
            time.sleep(0.01)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        texts = [self._log.with_suffix(kind) for kind in (".out", ".err")]
        said = [path.read_text() if path.exists() else "" for path in texts]
        for path in texts:
            path.unlink(missing_ok=True)
        return Done(status, *said)

    def kill(self, after: float) -> Done:
        """SIGKILL so many seconds after its start, unless it has ended by then."""
        time.sleep(max(0.0, self.start + after - time.monotonic()))
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()


def ask(world: Path, *arguments: str) -> Done:
    """The end of an undisturbed command."""
    return Child(world, *arguments).wait()


def at_write(folder: Path, number: int, act: Callable[[str, str], Any]) -> None:
    """In this process, acts before the write of this number below a folder; 0: before each.

    `act` is given the kind of write, and the path in the folder; of a move that it moves to.
    A write is a file that is opened for it, a move, a removal, a folder made or removed.
    """
    count, below = itertools.count(1), f"{folder.resolve()}/"

    def hook(event: str, given: tuple) -> None:
        opens = event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR)
        if not (opens or event in WRITES) or not isinstance(given[0], str | os.PathLike):
            return
        path = os.path.abspath(given[event == "os.rename"])
        if f"{path}/".startswith(below) and number in (0, next(count)):
            act(event, os.path.relpath(path, below))

    sys.addaudithook(hook)


def tiny(strategies: int) -> Experiment:
    """One strategy of four steps, or another of two after it; a checkpoint after each step."""
    planned = experiment("sentences", "weights")
    fits = (OptimizerConfig(epochs=1.0, batch=24), OptimizerConfig(epochs=1.0, batch=48))
    short = [replace(one, fit=fit) for one, fit in zip(planned.strategies, fits, strict=True)]
    return replace(
        planned,
        data=Data("sentences", folder="data", lengths=(8,)),
        strategies=tuple(short[:strategies]),
        evaluation=replace(planned.evaluation, thresholds=(0.4, 1.0), batches=(2,)),
        checkpoint_seconds=0.0,
    )


def make(world: Path, strategies: int) -> None:
    """Config, weights and data; in a process of its own, as weights start a device."""
    world.mkdir(parents=True)
    (world / "texts.txt").write_text("load the file\nwrite again a line\nend of text\n")
    (world / CONFIG).write_text(
        "from ee_jax.config import *\nfrom ee_jax.data.registry import DATASETS\n"
        f"DATASETS['sentences'] = {DATASETS['sentences']!r}\n"
        f"def get_config():\n    return {tiny(strategies)!r}\n"
    )

    def weights() -> None:
        from tests.runs.tiny_weights import write_weights

        write_weights(world / "weights", 2)

    done = Child(world, "data", "prepare", CONFIG, before=weights, warm=False).wait()
    assert done.status == 0, done.err


def names(run: Path) -> set[str]:
    """What is in a run's folder, of checkpoints their folders alone; nobody reads a holder."""
    found = {path.relative_to(run) for path in run.rglob("*") if path.name != HOLDER}
    inside = {path for path in found if "checkpoints" in path.parts[:-2]}
    return {path.as_posix() for path in found - inside}


def bits(run: Path) -> dict[str, str]:
    """The SHA-256 of everything that a second run would repeat, by name; times left out."""
    return dict(_bits(run))


def _bits(run: Path) -> Iterator[tuple[str, str]]:
    for path in [run / "results.json", *sorted(run.glob("*/**/*"))]:
        name = path.relative_to(run)
        of_model = name.parent.name == "model"
        if not path.is_file() or "checkpoints" in name.parts or path.name == "manifest.json":
            continue
        content = path.read_bytes()
        if path.name == "results.json" or (of_model and path.name == "exits.json"):
            content = json.dumps(_timeless(json.loads(content))).encode()
        yield name.as_posix(), hashlib.sha256(content).hexdigest()


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if key not in TIMES}
    return [*map(_timeless, content)] if isinstance(content, list) else content


class Whole(NamedTuple):
    """An undisturbed run, and the folder in which it had not begun."""

    new: Path
    world: Path
    seconds: float
    writes: list[str]  # the path, in the run's folder, of each of its writes
    bits: dict[str, str]
    names: set[str]


READERS = (
    RUN,
    ("check", "run"),
    ("compare", "run"),
    ("predict", "run/joint", "texts.txt"),
    ("calibrate", "run/joint/traces/test.npz", "--output", "calibrated"),
)


MODULES = (
    "ee_jax.runs.run", "ee_jax.runs.trained", "ee_jax.runs.inspect", "ee_jax.report.compare",
    "ee_jax.report.render", "ee_jax.tasks.classification.task", "ee_jax.calibration.request",
    "tests.runs.tiny_sentences", "matplotlib.backends.backend_agg", "tyro", "cattrs", "jinja2",
)  # fmt: skip


def get_ready(compiled: Path) -> None:
    """Imports what commands need; programs are compiled once, into a folder."""
    for module in MODULES:
        importlib.import_module(module)
    train.LOG_EVERY = 1
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_disable_most_optimizations", True)


def whole(folder: Path, strategies: int) -> Whole:
    """Makes one: runs twice, once to compile and once to be timed."""
    new = folder / f"new{strategies}"
    make(new, strategies)
    for name in ("first", "second"):
        world, log = folder / f"{name}{strategies}", folder / f"writes{strategies}"
        shutil.copytree(new, world)

        def before(run: Path = world / "run", log: Path = log) -> None:
            written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            at_write(run, 0, lambda _, at: os.write(written, f"{at}\n".encode()))

        child = Child(world, *RUN, before=before, warm=name == "second")
        done, seconds = child.wait(), time.monotonic() - child.start
        assert done.status == 0, done.err
        for command in READERS:
            assert Child(world, *command, warm=False).wait().status == 0
    run = world / "run"
    return Whole(new, world, seconds, log.read_text().splitlines(), bits(run), names(run))
