"""The same experiment gives the same bits, killed on the way or not; only the clock differs."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ee_jax.results import read_results
from ee_jax.runs.run import run

CLOCK = ("seconds", "train_seconds", "measured_speedup")
JSON = ("results.json", "joint/model/exits.json", "frozen/model/exits.json")


def without_clock(results: Any) -> Any:
    """The results less what the wall clock says."""
    if isinstance(results, list):
        return [without_clock(value) for value in results]
    if isinstance(results, dict):
        return {k: without_clock(v) for k, v in results.items() if k not in CLOCK}
    return results


def assert_same_run(left: Path, right: Path) -> None:
    """Metrics, weights, thresholds, traces and results, bit for bit."""
    exact = ("metrics.jsonl", "model/model.safetensors", "calibration.json")
    for strategy in ("joint", "frozen"):
        for name in exact:
            path = Path(strategy) / name
            assert (left / path).read_bytes() == (right / path).read_bytes(), path
        for split in ("calibration", "test"):
            traces = [np.load(f / strategy / "traces" / f"{split}.npz") for f in (left, right)]
            assert set(traces[0]) == set(traces[1])
            for name in traces[0]:
                assert traces[0][name].tobytes() == traces[1][name].tobytes(), name
    for name in JSON:
        found = [json.loads((folder / name).read_text()) for folder in (left, right)]
        assert without_clock(found[0]) == without_clock(found[1]), name


def test_two_runs_give_the_same_bits(experiment, finished, tmp_path):
    run(experiment, tmp_path / "again")
    assert_same_run(finished, tmp_path / "again")


def test_a_finished_run_is_read_back_and_left_alone(experiment, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert run(experiment, finished) == read_results(finished)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_killed_in_training_and_started_again(
    experiment, finished, write_config, start, tmp_path
):
    often = write_config(replace(experiment, checkpoint_seconds=0.0))
    output = tmp_path / "output"
    metrics = output / "joint" / "metrics.jsonl"
    command = "run", often, "--output", output, "--json"
    killed = start(*command)
    while not (metrics.exists() and metrics.read_text()):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    assert len(metrics.read_text().splitlines()) < 4  # of the 4 that it would have written
    assert not (output / "joint" / "model").exists()
    again = start(*command)
    stdout, stderr = again.communicate()
    assert again.returncode == 0, stderr
    assert json.loads(stdout) == json.loads((output / "results.json").read_text())
    for line in ("joint: joint", "frozen: heads", "compiling took"):
        assert line in stderr
    assert_same_run(finished, output)
