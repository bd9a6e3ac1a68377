"""Training one strategy of a run: its stages in turn, saved, resumed and logged."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ee_jax.atomic_io import part_of
from ee_jax.manifest import MANIFEST, check_files, is_sealed, seal
from ee_jax.models.precision import cast
from ee_jax.models.transformer import Parameters
from ee_jax.run_folder import MetricsFile
from ee_jax.tasks.task import Task, Trained
from ee_jax.training.checkpoints import Checkpoints
from ee_jax.training.fit import StepResult, steps_of
from ee_jax.training.stage import Stage
from ee_jax.training.strategies import Strategy

LOG_EVERY = 10  # steps


def _clock(before: float) -> Callable[[], float]:
    """Seconds from now on, and those before."""
    start = time.perf_counter()
    return lambda: before + time.perf_counter() - start


@dataclass(frozen=True)
class Trainer:
    """Trains the strategies of one experiment."""

    task: Task
    seed: int
    checkpoint_seconds: float
    identity: str  # of the experiment: whose checkpoints these are

    def train(self, strategy: Strategy, values: Parameters, folder: Path) -> Trained:
        """The trained parameters: read back if the folder has them, else made from `values`."""
        exported = folder / "model"
        if not exported.is_dir():
            self._export(strategy, self._train(strategy, values, folder), exported)
            self.task.folder.wrote(exported / MANIFEST)
        check_files(exported, f"delete {exported} and run again")
        return self.task.load(exported)

    def _export(self, strategy: Strategy, trained: Trained, folder: Path) -> None:
        """Writes the model's folder, which is there whole or not at all."""
        part = part_of(folder)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            self.task.export(strategy.name, trained, part)
            if not is_sealed(part):
                seal(part)
            os.replace(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _train(self, strategy: Strategy, values: Parameters, folder: Path) -> Trained:
        identity, say = f"{self.identity}/{strategy.name}", self.task.display.say
        saves = Checkpoints(folder / "checkpoints", identity, say)
        saved = saves.notes()
        clock = _clock(saved["seconds"] if saved else 0.0)
        metrics = MetricsFile(folder / "metrics.jsonl", saved["metrics"] if saved else None)
        self.task.folder.wrote(folder / "metrics.jsonl")
        before = 0  # steps of earlier stages
        for number, stage in enumerate(self.task.stages(strategy)):
            if not saved or number >= saved["stage"]:
                so_far = (number, before, clock)
                work = StageRun(self, strategy.name, stage, *so_far, saves, metrics)
                values = work.run(values)
            before += steps_of(stage.fit, self.task.rows)
        saves.close()
        metrics.close()
        return Trained(values, clock())


@dataclass(frozen=True)
class StageRun:
    """One stage of one strategy, from its checkpoint if it has one."""

    trainer: Trainer
    strategy: str
    stage: Stage
    number: int  # among the strategy's stages
    before: int  # steps of the stages before
    clock: Callable[[], float]  # seconds spent on the strategy
    saves: Checkpoints
    metrics: MetricsFile

    def run(self, values: Parameters) -> Parameters:
        """The whole model's parameters after the stage."""
        trainer, stage, task = self.trainer, self.stage, self.trainer.task
        fit = task.fit(stage, task.rows)
        state, kept = fit.start(values)
        saved, data = self.saves.notes(), None
        if saved and saved["stage"] == self.number:
            state, kept = self.saves.load((state, kept)).tree
            data = saved["data"]
        trained, done = state.values, int(state.step)
        values = cast({**kept, **trained}, task.experiment.precision)
        examples = task.examples(self.strategy, stage, values)
        points = fit.run(state, kept, examples, trainer.seed, data)
        last_save = time.monotonic()
        label = f"{self.strategy}: {stage.name}"
        with task.display.bar(label, fit.steps, done) as tick:
            for point in points:
                trained = point.state.values
                self._log(point, fit.steps)
                pause = time.monotonic() - last_save
                if pause >= trainer.checkpoint_seconds or point.step == fit.steps:
                    self._save(point, kept)
                    last_save = time.monotonic()
                tick(f"loss {point.metrics.loss:.3f}")
        task.display.say(f"  compiling took, of that: {fit.compile_seconds:.1f} s")
        return {**kept, **trained}

    def _log(self, point: StepResult, steps: int) -> None:
        if point.step % LOG_EVERY and point.step != steps:
            return
        self.metrics.write(
            self.before + point.step,
            stage=self.stage.name,
            loss=float(point.metrics.loss),
            loss_E=point.metrics.loss_E.tolist(),
            gradient_norm=float(point.metrics.gradient_norm),
        )

    def _save(self, point: StepResult, kept: Parameters) -> None:
        number = self.before + point.step
        notes = {"stage": self.number, "data": point.data, "metrics": self.metrics.mark()}
        self.saves.save(number, (point.state, kept), **notes, seconds=self.clock())
