"""Training one strategy of a run: its stages in turn, saved, resumed and logged."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from ee_jax.config import Experiment, Strategy
from ee_jax.display import Display
from ee_jax.exits.forward import ForwardPass
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.files import WEIGHTS, find_weights
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.runs.folder import MetricsFile
from ee_jax.runs.inputs import Corpus
from ee_jax.training.checkpoints import Checkpoints
from ee_jax.training.fit import Examples, Point, StageFit, steps_of
from ee_jax.training.strategies import Stage, stages

LOG_EVERY = 10  # steps


class Trained(NamedTuple):
    """What training made, and how long it took."""

    values: Parameters
    seconds: float  # over all the processes that it took; what a kill undid is not in it


def _clock(before: float) -> Callable[[], float]:
    """Seconds from now on, and those before."""
    start = time.perf_counter()
    return lambda: before + time.perf_counter() - start


@dataclass(frozen=True)
class Trainer:
    """Trains the strategies of one experiment."""

    experiment: Experiment
    model: ExitModel  # shapes only
    corpus: Corpus
    forward: ForwardPass
    mesh: Mesh
    identity: str  # of the experiment: whose checkpoints these are
    display: Display

    def train(self, strategy: Strategy, values: Parameters, folder: Path) -> Trained:
        """The trained parameters: read back if the folder has them, else made from `values`."""
        exported = folder / "model"
        if not (exported / WEIGHTS).exists():
            self._export(strategy, self._train(strategy, values, folder), exported)
        seconds = read_exits(exported)["train_seconds"]
        return Trained(parameters(import_model(exported)), seconds)

    def _export(self, strategy: Strategy, trained: Trained, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        weights = find_weights(self.experiment.model.weights)
        shutil.copyfile(weights / "tokenizer.json", folder / "tokenizer.json")
        model = bind(self.model, trained.values)
        notes = {
            "classes": self.corpus.classes,
            "config_hash": self.identity,
            "train_seconds": trained.seconds,
        }
        export_model(model, folder, strategy=strategy.name, **notes)

    def _train(self, strategy: Strategy, values: Parameters, folder: Path) -> Trained:
        saves = Checkpoints(folder / "checkpoints", f"{self.identity}/{strategy.name}")
        saved = saves.notes()
        clock = _clock(saved["seconds"] if saved else 0.0)
        metrics = MetricsFile(folder / "metrics.jsonl", keep=saved["number"] if saved else 0)
        before = 0  # steps of earlier stages
        scores = self.experiment.exits.scores
        todo = stages(strategy, len(self.model.design.layers), scores)
        for number, stage in enumerate(todo):
            if not saved or number >= saved["stage"]:
                so_far = (number, before, clock)
                work = StageRun(self, strategy.name, stage, *so_far, saves, metrics)
                values = work.run(values)
            before += steps_of(stage, len(self.corpus.splits["train"].rows))
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
        trainer, rows = self.trainer, self.trainer.corpus.splits["train"].rows
        dropout = trainer.experiment.model.dropout
        fit = StageFit(trainer.model, self.stage, len(rows), trainer.mesh, dropout)
        learner, kept = fit.start(values)
        saved, data = self.saves.notes(), None
        if saved and saved["stage"] == self.number:
            learner, kept = self.saves.load((learner, kept)).tree
            data = saved["data"]
        trained, done = learner.values, int(learner.step)
        examples = self._examples({**kept, **trained})
        points = fit.run(learner, kept, examples, trainer.experiment.seed, data)
        last_save = time.monotonic()
        with trainer.display.bar(
            f"{self.strategy}: {self.stage.name}", fit.steps, done
        ) as tick:
            for point in points:
                trained = point.learner.values
                self._log(point, fit.steps)
                pause = time.monotonic() - last_save
                if pause >= trainer.experiment.checkpoint_seconds or point.step == fit.steps:
                    self._save(point, kept)
                    last_save = time.monotonic()
                tick(f"loss {point.metrics.loss:.3f}")
        trainer.display.say(f"  compiling took, of that: {fit.compile_seconds:.1f} s")
        return {**kept, **trained}

    def _examples(self, values: Parameters) -> Examples:
        """Token rows where the backbone learns; else what it makes of them, once."""
        split = self.trainer.corpus.splits["train"]
        if self.stage.backbone:
            return Examples(split.rows, split.label_N, split.lengths)
        batches = split.batches(self.trainer.forward.batch)
        with self.trainer.display.bar(f"{self.strategy}: features", len(batches)) as tick:
            features = self.trainer.forward.features(values, batches, len(split.rows), tick)
        return Examples(split.rows, split.label_N, split.lengths, features)

    def _log(self, point: Point, steps: int) -> None:
        if point.step % LOG_EVERY and point.step != steps:
            return
        self.metrics.write(
            self.before + point.step,
            stage=self.stage.name,
            loss=float(point.metrics.loss),
            loss_E=point.metrics.loss_E.tolist(),
            gradient_norm=float(point.metrics.gradient_norm),
        )

    def _save(self, point: Point, kept: Parameters) -> None:
        number = self.before + point.step
        notes = {"stage": self.number, "data": point.data, "seconds": self.clock()}
        self.saves.save(number, (point.learner, kept), **notes)
