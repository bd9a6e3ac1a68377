"""Every config and every study, compiled by the real TPU compiler on whatever machine this is.

Tiny weights stand in for pretrained ones: which programs there are depends on the config.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.tiny_weights import write_weights

pytest.importorskip("libtpu", reason="pip install '.[tpu-compiler]'")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("EE_JAX_TEST_DATA", "/nowhere"))
STUDIES = ("berxit", "deebert", "fastbert", "joint_vs_frozen", "pabee")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="EE_JAX_TEST_DATA is not set")
FEW = [
    "--evaluation.batches",
    "1",
    "32",
    "--data.lengths",
    "64",
]  # one length: minutes, not hours


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Those of four blocks that read 128 tokens."""
    return write_weights(tmp_path_factory.mktemp("weights"), 4, length=128)


def compile_for(target: str, config: Path, *overrides: object) -> subprocess.CompletedProcess:
    """The command, in a process of its own: its environment is the TPU compiler's."""
    code = "from ee_jax.cli import main; main()"
    words = ["compile", config, "--target", target, "--json", *overrides]
    line = [sys.executable, "-c", code, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(line, env=environment, capture_output=True, text=True)


def rows_of(done: subprocess.CompletedProcess) -> dict[str, dict]:
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row["memory_bytes"] == 16 * 2**30 for row in rows)
    return {row["program"]: row for row in rows}


def test_the_quickstart(weights):
    rows = rows_of(
        compile_for("v5e:2x2", ROOT / "configs/quickstart.py", "--model.weights", weights, *FEW)
    )
    assert rows["exits 32 x 64"]["branches"] == 1
    assert rows["static 1 x 64"]["loops"] == 0


@needs_data
@pytest.mark.parametrize(("name", "folder"), [("sst2", "SST-2"), ("cola", "CoLA")])
def test_configs_of_glue(name, folder, weights):
    assert (DATA / "glue" / folder).is_dir()
    config = ROOT / f"configs/{name}_minilm.py"
    given = ["--model.weights", weights, "--data.manual-dir", DATA / "glue"]
    assert "exits 32 x 64" in rows_of(compile_for("v5e:2x2", config, *given, *FEW))


@needs_data
@pytest.mark.parametrize("study", STUDIES)
def test_studies(study, weights, tmp_path):
    path = ROOT / "experiments" / study / "study.py"
    config = tmp_path / f"{study}.py"
    config.write_text(
        "from pathlib import Path\nfrom ee_jax.config.load import run_file\n"
        f"def get_config():\n    study = run_file(Path({str(path)!r}))['STUDY']\n"
        f"    return study.experiment('mrpc', {str(weights)!r})\n"
    )
    given = ["--data.manual-dir", DATA / "glue"]
    rows = rows_of(compile_for("v5e:2x2", config, *given, *FEW))
    assert "exits 32 x 64" in rows


@needs_data
def test_stories():
    config = ROOT / "experiments/stories260k/config.py"
    given = ["--model.weights", DATA / "stories260k/stories260K.bin"]
    less = ["--evaluation.confidences", "max_prob", "--evaluation.batches", "8"]
    rows = rows_of(
        compile_for("v5e:2x2", config, *given, *less, "--exits.learned.target", "correct")
    )
    assert "exit decoder (max_prob, recompute) 8 x 64 + 64" in rows


@needs_data
def test_layerskip():
    config = ROOT / "experiments/layerskip/config.py"
    rows = rows_of(compile_for("v5e:2x2", config, "--data.manual-dir", DATA / "lm"))
    assert any(name.startswith("speculation") for name in rows)


def test_what_is_wrong_is_one_line(weights):
    config, given = ROOT / "configs/quickstart.py", ["--model.weights", weights]
    for target, said in (("v5e:3x3", "not divisible"), ("v9:2x2", "TPU v9"), ("x", "regex")):
        done = compile_for(target, config, *given)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(f"ee-jax: no TPU topology `{target}`: ")
        assert said in done.stderr
    done = compile_for("v5e:4x16", config, *given)
    assert "is 32, which 64 devices cannot share evenly" in done.stderr


def test_what_does_not_fit_is_named(weights):
    config = ROOT / "configs/quickstart.py"
    large = ["--evaluation.batches", "131072", "--data.lengths", "96"]
    done = compile_for("v5e:1x1", config, "--model.weights", weights, *large)
    assert done.returncode == 2
    assert "a smaller `evaluation.batches`, such as" in done.stderr
