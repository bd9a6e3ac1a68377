"""What the machine refuses at any moment: one line, a status, and nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from ee_jax.cli import main; main()"]


def call(*arguments: object, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(line, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def one_line(done: subprocess.CompletedProcess, status: int = 2) -> str:
    assert (done.returncode, done.stderr.count("ee-jax: ")) == (status, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr[done.stderr.index("ee-jax: ") :]


def test_a_disk_that_is_full_before_and_after_a_run_begins(
    experiment, write_config, small_disk
):
    config = write_config(experiment)
    (small_disk / "ballast").write_bytes(bytes(2**21 - 2**15))
    said = one_line(call("run", config, "--output", small_disk / "run"))
    assert "are free there: make room" in said
    assert not (small_disk / "run").exists()
    (small_disk / "ballast").write_bytes(bytes(2**21 - 2**18 - 2**16))
    done = call("run", config, "--output", small_disk / "run")
    said = one_line(done)
    assert "make room, and give the same command again" in said
    names = {path.name for path in (small_disk / "run").rglob("*")}
    assert not [name for name in names if name.endswith(".part")]
    (small_disk / "ballast").unlink()
    assert call("run", config, "--output", small_disk / "run").returncode == 0
    assert call("check", small_disk / "run").returncode == 0


def test_output_that_nobody_takes(finished, experiment, write_config):
    line = "run", write_config(experiment), "--output", finished
    with open("/dev/full", "w") as full:
        done = call(*line, stdout=full)
    assert "the disk is full: make room" in one_line(done)
    reads, writes = os.pipe()
    os.close(reads)  # as `| head` has when it has seen enough
    done = call(*line, stdout=writes)
    os.close(writes)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0, 1.5])
def test_an_interrupt_while_modules_are_imported_ends_at_once(
    experiment, write_config, tmp_path, seconds
):
    line = [*COMMAND, "run", str(write_config(experiment)), "--output", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.endswith(("stopped\n", "goes on from here\n"))


def test_a_folder_that_another_command_writes(experiment, write_config, tmp_path):
    """Two at once: one finishes, and the other says who holds the folder."""
    config = write_config(experiment)
    line = [*COMMAND, "run", str(config), "--output", str(tmp_path / "run")]
    environment, pipe = os.environ | {"PYTHONPATH": str(ROOT)}, subprocess.PIPE
    both = [
        subprocess.Popen(line, env=environment, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in both]
    status = [process.returncode for process in both]
    assert sorted(status) in ([0, 0], [0, 2])  # the slower one may find it finished
    for code, text in zip(status, said, strict=True):
        assert "Traceback" not in text
        if code == 2:
            plain = " ".join(text.split())
            assert f"is being written by `-c run {config} --output" in plain
            assert "wait for it, or give another output folder" in plain
