"""What a part of an experiment refuses, and that it says so in one line."""

import math
from dataclasses import replace

import pytest

from ee_jax.config import (
    Calibration,
    Data,
    Distill,
    DistillTrained,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    Model,
    OptimizerConfig,
    Pairs,
    SelfDistill,
    TwoStage,
)
from ee_jax.errors import UserError
from ee_jax.tasks.classification.inputs import check_regression
from ee_jax.training.stage import ExitLayout


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(lengths=(9, 8)), "data.lengths` must rise, e.g. (32, 64), not (9, 8)"),
        (lambda: Data(lengths=()), "data.lengths` must rise"),
        (lambda: Data(lengths=(0, 16)), "data.lengths` must rise"),
        (lambda: Pairs("x", lengths=(9, 8)), "data.lengths` must rise"),
        (lambda: Pairs("x", lengths=(32, 64)),
         "data.lengths` must end at data.source_length, 128, not at 64"),
        (lambda: Pairs("x", target_length=0), "data.target_length` must be >= 1, not 0"),
        (lambda: Model(dropout=1.0), "model.dropout` must be in [0, 1), not 1.0"),
        (lambda: Model(dropout=-0.1), "model.dropout` must be in [0, 1)"),
        (lambda: Exits(layers=(2, 1)), "exits.layers` must rise, e.g. (2, 4, 6), not (2, 1)"),
        (lambda: Exits(layers=(2, 2)), "exits.layers` must rise"),
        (lambda: Exits(layers=(0, 2)), "exits.layers` must rise"),
        (lambda: Exits(layers=()), "exits.layers` must rise"),
        (lambda: Exits(min_depth=0), "exits.min_depth` must be >= 1, not 0"),
        (lambda: Exits(patience=-1), "exits.patience` must be >= 0, not -1"),
        (lambda: Exits(patience=10**30), "exits.patience` must be below 2^63, not 1000"),
        (lambda: Exits(min_depth=2**31), "exits.min_depth` must be below 2^31"),
        (lambda: OptimizerConfig(epochs=0.0),
         "fit.epochs` must be positive and finite in 32 bits, not 0.0"),
        (lambda: OptimizerConfig(batch=0), "fit.batch` must be >= 1, not 0"),
        (lambda: OptimizerConfig(learning_rate=-1.0), "fit.learning_rate` must be positive"),
        (lambda: OptimizerConfig(head_learning_rate=math.nan),
         "fit.head_learning_rate` must be finite in 32 bits, not nan"),
        (lambda: OptimizerConfig(clip=math.inf),
         "fit.clip` must be finite in 32 bits, not inf"),
        (lambda: OptimizerConfig(warmup=1.0), "fit.warmup` must be in [0, 1), not 1.0"),
        (lambda: OptimizerConfig(weight_decay=-0.1),
         "fit.weight_decay` must be >= 0, not -0.1"),
        (lambda: Calibration((0.1, 1.5)), "calibration.tolerances` must lie in [0, 1]"),
        (lambda: Evaluation(thresholds=(0.5, 1.1)),
         "evaluation.thresholds` must lie in [0, 1], not (0.5, 1.1)"),
        (lambda: Evaluation(thresholds=(-0.1,)), "evaluation.thresholds` must lie in [0, 1]"),
        (lambda: Evaluation(thresholds=(math.nan,)),
         "evaluation.thresholds` must be finite in 32 bits, not nan"),
        (lambda: Evaluation(thresholds=()), "evaluation.thresholds` must lie"),
        (lambda: Evaluation(batches=(1, 0)), "evaluation.batches` must be >= 1, not ("),
        (lambda: Evaluation(batches=()), "evaluation.batches` must be >= 1, not ("),
        (lambda: Evaluation(rounds=0), "evaluation.rounds` must be >= 1, not 0"),
        (lambda: Experiment("x", strategies=(Joint(), Joint())),
         "strategies` must have different names, not ['joint', 'joint']"),
        (lambda: Experiment("x", strategies=()), "strategies` must have different names"),
        (lambda: Experiment("x", strategies=(Joint(name="../x"),)),
         "strategies` must have names that can name a folder, not ['../x']"),
        (lambda: Exits(min_depth=4).resolve(3),
         "exits.min_depth` must be at most the backbone's 3 blocks, not 4"),
        (lambda: Experiment("x", checkpoint_seconds=-1.0), "checkpoint_seconds` must be >= 0"),
        (lambda: TwoStage("deebert").stages(ExitLayout((1, 2), shared=True)),
         "exits.head` `shared` has no last head of its own for strategy `deebert`"),
        (lambda: Joint(loss="nl"), "joint.loss` names no loss 'nl': did you mean `nll`?"),
        (lambda: OptimizerConfig(optimizer="adamm"),
         "fit.optimizer` names no optimizer 'adamm': did you mean `adamw`?"),
        (lambda: Exits(tolerance=0.0),
         "exits.tolerance` must be positive and finite in 32 bits, not 0.0"),
        (lambda: Joint(stride=-1), "joint.stride` must be >= 0, not -1"),
        (lambda: Distill(temperature=0.0), "distill.temperature` must be positive and finite"),
        (lambda: SelfDistill(temperature=math.inf), "self_distill.temperature` must be"),
        (lambda: DistillTrained(temperature=math.inf), "distill_trained.temperature` must be"),
        (lambda: Evaluation(rows=0), "evaluation.rows` must be >= 1, not 0"),
    ],
)  # fmt: skip
def test_a_broken_rule_names_the_field_and_the_value(make, message):
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value).startswith(f"config field `{message}")
    assert "\n" not in str(error.value)


def test_the_edges_of_the_rules_are_allowed():
    Evaluation(thresholds=(0.0, 1.0))
    Calibration(tolerances=(0.0, 1.0))
    Calibration(tolerances=())
    Evaluation(rows=None)
    OptimizerConfig(warmup=0.0, weight_decay=0.0)
    Model(dropout=0.0)
    Experiment("x", strategies=(Joint("a"), Joint("b")), checkpoint_seconds=0.0)


def test_exit_layers_on_a_backbone():
    assert Exits().resolve(3) == (1, 2, 3)
    assert Exits(layers=(1, 3)).resolve(3) == (1, 3)
    for layers in ((1, 2), (1, 4)):
        with pytest.raises(UserError) as error:
            Exits(layers=layers).resolve(3)
        assert str(error.value) == (
            "config field `exits.layers` must end at the backbone's last block, 3, not at "
            f"{layers[-1]}"
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exits": Exits()},
         "exits.confidence` `max_prob` needs classes, and `glue/stsb` has none: take"),
        ({"exits": Exits(confidence="voting")}, "exits.confidence` `voting` needs classes"),
        ({"exits": Exits(confidence="learned")}, "exits.learned` asks which answers are right"),
        ({"exits": Exits(confidence="learned", learned=Learned("consistent", "squared"))},
         "exits.learned` asks which answers are right"),
        ({"exits": Exits(confidence="saturation", patience=2)},
         "exits.patience` is calibrated on classes, and"),
        ({"strategies": (Joint(), Distill())}, "strategies` `distill` learns a distribution"),
        ({"strategies": (SelfDistill("sd"),)}, "strategies` `sd` learns a distribution over"),
        ({"strategies": (Joint(loss="confidence_weighted"),)}, "strategies` `joint` learns a"),
    ],
)  # fmt: skip
def test_what_a_regression_cannot_serve_is_refused(changes, message):
    check_regression(REGRESSION, (1, 2))
    with pytest.raises(UserError) as error:
        check_regression(replace(REGRESSION, **changes), (1, 2))
    assert str(error.value).startswith(f"config field `{message}")
    assert "\n" not in str(error.value)


REGRESSION = Experiment(
    "x",
    data=Data("glue/stsb"),
    exits=Exits(confidence="learned", learned=Learned("correct", "squared", shared=True)),
)
