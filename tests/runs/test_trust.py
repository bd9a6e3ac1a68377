"""What goes wrong with a run's files is noticed, and the mend that is proposed works."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.config import Data, Frozen, Model, OptimizerConfig
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.prepared import prepare_at
from ee_jax.errors import UserError
from ee_jax.manifest import faults
from ee_jax.models.export import read_exits
from ee_jax.results import read_results
from ee_jax.runs.calibrate import Request, calibrate
from ee_jax.runs.run import check, run
from ee_jax.runs.trained import load
from tests.runs.damage import Killed, Killing, flip, largest
from tests.runs.tiny_sentences import Sentences


def message(*arguments) -> str:
    with pytest.raises(UserError) as error:
        run(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_damaged_checkpoint_is_not_trained_on(small, tmp_path):
    """The one before is taken, and the end is that of a run without the damage."""
    whole = run(small, tmp_path / "whole")
    folder = tmp_path / "damaged"
    with pytest.raises(Killed):
        run(small, folder, Killing("joint: trace of calibration"))
    shutil.rmtree(folder / "joint" / "model")
    flip(largest(folder / "joint/checkpoints/6"))
    display = Killing("")
    again = run(small, folder, display)
    assert again.strategies["joint"].exits == whole.strategies["joint"].exits
    said = next(line for line in display.said if "checkpoints/6" in line)
    assert said.endswith("(its SHA-256 differs): going on from checkpoint 5")
    same = "joint/model/model.safetensors"
    assert (tmp_path / "whole" / same).read_bytes() == (folder / same).read_bytes()


def test_when_all_checkpoints_are_damaged_the_mend_works(small, tmp_path):
    with pytest.raises(Killed):
        run(small, tmp_path, Killing("joint: trace of calibration"))
    shutil.rmtree(tmp_path / "joint" / "model")
    for step in ("5", "6"):
        flip(largest(tmp_path / "joint/checkpoints" / step))
    folder = tmp_path / "joint/checkpoints"
    mend = f"delete {folder} to train that strategy again"
    assert message(small, tmp_path).endswith(f"(its SHA-256 differs): {mend}")
    shutil.rmtree(folder)
    assert run(small, tmp_path).strategies.keys() == {"joint"}


def test_a_damaged_model_of_a_run_is_not_judged(small, tmp_path):
    with pytest.raises(Killed):
        run(small, tmp_path, Killing("joint: trace of calibration"))
    model = tmp_path / "joint" / "model"
    flip(model / "model.safetensors")
    assert message(small, tmp_path).endswith(f"delete {model} and run again")
    shutil.rmtree(model)
    run(small, tmp_path)
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["config.json", "exits.json", "model.safetensors", "tokenizer.json"],
)
def test_a_damaged_file_of_an_exported_model(copy, name):
    flip(copy / "joint" / "model" / name)
    with pytest.raises(UserError, match=rf"{name} (is not as it was|cannot be read)"):
        load(copy / "joint")


def test_a_damaged_calibration_is_not_followed(copy):
    flip(copy / "joint" / "calibration.json")
    with pytest.raises(UserError, match=r"calibration\.json is not as it was written"):
        load(copy / "joint")


def test_damaged_results_are_not_compared_and_the_mend_works(experiment, copy):
    flip(copy / "results.json")
    with pytest.raises(UserError, match=r"SHA-256 differs\): delete it and run again"):
        read_results(copy)
    (copy / "results.json").unlink()
    again = run(experiment, copy)
    assert read_results(copy) == again
    assert faults(copy) == []


def test_a_damaged_config_and_its_mend(experiment, copy):
    flip(copy / "config.json")
    mend = f"give another output folder, or delete {copy}"
    assert message(experiment, copy).endswith(mend)


class Others(Sentences):
    """The same data set by name, of which one label is another."""

    name = "sentences"

    def rows(self):
        rows = {split: [*these] for split, these in super().rows().items()}
        text, label = rows["train"][0]
        rows["train"][0] = text, (label + 1) % 3
        return rows


def test_rows_that_changed_between_a_kill_and_the_resume(small, tmp_path):
    with pytest.raises(Killed):
        run(small, tmp_path / "run", Killing("joint: trace of calibration"))
    prepare_at(DatasetDir("sentences", Others, tmp_path / "data"))
    other = replace(small, data=replace(small.data, folder=str(tmp_path / "data")))
    said = message(other, tmp_path / "run")
    assert said.startswith("split train of sentences changed since the run in")
    assert run(small, tmp_path / "run").strategies  # put back, it goes on


def test_weights_that_changed_between_a_kill_and_the_resume(small, weights, tmp_path):
    folder = Path(shutil.copytree(weights, tmp_path / "weights"))
    mine = replace(small, model=Model(str(folder)))
    with pytest.raises(Killed):
        run(mine, tmp_path / "run", Killing("joint: trace of calibration"))
    path = folder / "model.safetensors"
    flip(path, 8 * path.stat().st_size - 24)
    said = message(mine, tmp_path / "run")
    assert said.startswith(f"{path} changed since the run in {tmp_path / 'run'} began: put")


def test_output_that_leads_elsewhere(experiment, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "table.md").write_text("years of work")
    assert "is not empty and not the folder of a run" in message(experiment, "runs/../..")
    assert (tmp_path / "table.md").read_text() == "years of work"
    with pytest.raises(UserError, match=r"config field `name` must be up to 100 letters"):
        replace(experiment, name="../..")


def test_a_link_in_the_folder_is_replaced_not_followed(experiment, copy, tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (copy / "results.json").unlink()
    for name in ("report.html", "table.md.part", "quality_depth.png"):
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(tmp_path / "thesis")
    run(experiment, copy)
    assert (tmp_path / "thesis").read_text() == "years of work"
    assert not (copy / "report.html").is_symlink()


def test_weights_are_read_before_the_folder_is_claimed(experiment, weights, tmp_path):
    folder = Path(shutil.copytree(weights, tmp_path / "weights"))
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    broken = replace(experiment, model=Model(str(folder)))
    assert "model.safetensors" in message(broken, tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_every_strategy_is_checked_before_the_first_is_trained(experiment, tmp_path):
    """On two devices, in a process of its own."""
    code = """
import sys
from dataclasses import replace
from ee_jax.config.load import load
from ee_jax.errors import UserError
from ee_jax.runs.run import run
try:
    run(load(sys.argv[1], ["--strategies.1.fit.batch", "33"]), sys.argv[2])
except UserError as error:
    print(error)
"""
    config = tmp_path / "tiny.py"
    config.write_text(
        "from ee_jax.config import *\nfrom ee_jax.data.registry import DATASETS\n"
        "DATASETS['sentences'] = 'tests.runs.tiny_sentences:Sentences'\n"
        f"def get_config():\n    return {experiment!r}\n"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(config), str(tmp_path / "output")],
        env=os.environ | flags | {"PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == (
        "`fit.batch of stage heads of strategy frozen` is 33, which 2 devices cannot share "
        "evenly: take a multiple of 2\n"
    )
    assert not (tmp_path / "output").exists()


def test_a_batch_that_fits_nowhere(experiment, tmp_path):
    evaluation = replace(experiment.evaluation, batches=(10**9,))
    said = message(replace(experiment, evaluation=evaluation), tmp_path / "output")
    assert said.startswith("config field `evaluation.batches` has 1000000000, of which a block")
    strategies = (Frozen(fit=OptimizerConfig(1.0, batch=10**9)),)
    said = message(replace(experiment, strategies=strategies), tmp_path / "output")
    assert said.startswith("config field `fit.batch` has 1000000000")
    assert not (tmp_path / "output").exists()


def test_check_lists_what_it_looked_at_and_touches_nothing(experiment, tmp_path):
    found = check(experiment, tmp_path / "output")
    assert list(found) == ["weights", "data", "calibration", "strategies", "devices", "disk"]
    assert "bert, 2 blocks, exits after 1, 2" in found["weights"]
    assert "train 96" in found["data"]
    assert found["calibration"] == "none"
    assert found["strategies"].startswith("joint: joint (6 epochs in batches of 16); frozen: ")
    assert not (tmp_path / "output").exists()
    wrong = replace(experiment, data=Data("nothing"))
    with pytest.raises(UserError, match="no data set `nothing`"):
        check(wrong, tmp_path / "output")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (
            "joint/traces/test.npz",
            lambda run: calibrate(run / "joint/traces/test.npz", Request()),
        ),
        ("joint/model/exits.json", lambda run: load(run / "joint")),
        ("joint/model/exits.json", lambda run: read_exits(run / "joint/model")),
    ],
)
@pytest.mark.parametrize("place", [0.05, 0.5, 0.95])
def test_a_file_is_checked_before_anything_reads_it(copy, name, read, place):
    """Wherever in it the bit lies: a header that cannot be parsed has a mend too."""
    path = copy / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is not as it was written .*: copy .* again,"):
        read(copy)


def test_a_trace_outside_of_runs_is_read_as_it_is(copy, tmp_path):
    trace = shutil.copy(copy / "joint/traces/test.npz", tmp_path / "mine.npz")
    assert calibrate(trace, Request())["trials"]


def test_a_circle_of_links_is_no_trace(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(UserError, match=r"cannot read .*/round"):
        calibrate(tmp_path / "round", Request())
