"""Experiments as frozen dataclasses: validation, loading, overrides, hash."""

from ee_jax.config.experiment import Experiment, config_hash, identity, to_dict
from ee_jax.config.parts import Calibration, Decoding, Evaluation, Exits, Speculation
from ee_jax.config.sources import (
    Data,
    DataConfig,
    Model,
    ModelConfig,
    Scratch,
    SelfGenerated,
    Text,
)
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
    "Calibration",
    "Data",
    "DataConfig",
    "Decoding",
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
    "ModelConfig",
    "OptimizerConfig",
    "Scratch",
    "SelfDistill",
    "SelfGenerated",
    "Speculation",
    "Strategy",
    "Text",
    "TwoStage",
    "config_hash",
    "identity",
    "to_dict",
]
