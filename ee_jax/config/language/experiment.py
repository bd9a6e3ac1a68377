"""The experiment on a language model."""

from dataclasses import dataclass

from ee_jax.checks import check, check_experiment
from ee_jax.config.language.evaluation import LanguageCalibration, LanguageEvaluation
from ee_jax.config.language.exits import LanguageExits
from ee_jax.config.language.sources import Pretrained, Scratch, SelfGenerated, Text
from ee_jax.training.strategies import Joint, Strategy


@dataclass(frozen=True)
class LanguageExperiment:
    """Everything that decides the numbers of one run of a language model."""

    name: str
    data: Text | SelfGenerated
    model: Pretrained | Scratch
    seed: int = 0
    exits: LanguageExits = LanguageExits()
    strategies: tuple[Strategy, ...] = (Joint(),)
    calibration: LanguageCalibration = LanguageCalibration()
    evaluation: LanguageEvaluation = LanguageEvaluation()
    checkpoint_seconds: float = 30.0  # between two checkpoints of training

    def __post_init__(self) -> None:
        check_experiment(self)
        wrote = isinstance(self.data, SelfGenerated) and isinstance(self.model, Scratch)
        check(not wrote, "data", "`SelfGenerated` needs a model that has been trained")
