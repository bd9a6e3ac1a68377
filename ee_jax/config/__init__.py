"""Experiments as frozen dataclasses: validation, loading, overrides, hash."""

from ee_jax.config.experiment import (
    AnyExperiment,
    Experiment,
    check_regression,
    config_hash,
    identity,
    to_dict,
)
from ee_jax.config.parts import Calibration, Data, Evaluation, Exits, Model
from ee_jax.training.optimizer import OptimizerConfig
from ee_jax.training.strategies import (
    EELLM,
    Alternating,
    Distill,
    DistillTrained,
    Frozen,
    GradientEquilibrium,
    Joint,
    LayerSkip,
    Learned,
    Mixed,
    SelfDistill,
    Strategy,
    TwoStage,
)

__all__ = [
    "EELLM",
    "Alternating",
    "AnyExperiment",
    "Calibration",
    "Data",
    "Distill",
    "DistillTrained",
    "Evaluation",
    "Exits",
    "Experiment",
    "Frozen",
    "GradientEquilibrium",
    "Joint",
    "LayerSkip",
    "Learned",
    "Mixed",
    "Model",
    "OptimizerConfig",
    "SelfDistill",
    "Strategy",
    "TwoStage",
    "check_regression",
    "config_hash",
    "identity",
    "to_dict",
]
