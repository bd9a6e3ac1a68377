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
from ee_jax.config.strategies import (
    Alternating,
    Distill,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    Mixed,
    OptimizerConfig,
    SelfDistill,
    Strategy,
    TwoStage,
)

__all__ = [
    "Alternating",
    "AnyExperiment",
    "Calibration",
    "Data",
    "Distill",
    "Evaluation",
    "Exits",
    "Experiment",
    "Frozen",
    "GradientEquilibrium",
    "Joint",
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
