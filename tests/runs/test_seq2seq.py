"""Encoder-decoders' experiments, end to end on pairs whose answer can be learned."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import ee_jax
from ee_jax.calibration.decay import DECAYS
from ee_jax.calibration.sequences import SequenceTrace, load_trace
from ee_jax.cli import main
from ee_jax.config import (
    Calibration,
    Decoding,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Model,
    OptimizerConfig,
    Pairs,
    ScratchT5,
    Speculation,
    Text,
)
from ee_jax.data.pairs import Pair
from ee_jax.display import SILENT
from ee_jax.errors import UserError
from ee_jax.inference.rules import Exiting
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.models.addon import read_language
from ee_jax.models.families.bart import bart
from ee_jax.results import read_results
from ee_jax.run_folder import RunFolder
from ee_jax.runs.run import check, run
from ee_jax.tasks.seq2seq.inputs import check_lengths
from ee_jax.tasks.seq2seq.rows import make_rows
from ee_jax.tasks.token_exits import exiting_of
from ee_jax.tokens import Tokens

WORDS = ("cat", "dog", "sat", "ran", "red", "big", "sun", "sea")
FIT = OptimizerConfig(epochs=60.0, batch=16, learning_rate=5e-3, head_learning_rate=5e-3)


def write_pairs(folder: Path, count: int = 240, seed: int = 0) -> Path:
    """Sources of two to five words, and targets of the same words in capitals."""
    draw = np.random.default_rng(seed)
    sources = [" ".join(draw.choice(WORDS, draw.integers(2, 6))) for _ in range(count)]
    for split, part in (
        ("train", slice(0, 160)),
        ("val", slice(160, 200)),
        ("test", slice(200, None)),
    ):
        (folder / f"src-{split}.txt").write_text("\n".join(sources[part]) + "\n")
        targets = [source.upper() for source in sources[part]]
        (folder / f"tgt-{split}.txt").write_text("\n".join(targets) + "\n")
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    folder = write_pairs(tmp_path_factory.mktemp("pairs"))
    return Experiment(
        "shout",
        task="seq2seq",
        data=Pairs(str(folder), source_length=16, target_length=24, lengths=(16,)),
        model=ScratchT5(300, 32, blocks=1, decoder_blocks=2, heads=2, hidden=64, dropout=0.0),
        strategies=(Joint(fit=FIT),),
        calibration=Calibration((0.05,), ("ltt",), levels=(0.3,)),
        evaluation=Evaluation(
            thresholds=(0.2, 0.9, 1.0), batch=40, batches=(1,), rounds=1,
            decoding=Decoding(prompts=2), policies=("copy",),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(experiment, folder)
    return folder


def test_what_a_run_finds(finished, experiment):
    results = read_results(finished)
    assert results.metrics == ("bleu", "chrf")
    found = results.strategies["joint"]
    last = found.exits[-1]
    assert last.metrics["bleu"] == found.full_quality
    assert found.full_quality is not None
    assert found.full_quality > 0.5  # it learned to write capitals
    assert found.examples == 40
    (whole,) = [point for point in found.points if point.threshold == 1.0]
    assert whole.metrics == last.metrics
    assert (whole.mean_depth, whole.inconsistency) == (2.0, 0.0)
    assert whole.flops_speedup < 1  # exits that read logits on the way
    (early,) = [point for point in found.points if point.threshold == 0.9]
    assert 1 < early.mean_depth < 2
    assert {*early.measured_speedup} == {1}
    assert sum(early.exit_counts) > 40


def test_traces_are_of_whole_texts(finished, experiment):
    trace = load_trace(finished / "joint" / "traces" / "calibration_max_prob_copy.npz")
    assert isinstance(trace, SequenceTrace)
    assert trace.loss_NK.shape == (40, 3)
    assert (trace.loss_NK[:, 0] == 0).all()
    assert (trace.depth_NK[:, 0] == 2).all()
    chosen = read_results(finished).strategies["joint"].calibrated
    assert {choice.method for choice in chosen} == {"empirical", "ltt"}
    for choice in chosen:
        at = trace.threshold_K.tolist().index(choice.threshold)
        assert choice.calibration_risk == pytest.approx(trace.loss_NK[:, at].mean())
        assert choice.test_risk is not None


def test_a_trained_model_writes(finished):
    model = ee_jax.load(finished)
    sources = ["cat sat", "big dog ran red sun", "sea"]
    full = model.generate(sources, tokens=24)
    assert model.generate(sources, threshold=1.0, tokens=24) == full
    early = model.generate(sources, threshold=0.0, tokens=24)
    assert {depth for text in early for depth in text.depths} == {1}
    alone = [model.generate(source, tokens=24) for source in sources]
    assert alone == full
    assert full[0] == "CAT SAT"


def test_a_pure_function_of_a_trained_model(finished):
    model = ee_jax.load(finished)
    text = model.generate("cat sat", tokens=24)
    ids_1S = jnp.asarray([model.tokenizer.encode("cat sat").ids])
    written_1T = jnp.asarray([[0, *(token.id for token in text.tokens)]])
    source = Tokens(ids_1S, jnp.ones(ids_1S.shape, bool))
    logits_E1TV = model.apply(model.parameters, written_1T, source=source)
    assert logits_E1TV.shape == (2, 1, written_1T.shape[1], 300)
    last = logits_E1TV[-1, 0].argmax(-1).tolist()
    assert last == [*written_1T[0, 1:].tolist(), 0]  # which ends it
    with pytest.raises(UserError, match="writes of a text that its encoder reads: give it"):
        model.apply(model.parameters, written_1T)


def test_a_file_of_sources(finished, tmp_path, capsys):
    file = tmp_path / "sources.txt"
    file.write_text("cat sat\nbig dog\n")
    main(["predict", str(finished), str(file), "--threshold", "0.9"])
    told = capsys.readouterr()
    assert [line.split("\t")[0] for line in told.out.splitlines()] == [
        "text",
        "CAT SAT",
        "BIG DOG",
    ]
    assert "2 texts" in told.err
    main(["predict", str(finished), str(file), "--json"])
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["text"] == "CAT SAT"
    assert first["mean_depth"] == 2.0


def test_an_exported_model_reads_back(finished):
    folder = finished / "joint" / "model"
    config = json.loads((folder / "config.json").read_text())
    assert config["is_encoder_decoder"]
    assert config["decoder_start_token_id"] == 0
    decoder = SourceDecoder(read_language(folder), stops=[0])
    assert decoder.model.backbone.encoder is not None


def test_a_trained_model_is_trained_on(finished, experiment, tmp_path):
    weights = str(finished / "joint" / "model")
    fit = replace(FIT, epochs=0.1, learning_rate=1e-5, head_learning_rate=1e-5)
    again = replace(
        experiment,
        model=Model(weights, dropout=0.0),
        strategies=(Joint(fit=fit),),
        calibration=Calibration(()),
        evaluation=Evaluation(thresholds=(1.0,), batch=40, decoding=None, metrics=("chrf",)),
    )
    (point,) = run(again, tmp_path / "run").strategies["joint"].points
    before = read_results(finished).strategies["joint"].exits[-1].metrics["chrf"]
    assert point.quality == pytest.approx(before, abs=0.05)
    assert ee_jax.load(tmp_path / "run").generate("cat sat", tokens=24) == "CAT SAT"


def test_texts_that_a_model_has_no_positions_for():
    config = bart("bart", 9, 4, (1, 1), (1, 1), (4, 4), max_length=64)
    check_lengths(Pairs("x", source_length=64, target_length=63), config)
    with pytest.raises(UserError, match="source_length` is 65, but the model has"):
        check_lengths(Pairs("x", source_length=65, target_length=63), config)
    with pytest.raises(UserError, match="target_length` is 64, but the model has"):
        check_lengths(Pairs("x", source_length=64, target_length=64), config)


def test_thresholds_decay_as_the_config_says(experiment):
    exits = Exits(decay="calm_paper", decay_tau=2.0)
    found = exiting_of(replace(experiment, exits=exits), "margin")
    assert found == Exiting("margin", decay="calm_paper", tau=2.0, length=24)
    limits_4 = [float(t) for t in DECAYS["calm_paper"](0.5, np.arange(4), 24, 2.0)]
    assert limits_4[0] == pytest.approx(0.55)
    assert limits_4 == sorted(limits_4, reverse=True)


@pytest.fixture
def pair_rows(experiment, tmp_path):
    """Rows of pairs, of buckets of 4 and 8 tokens; a target may have half as many again."""
    folder = RunFolder(tmp_path / "run", experiment)
    folder.claim({}, SILENT)
    data = replace(experiment.data, source_length=8, target_length=12, lengths=(4, 8))

    def rows(train, test):
        pairs = {"train": train, "calibration": test, "test": test}
        return make_rows(data, pairs, ScratchT5(257), folder)  # a token a byte

    return rows


def test_rows_lie_by_bucket_each_with_its_pair(pair_rows):
    pairs = [Pair("a b c d", "x"), Pair("a", "x y"), Pair("a", "1 2 3 4"), Pair("b", "y")]
    rows = pair_rows(pairs, pairs)
    assert [pair.source for pair in rows.pairs["train"]] == ["a", "b", "a b c d", "a"]
    assert [len(row) for row in rows.splits["train"].rows] == [3, 2, 8, 6]
    assert rows.opening == rows.ends == [0]
    for row, pair in zip(rows.splits["test"].rows, rows.pairs["test"], strict=True):
        assert rows.tokenizer.decode(row.source_S.tolist()) == pair.source
        assert rows.tokenizer.decode(row.target_T.tolist()) == pair.target
        assert row.source_S[-1] == row.target_T[0] == row.target_T[-1] == 0


def test_long_training_pairs_are_left_out_and_long_sources_cut(pair_rows):
    short, long = Pair("a b", "x"), Pair("p q r s t u", "x")
    rows = pair_rows([short, long, Pair("c", " ".join("xyzuvwq"))], [long])
    assert rows.pairs["train"] == [short]
    assert rows.record["too_long"] == 2
    (row,) = rows.splits["test"].rows
    assert len(row.source_S) == 8
    assert row.source_S[-1] == 0  # it still ends
    with pytest.raises(UserError, match="no training pair has at most 8 tokens of source"):
        pair_rows([long], [long])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": Text("text/none")}, "config field `data` must be Pairs for seq2seq"),
        ({"exits": Exits(head="mlp")}, "`exits.head` is of classifiers"),
        ({"evaluation": Evaluation(metrics=("accuracy",))}, "must name metrics of texts"),
        ({"calibration": Calibration(risk="signed_gap")}, "of texts is consistency or gap"),
        (
            {"evaluation": Evaluation(speculation=Speculation((1,)))},
            "`evaluation.speculation` is of language_modeling: leave it out",
        ),
        (
            {"evaluation": Evaluation(decoding=Decoding(prompts=8))},
            "`evaluation.decoding.prompts` must fill a batch of 32",
        ),
    ],
)
def test_what_a_config_cannot_ask(experiment, tmp_path, change, said):
    with pytest.raises(UserError) as error:
        check(replace(experiment, **change), tmp_path / "run")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
