"""How an experiment is written down, and what its hash tells apart."""

import json
from dataclasses import replace

import pytest

from ee_jax.config import (
    Calibration,
    Data,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    Model,
    OptimizerConfig,
    TwoStage,
    config_hash,
    to_dict,
)

BASE = Experiment("x")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "y"},
        {"seed": 1},
        {"data": Data(lengths=(16, 32))},
        {"data": Data(name="other")},
        {"model": Model(dropout=0.2)},
        {"exits": Exits(patience=1)},
        {"strategies": (Joint(fit=OptimizerConfig(learning_rate=6e-5)), Frozen())},
        {"strategies": (Joint(), TwoStage())},
        {"exits": Exits(learned=Learned("consistent"))},
        {"strategies": (Frozen(), Joint())},
        {"calibration": Calibration(tolerances=(0.02,))},
        {"evaluation": Evaluation(rounds=4)},
        {"precision": "bfloat16"},
    ],
)
def test_whatever_decides_a_number_changes_the_hash(changes):
    assert config_hash(replace(BASE, **changes)) != config_hash(BASE)


def test_where_and_how_often_it_is_kept_does_not():
    data = Data(folder="/elsewhere", manual_dir="/files")
    elsewhere = replace(BASE, data=data, checkpoint_seconds=1.0)
    assert config_hash(elsewhere) == config_hash(BASE)


def test_the_hash_is_twelve_hex_digits_and_always_the_same():
    assert config_hash(BASE) == config_hash(Experiment("x"))
    assert len(config_hash(BASE)) == 12
    int(config_hash(BASE), 16)


def test_a_strategy_is_known_by_its_kind_and_all_is_json():
    plain = to_dict(replace(BASE, strategies=(Joint("a"), GradientEquilibrium("b"))))
    assert [(s["name"], s["kind"]) for s in plain["strategies"]] == [
        ("a", "joint"),
        ("b", "gradient_equilibrium"),
    ]
    assert json.loads(json.dumps(plain)) == plain
