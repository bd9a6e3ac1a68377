"""Whose folder it is: another's is refused, and not a byte of it changes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.compilation import data_mesh
from ee_jax.config import config_hash
from ee_jax.display import SILENT
from ee_jax.errors import UserError
from ee_jax.results import read_results
from ee_jax.run_folder import MetricsFile, RunFolder
from ee_jax.runs.run import run
from ee_jax.tasks.task import find_task


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refusal(experiment, folder: Path) -> str:
    """The one line of a run into a folder that stays as it is."""
    before = content(folder)
    with pytest.raises(UserError) as error:
        run(experiment, folder)
    assert content(folder) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_folder_of_another_experiment(experiment, finished):
    other = replace(experiment, seed=1)
    assert refusal(other, finished) == (
        f"{finished} holds another experiment (config {config_hash(experiment)}, not "
        f"{config_hash(other)}): give another output folder, or delete that one"
    )


def test_a_folder_with_other_files(experiment, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    message = refusal(experiment, tmp_path)
    assert message.startswith(f"{tmp_path} is not empty and not the folder of a run")


def test_a_run_stopped_while_it_claims_its_folder_starts_anew(experiment, tmp_path):
    (tmp_path / "config.json.part").write_text('{"ha')
    (tmp_path / ".holder.json").write_text("{}")
    folder = RunFolder(tmp_path, experiment)
    folder.check()
    folder.claim({})
    left = {".holder.json", "config.json", "manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == left
    folder.check()


def test_a_run_goes_on_only_with_what_it_began_with(experiment, tmp_path):
    folder = RunFolder(tmp_path, experiment)
    folder.claim({"model.safetensors": "aa", "split train of rows": "bb"})
    folder.claim({"model.safetensors": "aa", "split train of rows": "bb"})
    with pytest.raises(
        UserError, match=r"^model.safetensors changed since the run in .* began"
    ):
        folder.claim({"model.safetensors": "ab", "split train of rows": "bb"})


def test_a_file_in_the_folders_place(experiment, tmp_path):
    (tmp_path / "file").write_text("years of work")
    for path in ("file", "file/below"):
        with pytest.raises(UserError, match=r"is no output folder: .*/file is a file"):
            run(experiment, tmp_path / path)
    assert content(tmp_path) == {"file": b"years of work"}


@pytest.mark.parametrize("name", ["config.json", "results.json"])
@pytest.mark.parametrize("text", ["{", "[1, 2]", ""])
def test_a_broken_file_of_the_run_itself(experiment, finished, tmp_path, name, text):
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    (folder / name).write_text(text)
    assert refusal(experiment, folder).startswith(f"{folder / name} is not as it was written")


def test_checkpoints_of_another_config(experiment, finished, tmp_path):
    """Copied by hand into a folder that is one's own."""
    other = replace(experiment, seed=1)
    folder = RunFolder(tmp_path, other)
    task = find_task("classification")(other, folder, data_mesh(), SILENT)
    task.check()
    folder.claim(task.inputs())
    shutil.copytree(finished / "joint/checkpoints", tmp_path / "joint/checkpoints")
    assert refusal(other, tmp_path) == (
        f"the checkpoint in {tmp_path / 'joint/checkpoints'} belongs to config "
        f"{config_hash(experiment)}/joint, not {config_hash(other)}/joint: give another "
        "output folder, or undo the change of config"
    )


def test_an_owner_is_written_down_once(experiment, tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "runs" / "new", experiment)
    folder.check()
    for python in ("3.11", "3.99"):
        monkeypatch.setattr("ee_jax.run_folder.versions", lambda here=python: {"python": here})
        folder.claim({})
    assert json.loads((folder.path / "config.json").read_text())["versions"] == {
        "python": "3.11"
    }
    assert folder.read_back(SILENT) is None


def test_results_are_read_from_the_folder_or_the_file(finished, tmp_path):
    results = read_results(finished)
    assert read_results(finished / "results.json") == results
    with pytest.raises(UserError, match=r"no results at .*: give the folder of a finished run"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(
        UserError,
        match=r"is of no run of this version \(required field missing @ \$\.name, and 9",
    ):
        read_results(tmp_path)


def test_metrics_after_the_checkpoint_and_half_lines_are_dropped(tmp_path):
    path = tmp_path / "joint" / "metrics.jsonl"
    metrics = MetricsFile(path)
    metrics.write(10, loss=0.5)
    kept = metrics.mark()
    metrics.write(20, loss=0.25)
    assert path.read_text().count("\n") == 2  # before it is closed
    metrics.close()
    with path.open("a") as file:
        file.write('{"step": 30, "lo')
    again = MetricsFile(path, kept)
    again.write(20, loss=0.125)
    again.close()
    assert path.read_text() == '{"step": 10, "loss": 0.5}\n{"step": 20, "loss": 0.125}\n'
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(
        UserError, match=r"is not as it was written .*: delete .*/joint to train"
    ):
        MetricsFile(path, kept)
