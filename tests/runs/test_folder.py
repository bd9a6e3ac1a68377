"""Whose folder it is: another's is refused, and not a byte of it changes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.config import config_hash
from ee_jax.display import SILENT
from ee_jax.errors import UserError
from ee_jax.results import read_results
from ee_jax.run_folder import MetricsFile, RunFolder
from ee_jax.runs.run import run


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
    part = tmp_path / "config.json.part"
    part.write_text('{"ha')
    folder = RunFolder(tmp_path, experiment)
    folder.check()
    folder.claim()
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    folder.check()


def test_a_file_in_the_folders_place(experiment, tmp_path):
    (tmp_path / "file").write_text("years of work")
    with pytest.raises(UserError, match="not the folder of a run"):
        run(experiment, tmp_path / "file")
    assert content(tmp_path) == {"file": b"years of work"}


@pytest.mark.parametrize("name", ["config.json", "results.json"])
@pytest.mark.parametrize("text", ["{", "[1, 2]", ""])
def test_a_broken_file_of_the_run_itself(experiment, finished, tmp_path, name, text):
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    (folder / name).write_text(text)
    assert refusal(experiment, folder).startswith(f"{folder / name} cannot be read")


def test_checkpoints_of_another_config(experiment, finished, tmp_path):
    """Copied by hand into a folder that is one's own."""
    other = replace(experiment, seed=1)
    RunFolder(tmp_path, other).claim()
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
        folder.claim()
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
    metrics = MetricsFile(path, keep=0)
    metrics.write(10, loss=0.5)
    metrics.write(20, loss=0.25)
    assert path.read_text().count("\n") == 2  # before it is closed
    metrics.close()
    with path.open("a") as file:
        file.write('{"step": 30, "lo')
    again = MetricsFile(path, keep=10)
    again.write(20, loss=0.125)
    again.close()
    assert path.read_text() == '{"step": 10, "loss": 0.5}\n{"step": 20, "loss": 0.125}\n'
