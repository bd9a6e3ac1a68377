"""What the tasks of models that write have in common: exits that stop token by token."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from flax import nnx

from ee_jax.checks import check as check_field
from ee_jax.checks import check_name
from ee_jax.config import Exits, Experiment, Pairs, SelfGenerated, Text
from ee_jax.exits.confidence import traits
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import add_exits, shapes_of
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Parameters, Transformer, parameters
from ee_jax.results import Calibrated, Point
from ee_jax.tasks.calibrator import Setting, settings

Key = tuple[str, str]  # confidence and policy
Found = TypeVar("Found", Calibrated, Point)

# The splits of a run, and what they are called in a data set of texts.
SPLITS = {"train": "train", "calibration": "validation", "test": "test"}


class Weights(NamedTuple):
    """A model before it has exits."""

    config: Architecture
    values: Parameters


def weights_of(experiment: Experiment) -> str:
    """What the config names, or that they are random."""
    return getattr(experiment.model, "weights", "random")


def random_weights(config: Architecture, seed: int) -> Weights:
    """Weights that have learned nothing."""
    rngs, design = nnx.Rngs(seed), LanguageDesign((config.blocks,))
    made = LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs)
    return Weights(config, parameters(made))


def design_of(experiment: Experiment, blocks: int) -> LanguageDesign:
    """The exits of a model of so many blocks."""
    exits, learned = experiment.exits, experiment.learned is not None
    head = exits.token_head, exits.token_head_width
    return LanguageDesign(exits.resolve(blocks), *head, learned)


def make_language_model(
    experiment: Experiment, weights: Weights
) -> tuple[LanguageModel, Parameters]:
    """The model with its exits as shapes only, and its parameters before training."""
    design = design_of(experiment, weights.config.blocks)
    shapes = shapes_of(weights.config, design)
    return shapes, add_exits(weights.config, weights.values, design)


def check_exits(experiment: Experiment) -> None:
    """Raises the one-line error of what exits after each token do not have."""
    exits, plain = experiment.exits, Exits()
    for name in ("head", "pooling"):
        same = getattr(exits, name) == getattr(plain, name)
        check_field(same, f"exits.{name}", "is of classifiers: leave it out")
    for name in experiment.confidences:
        many = f"`{name}` counts every token of the vocabulary: leave it out"
        check_field(not traits(name).counts_classes, "exits.confidence", many)
    check_field(not exits.learned.shared, "exits.learned.shared", "is of classifiers")
    check_field(
        experiment.calibration.record is None, "calibration.record", "is of classifiers"
    )
    for policy in experiment.evaluation.policies:
        check_name(policy, POLICIES, "evaluation.policies")


def keys_of(experiment: Experiment) -> list[Key]:
    """Each confidence with each policy."""
    policies = experiment.evaluation.policies
    return [
        (confidence, policy) for confidence in experiment.confidences for policy in policies
    ]


def exiting_of(experiment: Experiment, confidence: str) -> Exiting:
    """When tokens stop by a confidence; thresholds decay over the tokens of a longest text."""
    exits, data = experiment.exits, experiment.data
    assert isinstance(data, Text | SelfGenerated | Pairs)
    length = data.target_length if isinstance(data, Pairs) else data.length
    return Exiting(confidence, exits.stopping, exits.decay, exits.decay_tau, length)


def method_of(experiment: Experiment, key: Key) -> EarlyExitDecoding:
    """How tokens stop early while decoding, by a confidence and a policy."""
    confidence, policy = key
    return EarlyExitDecoding(exiting_of(experiment, confidence).rule_at, policy)


def of_key(found: Sequence[Found], key: Key) -> list[Found]:
    """What was chosen, or measured, for a confidence and a policy."""
    return [each for each in found if (each.confidence, each.policy) == key]


def settings_of(
    experiment: Experiment, chosen: Sequence[Calibrated]
) -> list[tuple[Key, Setting]]:
    """Each threshold of the config, and 1 where calibration fell back to it."""
    thresholds = experiment.evaluation.thresholds
    return [
        (key, setting)
        for key in keys_of(experiment)
        for setting in settings(thresholds, of_key(chosen, key))
    ]


def on_test(choice: Calibrated, points: Sequence[Point], risks: Sequence[float]) -> Calibrated:
    """The choice with its risk and depth on the test split.

    Args:
      choice: of a calibration.
      points: of the test split, one of which the choice labels.
      risks: of each point.
    """
    key = str(choice.confidence), str(choice.policy)
    point, risk = next(
        (point, risk)
        for point, risk in zip(points, risks, strict=True)
        if (point.confidence, point.policy) == key and choice.label in point.calibrated_for
    )
    return replace(choice, test_risk=risk, test_mean_depth=point.mean_depth)
