"""What an encoder-decoder's run works on: weights and pairs, and what is wrong with them."""

from dataclasses import replace

from ee_jax.checks import check as check_field
from ee_jax.config import Experiment, Model, Pairs, ScratchT5
from ee_jax.data.pairs import Pair, read_pairs
from ee_jax.errors import UserError
from ee_jax.evaluation.text_quality import TEXT_METRICS, TextMetric, find_metrics
from ee_jax.models.architecture import Architecture
from ee_jax.models.families.t5 import t5
from ee_jax.models.language_source import LanguageSource, find_language
from ee_jax.tasks.seq2seq.quality import RISKS
from ee_jax.tasks.token_exits import SPLITS, Weights, check_exits, random_weights

METRICS = ("bleu", "chrf")  # where the config names none; the first is the quality


def data_of(experiment: Experiment) -> Pairs:
    """The pairs of the experiment; a UserError where it has other data."""
    if not isinstance(data := experiment.data, Pairs):
        raise UserError(f"config field `data` must be Pairs for seq2seq, not {data!r}")
    return data


def metrics_of(experiment: Experiment) -> tuple[str, ...]:
    """What texts are judged by, the quality first."""
    return experiment.evaluation.metrics or METRICS


def quality_of(experiment: Experiment) -> TextMetric:
    """The first of them, by which texts are compared one by one."""
    return TEXT_METRICS[metrics_of(experiment)[0]]


def source_of(experiment: Experiment) -> LanguageSource | None:
    """The trained model of the experiment; None of one from random weights.

    Raises:
      UserError: there is none, or the config has another kind of model.
    """
    model = experiment.model
    if isinstance(model, ScratchT5):
        return None
    if not isinstance(model, Model):
        raise UserError(f"config field `model` must be Model or ScratchT5, not {model!r}")
    return find_language(model.weights)


def check(experiment: Experiment) -> Weights:
    """The weights before training, once nothing is wrong with the config and with them.

    Raises:
      UserError: something is, before any long work.
    """
    data = data_of(experiment)
    check_exits(experiment)
    check_field(
        experiment.calibration.risk in RISKS,
        "calibration.risk",
        f"of texts is {' or '.join(RISKS)}, not {experiment.calibration.risk}",
    )
    for name in metrics_of(experiment):
        what = f"must name metrics of texts, {', '.join(TEXT_METRICS)}, not {name}"
        check_field(name in TEXT_METRICS, "evaluation.metrics", what)
    find_metrics(metrics_of(experiment))
    weights = _weights(experiment)
    check_lengths(data, weights.config)
    check_clock(experiment)
    return weights


def _weights(experiment: Experiment) -> Weights:
    """The weights before training; a UserError of a model without an encoder."""
    source = source_of(experiment)
    if source is None:
        assert isinstance(experiment.model, ScratchT5)
        return random_weights(from_scratch(experiment.model), experiment.seed)
    weights = Weights(*source.weights())
    if weights.config.encoder is None:
        raise UserError(
            f"{source.path} is a {weights.config.family}, which has no encoder to read a "
            "source: give a T5 or a BART, or train it with the task language_modeling"
        )
    source.tokenizer(weights.config.vocabulary)
    return weights


def from_scratch(model: ScratchT5) -> Architecture:
    """A T5 of version 1.1 of the sizes asked for."""
    size = model.width // model.heads
    sizes = model.width, model.blocks, model.heads, size, model.hidden, model.decoder_blocks
    config = t5(model.vocabulary, *sizes)
    assert config.encoder is not None
    later = {"mlp": "gated", "activation": "gelu_tanh"}
    later |= {"tied_output": False, "output_scale": 1.0}
    return replace(config, encoder=replace(config.encoder, **later), **later)


def check_lengths(data: Pairs, config: Architecture) -> None:
    """Raises the UserError of texts that the model has no positions for."""
    assert config.encoder is not None
    if config.positions == "none":  # distances have no end
        return
    most = {"source": config.encoder.max_length, "target": config.max_length - 1}
    for side, longest in most.items():
        asked = getattr(data, f"{side}_length")
        if asked > longest:
            raise UserError(
                f"config field `data.{side}_length` is {asked}, but the model has positions "
                f"for {longest} tokens"
            )


def check_clock(experiment: Experiment) -> None:
    """Raises the UserError of what cannot be timed."""
    evaluation = experiment.evaluation
    none = evaluation.speculation is None
    check_field(none, "evaluation.speculation", "is of language_modeling: leave it out")
    most, decoding = max(evaluation.batches), evaluation.decoding
    if decoding and decoding.prompts < most:
        raise UserError(
            f"config field `evaluation.decoding.prompts` must fill a batch of {most}, and are "
            f"{decoding.prompts}"
        )


def pairs_of(experiment: Experiment) -> dict[str, list[Pair]]:
    """The pairs of each split that are learned from or judged, as a run calls the splits."""
    data = data_of(experiment)
    found = read_pairs(data.name, data.source, data.target)
    most = {"calibration": experiment.calibration.rows, "test": experiment.evaluation.rows}
    return {split: found[kept][: most.get(split)] for split, kept in SPLITS.items()}
