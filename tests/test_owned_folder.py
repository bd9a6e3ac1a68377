"""Where output goes, and that one command at a time writes there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ee_jax.errors import UserError
from ee_jax.owned_folder import HOLDER, held, resolve_output

HOLD = """
import sys, time
from pathlib import Path
from ee_jax.owned_folder import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    line = [sys.executable, "-c", HOLD, str(tmp_path / "folder")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_folder_says_who_holds_it(holder, tmp_path):
    folder = tmp_path / "folder"
    message = rf"{folder} is being written by `-c {folder}`, process {holder.pid} on .*: wait"
    with pytest.raises(UserError, match=message), held(folder):
        pass
    assert (folder / HOLDER).is_file()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_dead_process_holds_nothing(holder, tmp_path, how):
    holder.send_signal(how)
    holder.wait()
    with held(tmp_path / "folder"):
        assert str(os.getpid()) in (tmp_path / "folder" / HOLDER).read_text()
    assert [*(tmp_path / "folder").iterdir()] == []


def test_a_holder_that_is_a_link_is_replaced(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / HOLDER).symlink_to(tmp_path / "thesis")
    with held(tmp_path / "folder"):
        pass
    assert (tmp_path / "thesis").read_text() == "years of work"


def test_an_output_is_what_it_resolves_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_output("runs/../..") == tmp_path.parent
    assert resolve_output("runs/new") == tmp_path / "runs" / "new"
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert resolve_output("link") == tmp_path / "real"


@pytest.mark.parametrize("path", ["file", "file/below", "loop", "x" * 300])
def test_what_can_be_no_output(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"is no output folder.*give another"):
        resolve_output(path)
