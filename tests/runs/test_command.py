"""`ee-jax` on real folders: what goes to standard output, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.cli import main
from ee_jax.config import Model


def refused(capsys, *arguments: object) -> str:
    """The one line of a command that leaves with status 2."""
    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments)])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    return err


def test_a_finished_run_is_shown_again(experiment, finished, write_config, capsys):
    main(["run", str(write_config(experiment)), "--output", str(finished)])
    out, err = capsys.readouterr()
    assert "joint" in out
    assert "frozen" in out
    assert out.endswith(f"{finished / 'report.html'} shows the whole run.\n")
    assert err.replace("\n", "") == f"{finished} is finished: reading it back"


def test_json_is_the_results_and_nothing_else(experiment, finished, write_config, capsys):
    main(["run", str(write_config(experiment)), "--output", str(finished), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((finished / "results.json").read_text())


def test_an_override_makes_another_experiment(experiment, finished, write_config, capsys):
    config = write_config(experiment)
    line = refused(capsys, "run", config, "--output", finished, "--seed", 1)
    assert line.startswith(f"ee-jax: {finished} holds another experiment (config ")


def test_corrupt_weights(experiment, weights, write_config, tmp_path, capsys):
    folder = Path(shutil.copytree(weights, tmp_path / "weights"))
    (folder / "model.safetensors").write_bytes(b"\0" * 99)
    config = write_config(replace(experiment, model=Model(str(folder))))
    line = refused(capsys, "run", config, "--output", tmp_path / "output")
    assert line.startswith(f"ee-jax: {folder / 'model.safetensors'} cannot be read (")


def test_help_of_a_config_shows_its_fields(experiment, write_config, capsys):
    with pytest.raises(SystemExit) as left:
        main(["run", str(write_config(experiment)), "--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "--exits.pooling {first,mean}" in out
    assert "--strategies.1.fit.head-learning-rate" in out


def test_compare_has_a_row_for_each_run_and_strategy(finished, capsys):
    main(["compare", str(finished), str(finished / "results.json"), "--json"])
    table = json.loads(capsys.readouterr().out)
    strategies = [(row["run"], row["strategy"]) for row in table["rows"]]
    assert strategies == [("tiny", "joint"), ("tiny", "frozen")] * 2
    main(["compare", str(finished)])
    assert "frozen" in capsys.readouterr().out


def test_prepare_says_where_and_how_many(data, monkeypatch, capsys):
    monkeypatch.setenv("EE_JAX_DATA", str(data))
    main(["data", "prepare", "sentences", "--json"])
    rows = {"train": 96, "validation": 24, "calibration": 33, "test": 35}
    folder = str(data / "sentences" / "1.0.0")
    found = json.loads(capsys.readouterr().out)
    assert (found["folder"], found["rows"]) == (folder, rows)
    assert found["classes"] == {"read": 1 / 3, "write": 1 / 3, "close": 1 / 3}
    main(["data", "prepare", "sentences"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"{folder}: 188 rows (train 96, ")
    assert "3 classes: read 33.3 %, write 33.3 %, close 33.3 %" in shown
