"""Experiments of generated values, and overrides: refused in one line, or fit to be run."""

import dataclasses
import json
import math
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax import config
from ee_jax.config import (
    Data,
    Decoding,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    OptimizerConfig,
    Pairs,
    Scratch,
    SelfGenerated,
    Speculation,
    Strategy,
    Text,
    TwoStage,
    config_hash,
    to_dict,
)
from ee_jax.config.load import override
from ee_jax.errors import UserError
from tests.generated import EXAMPLES, outcome

DATA, MODELS = (Data, Text, Pairs, SelfGenerated), (config.Model, Scratch)
STRATEGIES = [
    cls for name in config.__all__ if isinstance(cls := getattr(config, name), type)
    and issubclass(cls, Strategy) and cls is not Strategy
]  # fmt: skip
PARTS = [
    Experiment, *DATA, *MODELS, Exits, Learned, config.Calibration, Evaluation, Decoding,
    Speculation, OptimizerConfig, *STRATEGIES,
]  # fmt: skip
NEEDED = {
    Experiment: {"name": "x"}, Text: {"name": "x"}, Pairs: {"name": "x"},
    Speculation: {"depths": (1,)},
}  # fmt: skip
# Counts: what loops run to, or an array is as long as.
COUNTS = {
    "rounds", "batches", "batch", "rows", "patience", "min_depth", "prompts", "prompt",
    "tokens",
    "depths", "drafted", "interval", "stride", "length", "lengths", "source_length",
    "target_length", "layers", "train", "test",
    "vocabulary", "width", "blocks", "decoder_blocks", "heads", "kv_heads", "hidden", "epochs",
}  # fmt: skip
SMALLEST = ("temperature", "tolerance", "learning_rate", "head_learning_rate", "clip", "epochs")

NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 2**31 - 1, 2**31, 2**32, 2**63, 10**30, -(10**30), 10**400, True, False,
     0.0, -0.0, 0.5, 1.0, -1.0, 1e-300, 1e-40, 1e39, 1e300, math.inf, -math.inf, math.nan]
)  # fmt: skip
WORDS = st.text(max_size=8) | st.sampled_from(
    ["", "a\x1b[2J", "a\0b", "a\nb", "../x", "\ud800", "x" * 5000, "max_prob", "linear", "ltt",
     "uniform", "propagate", "accuracy", "glue/sst2", "text/x", "\u202e", "-", "a.b:c"]
)  # fmt: skip


def nested(depth):
    found: list = []
    for _ in range(depth):
        found = [found]
    return found


# What cannot be printed, and so stands here by its name.
ODD = {"a number of 5,000 digits": 10**5000, "lists nested deep": nested(100_000)}
PLAIN = st.none() | NUMBERS | WORDS | st.integers(-3, 40) | st.floats()
VALUES = (
    PLAIN
    | st.lists(PLAIN, max_size=3).map(tuple)
    | st.lists(NUMBERS | st.integers(1, 9), min_size=1, max_size=3).map(tuple)
    | st.lists(WORDS, max_size=2).map(tuple)
    | st.lists(PLAIN, max_size=2)
    | st.sampled_from([nested(3), (1,) * 1000, {"a": 1}, {1, 2}, b"x", object(), int])
    | st.sampled_from(sorted(ODD))
    | st.sampled_from([Joint(), OptimizerConfig(), Data(), Exits()])
)
FIELDS = st.sampled_from([(part, f.name) for part in PARTS for f in dataclasses.fields(part)])


def experiment_of(part):
    """An experiment with this part in it."""
    where = {
        Exits: "exits", config.Calibration: "calibration", Evaluation: "evaluation",
    }  # fmt: skip
    match part:
        case Experiment():
            return part
        case Learned():
            return Experiment("x", exits=Exits(learned=part))
        case Decoding():
            return Experiment("x", evaluation=Evaluation(decoding=part))
        case Speculation():
            return Experiment("x", evaluation=Evaluation(speculation=part))
        case OptimizerConfig():
            return Experiment("x", strategies=(Joint(fit=part), TwoStage(first=part)))
        case Strategy():
            return Experiment("x", strategies=(part,))
        case _ if isinstance(part, DATA):
            return Experiment("x", data=part)
        case _ if isinstance(part, MODELS):
            return Experiment("x", model=part)
    return Experiment("x", **{where[type(part)]: part})


def leaves(value):
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


def made(part, name, value):
    return experiment_of(part(**{**NEEDED.get(part, {}), name: value}))


@EXAMPLES
def test_values(examples):
    @settings(max_examples=examples)
    @example((Exits, "patience"), "a number of 5,000 digits")
    @example((Evaluation, "batches"), (2**31,))
    @example((Evaluation, "rounds"), True)
    @example((Data, "name"), "a\0b")
    @example((Data, "lengths"), (1,) * 1000)
    @example((Exits, "layers"), (2**40,))
    @example((config.Calibration, "tolerances"), (2.0,) * 1000)
    @example((OptimizerConfig, "learning_rate"), 1e-300)
    @example((OptimizerConfig, "epochs"), 1e30)
    @example((config.EELLM, "first"), (math.inf,))
    @example((Joint, "weights"), (math.nan,))
    @example((Joint, "stride"), 2**62)
    @example((Joint, "name"), "a\nb")
    @example((Joint, "name"), "x" * 5000)
    @example((Experiment, "name"), "x" * 5000)
    @example((Evaluation, "thresholds"), (1,))  # the same experiment as with 1.0
    @example((Evaluation, "thresholds"), (-0.0,))
    @example((Exits, "layers"), "lists nested deep")
    @given(FIELDS, VALUES)
    def body(field, value):
        part, name = field
        value = ODD.get(value, value) if isinstance(value, str) else value
        found = outcome(made, part, name, value)
        if isinstance(found, UserError):
            assert str(found).startswith("config field `")
            assert name in str(found).split("`")[1] or isinstance(value, tuple | str)
            return
        check_can_be_run(found, name)

    body()


def check_can_be_run(experiment, name):
    """Its numbers can be computed with, and equal experiments have one hash."""
    plain = to_dict(experiment)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    for each in leaves(plain):
        if isinstance(each, float):
            assert abs(each) < 2.0**128
        elif isinstance(each, int):
            assert abs(each) < 2**63
        elif isinstance(each, str):
            assert (
                each.isprintable() or "\u202e" in each or not set(each) & {"\0", "\n", "\x1b"}
            )
    same = dataclasses.replace(experiment)
    as_floats = dataclasses.replace(
        experiment.evaluation, thresholds=(*map(float, experiment.evaluation.thresholds),)
    )
    again = dataclasses.replace(experiment, evaluation=as_floats)
    assert config_hash(experiment) == config_hash(same)
    assert (again == experiment) is (config_hash(again) == config_hash(experiment)) is True
    for part in (experiment.data, experiment.model, experiment.exits, experiment.evaluation,
                 *experiment.strategies, *strategies_fits(experiment)):  # fmt: skip
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            each = value if isinstance(value, tuple) else (value,)
            if field.name in COUNTS and not isinstance(value, str):  # `prompts` may be a file
                assert all(n is None or 0 <= n < 2**31 for n in each)
            if field.name in SMALLEST and isinstance(value, int | float):
                assert value >= 2.0**-126


def strategies_fits(experiment):
    fits = [getattr(strategy, "fit", None) for strategy in experiment.strategies]
    return [fit for fit in fits if fit is not None]


BASE = Experiment(
    "x", exits=Exits(learned=Learned(fit=OptimizerConfig())),
    strategies=(Joint(), TwoStage()), evaluation=Evaluation(speculation=Speculation((1,))),
)  # fmt: skip


def paths(part, prefix="--"):
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        parts = value if field.name == "strategies" else (value,)
        for number, each in enumerate(parts):
            path = f"{prefix}{field.name}"
            path += f".{number}" if field.name == "strategies" else ""
            yield path
            if dataclasses.is_dataclass(each):
                yield from paths(each, f"{path}.")


@st.composite
def near(draw):
    """The name of a field, or one with letters lost, put in or turned round."""
    name = list(draw(st.sampled_from(sorted(paths(BASE)))))
    if draw(st.booleans()):
        return "".join(name)
    at = draw(st.integers(0, len(name) - 1))
    match draw(st.sampled_from(["lose", "put", "turn", "cut", "upper"])):
        case "lose":
            del name[at]
        case "put":
            name.insert(at, draw(st.characters()))
        case "turn":
            random.Random(at).shuffle(name)
        case "cut":
            name = name[:at]
        case "upper":
            name[at] = name[at].upper()
    return "".join(name)


VALUE = (
    st.sampled_from(
        ["", "1", "-1", "0.5", "nan", "inf", "1e999", "1" * 5000, "True", "None", "none", "()",
         "[1, 2]", "'a'", '"', "'", "=", "a=b", "--", "-", "-x", "\0", "\x1b[2J", "\n", "│",
         "─" * 9,
         "max_prob", "ltt", "x" * 10_000, "\u0661", "1_0", "0x10", " 1", "--seed", "-h1", "{}"]
    )
    | st.text(max_size=6)
    | st.integers(-3, 40).map(str)
)  # fmt: skip
WORD = near() | VALUE | st.tuples(near(), VALUE).map("=".join)
# What prints help or a shell's completion is no override.
HELP = ("-h", "--help", "--tyro")


@EXAMPLES
def test_overrides(examples):
    @settings(max_examples=examples)
    @example(["--seed", "1" * 5000])
    @example(["--data.name", "a\0b"])
    @example(["--evaluation.batches", str(2**31)])
    @example(["--strategies.0.name", "a\nb"])
    @example(["x" * 10_000])
    @example(["--tyro-print-completion", "bash"])
    @given(st.lists(WORD, min_size=1, max_size=4))
    def body(words):
        if any(word in ("-h", "--help") for word in words):
            return
        found = outcome(override, BASE, words)
        if not isinstance(found, UserError):
            check_can_be_run(found, "")

    body()
