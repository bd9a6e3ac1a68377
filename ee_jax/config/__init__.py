"""Experiments as frozen dataclasses: validation, loading, overrides, hash."""

from ee_jax.config.experiment import Experiment, config_hash, to_dict
from ee_jax.config.parts import (
    Calibration,
    Data,
    Evaluation,
    Exits,
    Fit,
    Frozen,
    Joint,
    Model,
    Strategy,
)

__all__ = [
    "Calibration",
    "Data",
    "Evaluation",
    "Exits",
    "Experiment",
    "Fit",
    "Frozen",
    "Joint",
    "Model",
    "Strategy",
    "config_hash",
    "to_dict",
]
