"""What a language model's run works on: weights, tokenizer, rows of tokens."""

from dataclasses import replace

from ee_jax.checks import check as check_field
from ee_jax.config import Evaluation, Experiment, Model, Scratch, SelfGenerated, Text
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.prepared import prepare_at
from ee_jax.data.registry import TEXT, root_folder
from ee_jax.data.text_files import builder_of_text_path
from ee_jax.errors import UserError
from ee_jax.inference.generator import draft_exit_at
from ee_jax.inference.memory import check_memory
from ee_jax.models.architecture import Architecture
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import check_alone, find_language
from ee_jax.tasks.token_exits import SPLITS, Weights, check_exits, design_of, random_weights


def data_of(experiment: Experiment) -> Text | SelfGenerated:
    """The text of the experiment; a UserError where it has other data, or none can be had."""
    data = experiment.data
    if not isinstance(data, Text | SelfGenerated):
        mend = "must be Text or SelfGenerated for language_modeling"
        raise UserError(f"config field `data` {mend}, not {data!r}")
    wrote = isinstance(data, SelfGenerated) and isinstance(experiment.model, Scratch)
    check_field(not wrote, "data", "`SelfGenerated` needs a model that has been trained")
    return data


def directory_of(data: Text) -> DatasetDir:
    """Where the documents of `text/NAME`, or of a file or folder of text, are kept."""
    if data.name.startswith(TEXT):
        return DatasetDir.of(data.name, data.folder)
    return DatasetDir(data.name, builder_of_text_path(data.name), root_folder(data.folder))


def check(experiment: Experiment) -> Weights:
    """The weights before training, once nothing is wrong with the config, them and the text.

    A data set of text is prepared here, where it has not been.

    Raises:
      UserError: something is, before any long work.
    """
    model, data = experiment.model, data_of(experiment)
    check_exits(experiment)
    consistent = experiment.calibration.risk == "consistency"
    check_field(consistent, "calibration.risk", "of a language model is consistency")
    if isinstance(model, Scratch):
        weights = random_weights(from_scratch(model, data.length), experiment.seed)
    else:
        source = find_language(model_of(experiment).weights)
        weights = Weights(*source.weights())
        check_alone(weights.config, model_of(experiment).weights)
        if isinstance(data, Text):
            source.tokenizer(weights.config.vocabulary)
    # A text's last token is only predicted, one that a model writes counts as read.
    longest = weights.config.max_length - isinstance(data, SelfGenerated)
    if data.length > longest:
        raise UserError(
            f"config field `data.length` is {data.length}, but for the model it can be at most "
            f"{longest} tokens"
        )
    check_memory(*weights, experiment.evaluation.batch, data.length, tokens=0, spare=0)
    design = design_of(experiment, weights.config.blocks)
    check_decoding(experiment.evaluation, design, data.length)
    if isinstance(data, Text):
        prepare_at(directory_of(data), data.manual_dir)
    return weights


def model_of(experiment: Experiment) -> Model:
    """The trained model of the experiment; a UserError where it has another."""
    model = experiment.model
    if not isinstance(model, Model):
        mend = "must be Model or Scratch for language_modeling"
        raise UserError(f"config field `model` {mend}, not {model!r}")
    return model


def data_in_words(experiment: Experiment) -> str:
    """The documents of a data set of text, or how many rows the model will write."""
    data = data_of(experiment)
    if isinstance(data, SelfGenerated):
        counts, what = {split: getattr(data, split) for split in SPLITS}, "rows to be sampled"
    else:
        splits = directory_of(data).load().splits
        counts, what = {split: splits[kept].rows for split, kept in SPLITS.items()}, "documents"
    rows = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    return (
        f"{getattr(data, 'name', 'self-generated')}: {what}: {rows}; {data.length} tokens a row"
    )


def check_decoding(evaluation: Evaluation, design: LanguageDesign, length: int) -> None:
    """Raises the one-line error of texts to decode that rows of this length cannot begin."""
    speculation, decoding = evaluation.speculation, evaluation.decoding
    for depth in speculation.depths if speculation else ():
        draft_exit_at(design, depth)
    if decoding and (needs := decoding.prompt + decoding.tokens) > length:
        raise UserError(
            f"config field `evaluation.decoding` needs {needs} tokens for a prompt and what "
            f"follows, more than `data.length`, {length}"
        )
    check_field(
        decoding is not None or speculation is None,
        "evaluation.speculation",
        "is timed on the prompts of `evaluation.decoding`, which is None",
    )
    most = max(evaluation.batches)
    if decoding and decoding.prompts < most:
        raise UserError(
            f"config field `evaluation.decoding.prompts` must fill a batch of {most}, and are "
            f"{decoding.prompts}"
        )


def from_scratch(model: Scratch, length: int) -> Architecture:
    """A Llama of the sizes asked for, the output tied to the embedding."""
    config = llama(
        model.vocabulary, model.width, model.blocks, model.heads, model.kv_heads, model.hidden,
        max_length=length,
    )  # fmt: skip
    return replace(config, tied_output=True)
