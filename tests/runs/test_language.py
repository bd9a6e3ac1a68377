"""Language models' experiments, end to end on a folder of text."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ee_jax.calibration.sequences import SequenceTrace, load_trace
from ee_jax.cli import main
from ee_jax.config import (
    Calibration,
    Data,
    Decoding,
    DistillTrained,
    Evaluation,
    Exits,
    Experiment,
    LayerSkip,
    Model,
    OptimizerConfig,
    Scratch,
    SelfGenerated,
    Single,
    Speculation,
    Text,
    Truncated,
)
from ee_jax.config.load import load
from ee_jax.data.batches import evaluation_batches
from ee_jax.data.bpe import encode_documents
from ee_jax.data.text import load_tokenizer, pack
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.perplexity import EarlyExitPass
from ee_jax.inference.rules import Exiting
from ee_jax.models.addon import read_language
from ee_jax.models.export import import_language
from ee_jax.models.transformer import parameters
from ee_jax.results import read_results, to_json
from ee_jax.runs.run import check, run
from tests.runs.golden_numbers import check_as_before

# 24 rows of 17 tokens at most, in 3 batches.
PARAGRAPH = "to be or not to be , that is the question , and so it goes on and on .\n"
FIT = OptimizerConfig(epochs=1.0, batch=8, learning_rate=6e-2, head_learning_rate=6e-2)


class Stopping(Display):
    """Notes where each bar begins, and stops a run at a step of the bar with this label."""

    def __init__(self, label: str = "", step: int = 0):
        super().__init__(quiet=True)
        self._label, self._step = label, step
        self.begins: dict[str, int] = {}

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0):
        count = self.begins[label] = done

        def tick(note: str = "") -> None:
            nonlocal count
            count += 1
            if (label, count) == (self._label, self._step):
                raise KeyboardInterrupt

        yield tick


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    folder = tmp_path_factory.mktemp("text")
    (folder / "train.txt").write_text(PARAGRAPH * 80 + "\n" + PARAGRAPH * 80)
    for split in ("valid", "test"):  # so that calibration and test can be compared
        (folder / f"{split}.txt").write_text(PARAGRAPH * 8)
    return Experiment(
        "tiny",
        task="language_modeling",
        data=Text("text/tiny", str(folder / "data"), str(folder), length=16),
        model=Scratch(vocabulary=270, width=8, blocks=2, heads=2, kv_heads=1, hidden=16),
        strategies=(LayerSkip(p_max=0.5, ramp="exponential", interval=2, fit=FIT),),
        calibration=Calibration((0.05, 1.0), ("ltt",), levels=(0.05, 1.0), rows=8),
        evaluation=Evaluation(
            thresholds=(0.01, 0.2, 1.0), policies=("copy",), batch=4, rows=8,
            batches=(1,), rounds=1, decoding=Decoding(prompts=1, prompt=4, tokens=4),
            speculation=Speculation((1,), (2,)),
        ),
        checkpoint_seconds=0.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(experiment, folder)
    return folder


def test_the_numbers_are_as_before(finished):
    check_as_before("language", finished, read_results(finished))


def test_what_a_run_finds_and_writes(finished):
    found = read_results(finished).strategies["layerskip"]
    early, _, full = found.points
    assert full.quality == pytest.approx(found.full_quality, rel=1e-4)
    assert (full.metrics["agreement"], full.mean_depth, full.ideal_speedup) == (1.0, 2.0, 1.0)
    # A block of a token that sees 8.5 tokens on average: 256 for queries and output, 128 for
    # keys and values, 32 for each token seen, 768 for the MLP; 4,320 for 270 logits.
    static = 2 * 1424 + 4320
    assert full.flops_speedup == pytest.approx(static / (static + 4320))
    assert full.flops_speedup < early.flops_speedup <= static / (1424 + 4320) + 1e-9
    assert early.mean_depth == pytest.approx(1.0, abs=0.2)  # 270 tokens: 0.01 is little
    assert sum(early.exit_counts) == found.examples == 8 * 16
    assert [entry.depth for entry in found.exits] == [1, 2]
    assert found.speculation[0].same_tokens is True
    assert all((point.measured_speedup[1] or 0) > 0 for point in found.points)
    page = (finished / "report.html").read_text()
    assert "Self-speculation" in page
    assert "layerskip" in (finished / "table.md").read_text()
    assert (finished / "layerskip" / "model" / "tokenizer.json").is_file()


def calibration_of(folder: Path) -> SequenceTrace:
    trace = load_trace(folder / "layerskip" / "traces" / "calibration_max_prob_copy.npz")
    assert isinstance(trace, SequenceTrace)
    return trace


def test_the_trace_of_calibration_is_each_row_on_its_own(finished):
    """A row at a time, counted by hand, and on average what the same text gives as a test."""
    trace, model = calibration_of(finished), import_language(finished / "layerskip" / "model")
    early = EarlyExitPass(model, Exiting("max_prob"), "copy")
    tokenizer = load_tokenizer(finished / "layerskip" / "model")
    rows = pack(encode_documents(tokenizer, [PARAGRAPH * 8]), 17)[:8]
    assert trace.threshold_K.tolist() == [1.0, 0.2, 0.01]
    assert trace.loss_NK[:, 1:].any()
    for row, loss_K, depth_K in zip(rows, trace.loss_NK, trace.depth_NK, strict=True):
        alone = list(evaluation_batches([row], np.zeros(1, np.int32), lengths=(17,), batch=4))
        full, *others = (early(parameters(model), t, alone) for t in trace.threshold_K)
        assert (loss_K[0], depth_K[0]) == (0, 2)
        for found, loss, depth in zip(others, loss_K[1:], depth_K[1:], strict=True):
            pairs = zip(full.prediction_N, found.prediction_N, strict=True)
            assert loss == sum(one != other for one, other in pairs) / 16
            assert depth == sum(1 + int(exit) for exit in found.exit_N) / 16
    results = read_results(finished)
    for k, point in enumerate(reversed(results.strategies["layerskip"].points)):
        assert trace.loss_NK[:, k].mean() == pytest.approx(point.inconsistency)
        assert trace.depth_NK[:, k].mean() == pytest.approx(point.mean_depth)


def test_thresholds_of_a_run_with_what_they_promise(finished):
    """On 8 rows 5 % cannot be certified, and 100 % is at every threshold."""
    found = read_results(finished).strategies["layerskip"]
    chosen = {choice.label: choice for choice in found.calibrated}
    strict, lax = chosen["ltt 5 %"], chosen["ltt 100 %"]
    assert (strict.threshold, strict.certified_risk, strict.test_risk) == (1, 0, 0)
    assert strict.warning.endswith("on 8 examples, 59 would do: using the full model")
    assert (lax.threshold, lax.certified_risk, lax.full_model) == (0.01, 1, False)
    assert lax.test_mean_depth == found.points[0].mean_depth
    assert lax.test_risk == found.points[0].inconsistency
    assert chosen["empirical 100 %"].certified_risk is None
    labels = [label for point in found.points for label in point.calibrated_for]
    assert {*labels} == {*chosen}
    assert "| 0.01      | empirical 100 %, ltt 100 % " in (finished / "table.md").read_text()
    assert "ltt 100 % promises" in (finished / "report.html").read_text()


def test_the_command_calibrates_a_runs_trace_as_the_run_did(finished, tmp_path, capsys):
    trace = finished / "layerskip" / "traces" / "calibration_max_prob_copy.npz"
    main(["calibrate", str(trace), "--level", "1", "--output", str(tmp_path), "--json"])
    record = json.loads(capsys.readouterr().out)
    results = read_results(finished)
    chosen = results.strategies["layerskip"].calibrated
    # A trace of sequences knows neither its confidence nor the test split.
    unknown = dict.fromkeys(("confidence", "policy", "test_risk", "test_mean_depth"))
    assert record["choice"] == to_json(replace(chosen[-1], **unknown))
    assert (record["header"]["policy"], record["full_depth"]) == ("copy", 2.0)


def test_compare_takes_the_runs_of_language_models(finished, capsys):
    main(["compare", str(finished), str(finished), "--tolerance", "9", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["run"], row["strategy"]) for row in rows] == [("tiny", "layerskip")] * 2
    assert rows[0]["mean_depth_b1"] is None or rows[0]["mean_depth_b1"] < 2
    assert rows[0]["speculation_speedup"] > 0


def test_a_run_stopped_in_training_ends_with_the_same_bits(experiment, finished, tmp_path):
    label = "layerskip: layerskip"
    # A threshold of 1 is judged all the same, where calibration falls back to it.
    evaluation, no_clock = experiment.evaluation, {"decoding": None, "speculation": None}
    fewer = replace(evaluation, thresholds=(0.01, 0.2), rows=4, **no_clock)
    cheap = replace(experiment, evaluation=fewer)
    displays = Stopping(label, 2), Stopping()
    with pytest.raises(KeyboardInterrupt):
        run(cheap, tmp_path / "run", displays[0])
    results = run(cheap, tmp_path / "run", displays[1])
    assert [display.begins[label] for display in displays] == [0, 2]
    for name in ("metrics.jsonl", "model/model.safetensors"):
        one, other = (folder / "layerskip" / name for folder in (finished, tmp_path / "run"))
        assert one.read_bytes() == other.read_bytes()
    one, other = (calibration_of(folder).columns() for folder in (finished, tmp_path / "run"))
    for name, column in one.items():
        np.testing.assert_array_equal(column, other[name])
    *_, full = results.strategies["layerskip"].points
    assert (full.threshold, full.mean_depth) == (1.0, 2.0)
    assert "ltt 5 %" in full.calibrated_for


def test_exits_are_added_to_a_trained_model_on_its_own_text(experiment, finished, tmp_path):
    trained = finished / "layerskip" / "model"
    added = replace(
        experiment,
        data=SelfGenerated(train=8, calibration=4, test=4, length=8, batch=4),
        model=Model(str(trained), dropout=0.0),
        exits=Exits(token_head="norm"),
        strategies=(DistillTrained("distill", fit=FIT),),
        evaluation=Evaluation(thresholds=(1.0,), batch=4, decoding=None),
    )
    results = run(added, tmp_path / "run")
    tokens = {"train": 8 * 9, "calibration": 4 * 9, "test": 4 * 9}
    assert results.data["tokens"] == tokens
    assert len({*results.data["checksum"].values()}) == 3  # no split has another's rows
    kept = tmp_path / "run" / "distill" / "model" / "tokenizer.json"
    assert kept.read_bytes() == (trained / "tokenizer.json").read_bytes()
    assert not (kept.parent / "model.safetensors").exists()
    before = parameters(import_language(trained))
    after = parameters(read_language(kept.parent))
    assert {*after} - {*before} == {"heads.0.out_norm.scale"}
    for path, value in before.items():
        assert np.asarray(value).tobytes() == np.asarray(after[path]).tobytes()
    final = before["backbone.final_norm.scale"]
    assert not np.array_equal(after["heads.0.out_norm.scale"], final)


def test_a_config_file_may_give_a_language_experiment(experiment, tmp_path):
    path = tmp_path / "config.py"
    lines = "from ee_jax.config import *", f"def get_config():\n    return {experiment!r}\n"
    path.write_text("\n".join(lines))
    changed = load(path, ["--data.length", "8", "--model.blocks", "3"])
    assert isinstance(changed.data, Text)
    assert (changed.data.length, changed.model) == (8, replace(experiment.model, blocks=3))


def speculating(depths, prompt=4) -> Evaluation:
    decoding = Decoding(prompts=1, prompt=prompt, tokens=4)
    return Evaluation(batches=(1,), decoding=decoding, speculation=Speculation(depths))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exits": Exits(layers=(1, 3))}, "must end at the backbone's last block, 2"),
        ({"strategies": (DistillTrained(),)}, "set exits.token_head"),
        ({"model": Model("nothing")}, "no weights in 'nothing'"),
        ({"evaluation": speculating((2,))}, "the exit after all 2 blocks cannot draft"),
        ({"evaluation": speculating((1,), prompt=64)}, "needs 68 tokens for a prompt"),
        ({"evaluation": Evaluation(batch=10**9)}, "a batch of 1000000000 rows of 16"),
        ({"data": Text("text/other", manual_dir="nowhere")}, "no folder nowhere"),
        ({"data": SelfGenerated()}, "needs a model that has been trained"),
        ({"data": Data()}, r"`data` must be Text or SelfGenerated for language_modeling"),
        ({"exits": Exits(head="mlp")}, r"`exits\.head` is of classifiers"),
        ({"exits": Exits(min_depth=3)}, r"`exits\.min_depth` must be at most"),
        ({"task": "languag_modeling"}, "did you mean `language_modeling`"),
    ],
)
def test_bad_input_is_found_before_any_work(experiment, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        run(replace(experiment, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_trained_model_must_know_its_tokenizers_ids(experiment, finished, tmp_path):
    """And what it writes must fit its context, of 16 tokens here."""
    trained = shutil.copytree(finished / "layerskip" / "model", tmp_path / "model")
    model = Model(str(trained))
    long = replace(experiment, data=SelfGenerated(length=16), model=model)
    with pytest.raises(UserError, match=r"`data\.length` is 16, .* at most 15 tokens"):
        run(long, tmp_path / "run")
    tokenizer = load_tokenizer(trained)
    tokenizer.add_tokens(["more"])
    tokenizer.save(str(trained / "tokenizer.json"))
    with pytest.raises(UserError, match="has ids up to 270, but the weights beside it embed"):
        run(replace(experiment, model=model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_test_split_with_too_few_prompts_is_found_before_training(experiment, tmp_path):
    decoding = Decoding(prompts=500, prompt=4, tokens=4)
    asked = Evaluation(batches=(1, 500), decoding=decoding)
    asking = replace(experiment, evaluation=asked)
    for _ in range(2):  # the folder is left empty, for this config or for the mended one
        with pytest.raises(UserError, match="500 prompts at a time, but the test split has"):
            run(asking, tmp_path / "run")
        assert [*(tmp_path / "run").iterdir()] == []


def test_a_split_that_cannot_calibrate_is_found_before_training(experiment, tmp_path):
    asking = replace(experiment, data=replace(experiment.data, length=400))
    with pytest.raises(UserError, match="calibration split has no row of 400 tokens"):
        run(asking, tmp_path / "run")
    assert not (tmp_path / "run" / "layerskip").exists()


def test_bad_fields():
    for seed in (-1, 2**32):
        with pytest.raises(UserError, match="`seed` must be from 0 to"):
            Experiment("x", seed=seed)
    with pytest.raises(UserError, match=r"`model\.kv_heads` must divide"):
        Scratch(heads=6, kv_heads=4)
    with pytest.raises(UserError, match=r"`layerskip\.p_max` must be in"):
        LayerSkip(p_max=1.0)
    with pytest.raises(UserError, match=r"`calibration\.delta` must be in \(0, 1\)"):
        Calibration(delta=0.0)


@pytest.mark.parametrize("strategy", [Single(), Truncated()])
def test_models_without_exits_are_a_classifiers(experiment, strategy, tmp_path):
    wrong = replace(experiment, strategies=(strategy,))
    with pytest.raises(UserError, match=f"`{strategy.name}` trains a model without exits"):
        check(wrong, tmp_path / "none")
