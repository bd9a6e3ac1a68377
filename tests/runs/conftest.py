"""A tiny pretrained BERT, a tiny data set, and an experiment on both that takes seconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from ee_jax.config import Experiment, Joint, Model, OptimizerConfig
from ee_jax.data.prepared import prepare
from ee_jax.data.registry import DATASETS
from ee_jax.runs.run import run
from tests.runs import tiny_study
from tests.runs.tiny_weights import write_weights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory):
    """Compiles a program once for all runs and commands: it is most of their time."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        compilation_cache.reset_cache()  # whether there is one is asked once
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session", autouse=True)
def sentences():
    """Makes the data set known to the registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "sentences", "tests.runs.tiny_sentences:Sentences")
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A root with the prepared data set."""
    root = tmp_path_factory.mktemp("data")
    prepare("sentences", root)
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Those of two blocks."""
    return write_weights(tmp_path_factory.mktemp("weights"), 2)


@pytest.fixture(scope="session")
def experiment(weights, data) -> Experiment:
    """The tiny study's, with its data in a folder of the tests."""
    planned = tiny_study.experiment("sentences", str(weights))
    return replace(planned, data=replace(planned.data, folder=str(data)))


@pytest.fixture(scope="session")
def deeper(experiment, tmp_path_factory) -> Experiment:
    """The same with three blocks, whose kernels are large enough that they run words apart.

    Of two exits only the last can end a streak, so that nothing would stop early.
    """
    folder = write_weights(tmp_path_factory.mktemp("deeper"), 3, scale=10.0)
    return replace(experiment, model=Model(str(folder)))


@pytest.fixture(scope="session")
def finished(experiment, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(experiment, folder)
    return folder


@pytest.fixture
def small(experiment) -> Experiment:
    """One strategy of two checkpoints and more."""
    fit = OptimizerConfig(epochs=1.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
    return replace(experiment, strategies=(Joint(fit=fit),), checkpoint_seconds=0.0)


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A finished run, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def write_config(tmp_path) -> Callable[[Experiment], Path]:
    """Writes an experiment as a config file, which makes its data set known too."""

    def write(experiment: Experiment) -> Path:
        path = tmp_path / "tiny.py"
        path.write_text(
            "from ee_jax.config import *\n"
            "from ee_jax.data.registry import DATASETS\n"
            f"DATASETS['sentences'] = {DATASETS['sentences']!r}\n"
            f"def get_config():\n    return {experiment!r}\n"
        )
        return path

    return write


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen]:
    """Starts the command `ee-jax`."""
    code = "from ee_jax.cli import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def command(*arguments: object) -> subprocess.Popen:
        line = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.Popen(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes)

    return command
