"""`--field value` pairs on top of an experiment."""

import dataclasses
from typing import Any

import pytest

from ee_jax.config import (
    Data,
    Distill,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    OptimizerConfig,
    TwoStage,
    config_hash,
)
from ee_jax.config.load import override
from ee_jax.errors import UserError

BASE = Experiment(
    "x", strategies=(Joint(fit=OptimizerConfig(2.0)), TwoStage(first=OptimizerConfig(1.0)))
)


def fit_of(number: int, **changes) -> dict:
    """The change of one strategy's fit."""
    strategies = list(BASE.strategies)
    strategy: Any = strategies[number]
    fit = dataclasses.replace(strategy.fit, **changes)
    strategies[number] = dataclasses.replace(strategy, fit=fit)
    return {"strategies": tuple(strategies)}


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ("--seed 3", {"seed": 3}),
        ("--exits.head mlp", {"exits": Exits(head="mlp")}),
        ("--exits.min-depth 2 --exits.patience 1",
         {"exits": Exits(min_depth=2, patience=1)}),
        ("--exits.layers 2 6", {"exits": Exits(layers=(2, 6))}),
        ("--data.lengths 8 16", {"data": Data(lengths=(8, 16))}),
        ("--evaluation.thresholds 0.5 1",
         {"evaluation": Evaluation(thresholds=(0.5, 1.0))}),
        ("--strategies.0.fit.epochs 7", fit_of(0, epochs=7.0)),
        ("--strategies.1.fit.learning_rate 1e-4", fit_of(1, learning_rate=1e-4)),
        ("--strategies.0.weights 1 2",
         {"strategies": (Joint(weights=(1.0, 2.0), fit=OptimizerConfig(2.0)),
                         BASE.strategies[1])}),
        ("--strategies.1.first.batch 8",
         {"strategies": (BASE.strategies[0], TwoStage(first=OptimizerConfig(1.0, batch=8)))}),
        ("--strategies.0.weights strided --strategies.0.stride 2",
         {"strategies": (Joint(weights="strided", stride=2, fit=OptimizerConfig(2.0)),
                         BASE.strategies[1])}),
        ("--exits.confidence patience --exits.learned.target consistent",
         {"exits": Exits(confidence="patience", learned=Learned("consistent"))}),
    ],
)  # fmt: skip
def test_a_field_at_any_depth_is_changed(overrides, changes):
    assert override(BASE, overrides.split()) == dataclasses.replace(BASE, **changes)


def test_a_field_of_any_strategy_is_changed():
    base = dataclasses.replace(BASE, strategies=(Distill(),))
    words = "--strategies.0.direction code --strategies.0.temperature 2"
    changed = Distill(direction="code", temperature=2.0)
    assert override(base, words.split()).strategies == (changed,)


def test_without_overrides_nothing_changes():
    assert override(BASE, []) is BASE
    assert config_hash(override(BASE, ["--seed", "0"])) == config_hash(BASE)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("--sed 3", "Unrecognized options: --sed, 3; did you mean --seed?"),
        ("--exits.haed mlp",
         "Unrecognized options: --exits.haed, mlp; did you mean --exits.head?"),
        ("--strategies.0.fit.epoch 1", "Unrecognized options: --strategies.0.fit.epoch, 1; "
                                       "did you mean --strategies.0.fit.epochs?"),
        ("--sed 3 --exits.haed mlp", "Unrecognized options: --sed, 3, --exits.haed, mlp; "
                                     "did you mean --seed?"),
        ("nonsense", "Unrecognized options: nonsense"),
        ("--seed x",
         "Error parsing --seed: invalid literal for int() with base 10: 'x'"),
        ("--exits.confidence margn",
         "config field `exits.confidence` names no confidence 'margn': did you mean "
         "`margin`? there are max_prob, margin, entropy, saturation, patience, voting, "
         "learned"),
        ("--exits.pooling men", "invalid choice 'men' for argument '--exits.pooling'. "
                                "Expected one of ('first', 'mean')."),
        ("--evaluation.thresholds 0.5 2",
         "config field `evaluation.thresholds` must lie in [0, 1], not (0.5, 2.0)"),
    ],
)  # fmt: skip
def test_a_bad_override_is_one_line(overrides, message):
    with pytest.raises(UserError) as error:
        override(BASE, overrides.split())
    assert str(error.value) == message


@pytest.mark.parametrize("overrides", ["--exits.layers a", "--seed", "--data.lengths 8 x"])
def test_what_cannot_be_parsed_names_its_field(overrides):
    with pytest.raises(UserError) as error:
        override(BASE, overrides.split())
    assert overrides.split()[0] in str(error.value)
    assert "\n" not in str(error.value)
