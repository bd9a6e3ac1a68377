"""Experiments on language models: text, model, exits, strategies, evaluation."""

from ee_jax.config.language.evaluation import (
    LanguageCalibration,
    LanguageEvaluation,
    Speculation,
)
from ee_jax.config.language.exits import LanguageExits
from ee_jax.config.language.experiment import LanguageExperiment
from ee_jax.config.language.sources import Pretrained, Scratch, SelfGenerated, Text

__all__ = [
    "LanguageCalibration",
    "LanguageEvaluation",
    "LanguageExits",
    "LanguageExperiment",
    "Pretrained",
    "Scratch",
    "SelfGenerated",
    "Speculation",
    "Text",
]
